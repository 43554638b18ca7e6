import EventBus
import JetStream
import Logging
import NIOCore
import NIOHTTP1
import OTLPTracing

/// The publishing state of one event loop: its lane to JetStream and who waits for which PubAck.
///
/// What many connections submit in one turn of the loop goes to JetStream together, and what comes back together is
/// answered together: one lock and one wake-up in each direction for many events.
///
/// Safe: everything but the lane's `notify` runs on the event loop, which `preconditionInEventLoop` checks in debug builds.
final class PublishLoop: @unchecked Sendable {
    /// Who gets an outcome.
    private enum Waiter {
        case single(PublishHandler, Intake.Single)
        case batch(PublishHandler, BatchJob, Int)
        case free(next: Int)
    }

    let eventLoop: any EventLoop
    let bus: EventBus
    private var lane: PublishLane?
    private var waiters: [Waiter] = []
    /// When each waiter's message was submitted.
    private var submitted: [Nanoseconds] = []
    /// The time of this turn's submissions.
    private var turn: Nanoseconds = 0
    private var firstFree = -1
    private var flushIsScheduled = false
    private var connections: [ObjectIdentifier: PublishHandler] = [:]
    /// What turns requests into messages, with the limits as of the last second.
    private(set) var intake: Intake
    /// Bytes of bodies that are arriving, on all connections of this loop.
    var bodyBytes = 0
    /// Whether every answer is its connection's last, since the gateway will shut down soon.
    var isLeaving = false
    /// When to close what is still open, once the gateway is shutting down.
    private var drainDeadline: NIODeadline?
    /// Renders the answers.
    var writer = AnswerWriter()
    /// Makes the spans of requests; `nil` without a collector.
    let tracer: OTLPTracer?
    /// What this loop counts.
    var account: LoopAccount
    /// How many events may wait for their PubAck.
    private(set) var limit: ConcurrencyLimit
    private var overloadReport = OverloadReport()
    private var renderedRefusal: ByteBuffer?

    init(
        eventLoop: any EventLoop,
        bus: EventBus,
        batchEventsMax: Int,
        limit: ConcurrencyLimit,
        observation: Observation
    ) {
        self.eventLoop = eventLoop
        account = LoopAccount(observation.accounting)
        tracer = observation.tracer
        self.bus = bus
        self.limit = limit
        intake = Intake(
            stream: bus.streamName,
            prefix: bus.configuration.subjectPrefix,
            eventBytesMax: bus.eventBytesMax,
            batchEventsMax: batchEventsMax
        )
        lane = bus.client.makeLane { [weak self] in
            guard let self else { return }
            self.eventLoop.execute { self.drain() }
        }
    }

    /// Submits one event; its outcome goes to the handler's `published(_:)`.
    func submit(_ event: Intake.Single, for handler: PublishHandler) {
        begin(1)
        lane?.submit(event.message, tag: reserve(.single(handler, event)))
        scheduleFlush()
    }

    /// Submits all messages of a batch; the handler's `published(_:)` follows the last outcome.
    func submit(_ job: BatchJob, for handler: PublishHandler) {
        begin(job.waiting)
        job.forEachWaiting { index, message in
            lane?.submit(message, tag: reserve(.batch(handler, job, index)))
        }
        scheduleFlush()
    }

    /// Keeps an eye on a connection for the idle sweep.
    func add(_ handler: PublishHandler) { connections[ObjectIdentifier(handler)] = handler }

    /// Forgets a connection.
    func remove(_ handler: PublishHandler) { connections[ObjectIdentifier(handler)] = nil }

    /// Once a second: brings the limits up to date and closes connections that were idle, or whose request did not arrive,
    /// for too long.
    func sweep(now: NIODeadline) {
        intake.eventBytesMax = bus.eventBytesMax
        renderedRefusal = nil
        overloadReport.tell(limit, bus.logger)
        if let drainDeadline, now >= drainDeadline {
            for handler in connections.values { handler.close() }
            return
        }
        for handler in connections.values { handler.sweep(now: now) }
    }

    /// Starts what the loop does by itself: the sweep of idle connections, and its accounts.
    func startTimers() {
        eventLoop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { _ in self.sweep(now: .now()) }
        eventLoop.scheduleRepeatedTask(initialDelay: LoopAccount.tick, delay: LoopAccount.tick) { _ in
            self.account.ticked(now: .now())
        }
    }

    /// What the loop holds now, with its counts handed on.
    func settle() -> LoopState {
        account.fold()
        return LoopState(
            bodyBytes: bodyBytes,
            inFlight: limit.inFlight,
            inFlightLimit: limit.limit,
            overloadRejections: limit.rejections
        )
    }

    /// Closes every connection that is still open at the deadline; answered ones close by themselves.
    func drain(until deadline: NIODeadline) { drainDeadline = deadline }

    private func scheduleFlush() {
        guard !flushIsScheduled else { return }
        flushIsScheduled = true
        eventLoop.execute {
            self.flushIsScheduled = false
            self.lane?.flush()
        }
    }

    private func drain() {
        let stream = bus.streamName
        lane?.drain { tag, outcome, time in
            note(outcome, sent: submitted[Int(tag)], at: time)
            switch release(Int(tag)) {
            case .single(let handler, let event):
                let result = outcome.receipt(stream: stream)
                if !handler.published(result) { account.orphaned(event, result) }
            case .batch(let handler, let job, let index):
                let isLast = job.note(outcome.receipt(stream: stream), at: index)
                if isLast, !handler.published(job) { account.orphaned(job) }
            case .free: break
            }
        }
        limit.update(now: monotonicNow())
    }

    private func reserve(_ waiter: Waiter) -> UInt64 {
        if firstFree >= 0, case .free(let next) = waiters[firstFree] {
            let slot = firstFree
            firstFree = next
            waiters[slot] = waiter
            submitted[slot] = turn
            return UInt64(slot)
        }
        waiters.append(waiter)
        submitted.append(turn)
        return UInt64(waiters.count - 1)
    }

    private func release(_ slot: Int) -> Waiter {
        let waiter = waiters[slot]
        waiters[slot] = .free(next: firstFree)
        firstFree = slot
        return waiter
    }
}

/// What an event loop holds at an instant.
struct LoopState: Sendable {
    var bodyBytes = 0
    var inFlight = 0
    var inFlightLimit = 0
    var overloadRejections: UInt64 = 0

    static func += (sum: inout LoopState, other: LoopState) {
        sum.bodyBytes += other.bodyBytes
        sum.inFlight += other.inFlight
        sum.inFlightLimit += other.inFlightLimit
        sum.overloadRejections += other.overloadRejections
    }
}

/// Overload: what is refused before its body is read, because too much waits for JetStream already.
extension PublishLoop {
    /// Whether one more request may be taken up; a refused one is counted.
    func admits() -> Bool { limit.admits() }

    /// Whether one more request may be taken up, whose body would cost much to take; a refused one is counted.
    func admits(head: HTTPRequestHead, expectsContinue: Bool) -> Bool {
        if limit.hasRoom { return true }
        let length = head.headers.first(name: "content-length").map { Int($0) ?? .max } ?? .max
        guard expectsContinue || length > PublishSettings.discardedBytesMax else { return true }
        return limit.admits()
    }

    /// The refusal as bytes, the same for every request within a second.
    func overloadRefusal(_ allocator: ByteBufferAllocator) -> ByteBuffer {
        if let renderedRefusal { return renderedRefusal }
        let rendered = writer.render(Self.overloadAnswer, requestID: nil, closes: false, allocator: allocator)
        renderedRefusal = rendered
        return rendered
    }

    static let overload = Problem(kind: .overloaded, detail: "more events wait for JetStream than it takes in time")
    static let overloadAnswer = overload.answer(requestID: nil)

    private func begin(_ count: Int) {
        if !flushIsScheduled { turn = monotonicNow() }
        limit.begin(count, now: turn)
    }

    private func note(_ outcome: PublishOutcome, sent: Nanoseconds, at time: Nanoseconds) {
        switch outcome {
        case .stored, .rejected: limit.noteAnswer(sent: sent, at: time)
        case .unknown(.timeout), .notSent(.expired), .notSent(.overloaded): limit.noteTimeout()
        case .unknown, .notSent: limit.noteEnd()
        }
    }
}

/// Tells the log that requests are refused: at once, then every ten seconds.
private struct OverloadReport {
    private var told: UInt64 = 0
    private var pause = 0

    /// To be called once a second.
    mutating func tell(_ limit: ConcurrencyLimit, _ logger: Logger) {
        if pause > 0 { pause -= 1 }
        guard limit.rejections > told, pause == 0 else { return }
        let refused = limit.rejections - told
        told = limit.rejections
        pause = 10
        logger.warning(
            "overloaded: requests were refused",
            metadata: ["refused": "\(refused)", "limit": "\(limit.limit)", "in_flight": "\(limit.inFlight)"]
        )
    }
}
