import NIOCore
import NIOPosix

/// What a run of the load generator does.
struct BenchPlan: Sendable {
    let address: GatewayAddress
    let mode: BenchMode
    let template: BenchTemplate
    let connections: Int
    let threads: Int
    /// Events a second in an open loop; `nil` is a closed loop: a connection sends as soon as it was answered.
    let rate: Double?
    /// How long requests are sent, in seconds; `nil` when `requests` bounds the run.
    let seconds: Double?
    /// How many requests are sent, over all loops; `nil` when `seconds` bounds the run.
    let requests: Int?
}

/// The load of one event loop: its connections, its schedule and its counts.
///
/// Belongs to that loop alone.
final class BenchLoop {
    /// How long answers are waited for after the last request, and how long a connection may take.
    static let grace = TimeAmount.seconds(10)
    /// How long a run that only a count bounds may be without any answer.
    static let stall = TimeAmount.seconds(30)

    private let plan: BenchPlan
    private let index: Int
    private let eventLoop: any EventLoop
    private var tally = BenchTally()
    /// In turn, so that all of them are used at any rate.
    private var idle = CircularBuffer<BenchConnection>()
    private var nextRequest = 0
    private var requestsMax = Int.max
    private var outstanding = 0
    private var startTime: UInt64 = 0
    private var endTime: UInt64 = .max
    private var isRunning = false
    private var hasTimer = false
    private var done: EventLoopPromise<BenchTally>?

    init(plan: BenchPlan, index: Int, eventLoop: any EventLoop) {
        self.plan = plan
        self.index = index
        self.eventLoop = eventLoop
    }

    /// Opens this loop's share of the connections.
    func connect() -> EventLoopFuture<Void> {
        let share = plan.connections / plan.threads + (index < plan.connections % plan.threads ? 1 : 0)
        return EventLoopFuture.andAllSucceed((0..<share).map { _ in open() }, on: eventLoop)
    }

    /// Starts to send at `time` (nanoseconds of the monotonic clock) and tells the counts when all is answered.
    func run(from time: UInt64) -> EventLoopFuture<BenchTally> {
        let done = eventLoop.makePromise(of: BenchTally.self)
        self.done = done
        startTime = time
        if let seconds = plan.seconds { endTime = time + UInt64(seconds * 1e9) }
        if let requests = plan.requests {
            requestsMax = requests / plan.threads + (index < requests % plan.threads ? 1 : 0)
        } else if plan.rate != nil {
            requestsMax = 0
            while intendedTime(requestsMax) < endTime { requestsMax += 1 }
        }
        isRunning = true
        schedule(at: time)
        watch()
        return done.futureResult
    }

    /// When the request of that number should leave, in an open loop; loops take turns.
    private func intendedTime(_ request: Int) -> UInt64 {
        guard let rate = plan.rate else { return startTime }
        let turn = Double(request * plan.threads + index)
        return startTime + UInt64(turn * 1e9 * Double(plan.template.eventsPerRequest) / rate)
    }

    private func schedule(at time: UInt64) {
        guard !hasTimer else { return }
        hasTimer = true
        eventLoop.assumeIsolated().scheduleTask(deadline: .uptimeNanoseconds(time)) {
            self.hasTimer = false
            self.sendWhatIsDue()
        }
    }

    private func sendWhatIsDue() {
        guard isRunning else { return }
        if plan.rate == nil, NIODeadline.now().uptimeNanoseconds >= endTime { requestsMax = nextRequest }
        while nextRequest < requestsMax, !idle.isEmpty {
            let now = NIODeadline.now().uptimeNanoseconds
            let intended = plan.rate == nil ? now : intendedTime(nextRequest)
            guard intended <= now else {
                schedule(at: intended)
                return
            }
            send(on: idle.removeFirst(), intended: intended)
        }
        if nextRequest >= requestsMax {
            isRunning = false
            finishIfAnswered()
        } else if plan.rate == nil, plan.seconds != nil {
            schedule(at: endTime)
        }
    }

    private func send(on connection: BenchConnection, intended: UInt64) {
        let number = UInt64(nextRequest * plan.threads + index) * UInt64(plan.template.eventsPerRequest)
        nextRequest += 1
        outstanding += 1
        connection.send(plan.template, number: number, intended: intended)
    }

    /// Ends a run that does not end by itself: answers that do not come must not hold the tool for ever.
    private func watch() {
        guard done != nil else { return }
        let now = NIODeadline.now().uptimeNanoseconds
        if now > lastEnd ?? (max(tally.lastAnswer, startTime) + UInt64(Self.stall.nanoseconds)) {
            isRunning = false
            if outstanding > 0 { tally.errors["no answer in time", default: 0] += outstanding }
            finish()
        } else {
            eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(500)) { self.watch() }
        }
    }

    /// The moment that a run with a schedule cannot outlast.
    private var lastEnd: UInt64? {
        let grace = UInt64(Self.grace.nanoseconds)
        if plan.rate != nil { return intendedTime(requestsMax) + grace }
        return plan.seconds == nil ? nil : endTime + grace
    }

    private func finishIfAnswered() {
        if !isRunning, outstanding == 0 { finish() }
    }

    private func finish() {
        guard let done else { return }
        self.done = nil
        tally.unsent = max(0, requestsMax - nextRequest)
        for connection in idle { connection.close() }
        idle.removeAll()
        done.succeed(tally)
    }
}

extension BenchLoop {
    /// A connection's request was answered.
    func answered(_ connection: BenchConnection, status: Int, intended: UInt64, isUsable: Bool) {
        let now = NIODeadline.now().uptimeNanoseconds
        tally.latency.record(now >= intended ? now - intended : 0)
        tally.statuses[status, default: 0] += 1
        tally.lastAnswer = now
        outstanding -= 1
        if isUsable { ready(connection) } else { reopen() }
        finishIfAnswered()
    }

    /// A connection broke; `hadRequest` tells whether a request went with it.
    func broke(_ connection: BenchConnection, reason: String, hadRequest: Bool) {
        idle.removeAll { $0 === connection }
        if hadRequest {
            tally.errors[reason, default: 0] += 1
            outstanding -= 1
        }
        reopen()
        finishIfAnswered()
    }

    private func ready(_ connection: BenchConnection) {
        idle.append(connection)
        if isRunning { sendWhatIsDue() }
    }

    private func reopen() {
        guard isRunning else { return }
        let loop = NIOLoopBound(self, eventLoop: eventLoop)
        open().whenFailure { error in
            loop.value.tally.errors["cannot connect again: \(ConnectFailure.reason(error))", default: 0] += 1
            loop.value.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(200)) { loop.value.reopen() }
        }
    }

    private func open() -> EventLoopFuture<Void> {
        let loop = NIOLoopBound(self, eventLoop: eventLoop)
        return ClientBootstrap(group: eventLoop)
            .connectTimeout(Self.grace)
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .connect(host: plan.address.server.host, port: plan.address.server.port)
            .flatMapThrowing { channel in
                let connection = BenchConnection(channel: channel, owner: loop.value)
                try channel.pipeline.syncOperations.addHandler(connection)
                loop.value.ready(connection)
            }
    }
}
