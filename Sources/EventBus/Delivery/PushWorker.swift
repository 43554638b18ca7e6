import DeliveryRules
import JetStream

/// Delivers one subscription's events to its sink: does what ``DeliveryMachine`` decides.
final class PushWorker: DeliveryWorker, @unchecked Sendable {
    // Safe: every function is called on the shard's loop.
    private unowned let shard: DeliveryShard
    private let services: DeliveryServices
    private let index: UInt32
    private let record: SubscriptionRecord
    private let desk: MessageDesk
    private let sink: any DeliverySink
    private let batch: SubscriptionConfig.Batch?
    let isAside: Bool
    private var machine: DeliveryMachine
    /// What happened and has not been decided upon.
    private var inputs: [DeliveryMachine.Input] = []
    private var commands: [DeliveryMachine.Command] = []
    private var isDeciding = false
    private var wakeAt = Instant.max
    /// Attempts that wait to share a request.
    private var gathered: [(sequence: UInt64, number: Int)] = []
    private var gathering = 0
    private var failed: UInt64 = 0
    private var lastError: (text: String, time: UInt64)?
    private var attemptNanoseconds: Int64 = 0

    /// How long a pull request waits at the server; short, so that a replica that dies leaves none behind for long.
    private static let pullTime = Duration.seconds(20)
    /// How long to wait before pulling again where a pull was refused.
    private static let pullPause = Duration.seconds(1)

    init(
        _ shard: DeliveryShard,
        _ services: DeliveryServices,
        _ plan: DeliveryPlan,
        sink: any DeliverySink,
        index: UInt32
    ) {
        self.shard = shard
        self.services = services
        self.index = index
        record = plan.record
        self.sink = sink
        batch = plan.subscription.config.batch
        isAside = plan.isForDeadLetters
        desk = MessageDesk(shard, services, plan, worker: index)
        var generator = SystemRandomNumberGenerator()
        machine = DeliveryMachine(policy: plan.policy, seed: generator.next())
    }

    var key: SubscriptionKey { desk.key }
    var isIdle: Bool { machine.isIdle && !desk.isBusy }
    var quietAt: Instant { desk.quietAt }

    // MARK: What happens

    func start() {
        if !shard.isConnected { send(.connectionLost) }
        send(.start)
    }

    func pause() {
        send(.pause)
        desk.cancelPulls()
    }

    func drain() {
        send(.drain)
        desk.cancelPulls()
        sink.close()
    }

    func connectionChanged(isConnected: Bool) { send(isConnected ? .connected : .connectionLost) }

    func wake(_ time: Instant) {
        guard time >= wakeAt else { return }
        wakeAt = .max
        send(.wake)
    }

    func arrived(_ message: DeliveredMessage, pull: UInt32) {
        desk.take(message, pull: pull) { [weak self] arriving in
            switch arriving {
            case .skipped: self?.send(.skipped(pull: pull, count: 1))
            case .taken(let arrival): self?.send(.arrived(arrival))
            }
        }
    }

    func pullEnded(_ pull: UInt32, _ end: PullEnd) {
        desk.pullEnded(pull)
        switch end {
        case .complete, .expired, .noMessages, .connectionLost, .closing: send(.pullEnded(pull))
        case .consumerGone, .refused, .notSent:
            if end == .consumerGone { services.consumerGone(key, isAside) }
            // The machine would ask again at once.
            shard.loop.execute(after: Self.pullPause) { [weak self] in self?.send(.pullEnded(pull)) }
        }
    }

    func settled(slot: UInt32, confirmed: Bool) {
        guard let sequence = desk.sequence(in: slot) else { return }
        send(.settled(sequence: sequence, confirmed: confirmed))
    }

    func letterPublished(slot: UInt32, _ outcome: PublishOutcome) {
        desk.letterPublished(slot, outcome) { [weak self] sequence, stored in
            self?.send(.deadLettered(sequence: sequence, stored: stored))
        }
    }

    /// - Parameter isShared: whether another attempt of the same request has been told of.
    private func attempted(
        _ sequence: UInt64,
        _ report: AttemptReport,
        since start: Instant,
        isShared: Bool = false
    ) {
        let took = max(monotonicNow() - start, 0)
        attemptNanoseconds += took
        services.attemptTook(took)
        desk.note(report, of: sequence, at: WallClock.milliseconds)
        if let error = report.error {
            failed += 1
            lastError = (error, WallClock.milliseconds)
        }
        send(.attempted(sequence: sequence, report.result, isShared: isShared))
    }

    // MARK: What is decided

    /// Tells the machine, and does what it commands; what happens meanwhile waits for its turn.
    private func send(_ input: DeliveryMachine.Input) {
        inputs.append(input)
        if isDeciding { return }
        isDeciding = true
        var next = 0
        while next < inputs.count {
            machine.handle(inputs[next], now: monotonicNow(), into: &commands)
            next += 1
            for command in commands { carryOut(command) }
            commands.removeAll(keepingCapacity: true)
        }
        inputs.removeAll(keepingCapacity: inputs.capacity <= 1024)
        isDeciding = false
        let wish = machine.nextWake
        if wish < wakeAt {
            wakeAt = wish
            shard.wake(index, at: wish)
        }
    }

    private func carryOut(_ command: DeliveryMachine.Command) {
        switch command {
        case .pull(let id, let count):
            let request = PullRequest(id: id, count: count, expires: Self.pullTime, noWait: false)
            if !desk.pull(request) { pullEnded(id, .notSent) }
        case .attempt(let sequence, let number): attempt(sequence, number)
        case .acknowledge(let sequence):
            if !desk.settle(sequence, .acknowledge) { inputs.append(.settled(sequence: sequence, confirmed: false)) }
        case .release(let sequence, let delay, let unattempted):
            desk.release(sequence, delay, unattempted: unattempted) { [weak self] in
                self?.send(.settled(sequence: sequence, confirmed: false))
            }
        case .extend(let sequence): desk.extend(sequence)
        case .deadLetter(let sequence, let reason, let attempts):
            switch desk.bury(sequence, reason, attempts: attempts) {
            case .begun: break
            case .done: inputs.append(.deadLettered(sequence: sequence, stored: true))
            case .impossible: inputs.append(.deadLettered(sequence: sequence, stored: false))
            }
        case .lapsed(let sequence, let unattempted): desk.lapse(sequence, unattempted: unattempted)
        case .forget(let sequence, let settled): desk.forget(sequence, settled: settled)
        case .disable(let reason): disable(reason.sentence)
        case .breaker(let state):
            let text = "circuit breaker \(state.word)" + (lastError.map { ": \($0.text)" } ?? "")
            services.log(DeliveryLogLine(key: key, text: text, isWarning: state != .closed))
        }
    }

    private func disable(_ reason: String) {
        guard isAside else { return services.disable(record, reason) }
        let text = "the dead letter sink is left alone from now on: \(reason)"
        services.log(DeliveryLogLine(key: key, text: text, isWarning: true))
    }

    private func attempt(_ sequence: UInt64, _ number: Int) {
        if let batch { return gather(sequence, number, batch) }
        let start = monotonicNow()
        guard let delivery = desk.delivery(sequence, attempt: number) else {
            return inputs.append(.attempted(sequence: sequence, .undeliverable))
        }
        sink.deliver(delivery) { [weak self] report in self?.attempted(sequence, report, since: start) }
    }

    // MARK: Batches

    /// Puts an attempt aside until there are enough of them, or the first has waited long enough.
    private func gather(_ sequence: UInt64, _ number: Int, _ batch: SubscriptionConfig.Batch) {
        gathered.append((sequence, number))
        if gathered.count >= batch.maxEvents { return deliverGathered() }
        guard gathered.count == 1 else { return }
        let turn = gathering
        shard.loop.execute(after: batch.maxWait) { [weak self] in
            if self?.gathering == turn { self?.deliverGathered() }
        }
    }

    private func deliverGathered() {
        gathering += 1
        let start = monotonicNow()
        let deliveries = gathered.compactMap { desk.delivery($0.sequence, attempt: $0.number) }
        let sequences = deliveries.map(\.sequence)
        let sent = Set(sequences)
        let rest = gathered.filter { !sent.contains($0.sequence) }
        gathered.removeAll(keepingCapacity: true)
        if !deliveries.isEmpty { deliver(deliveries[...], since: start) }
        for (sequence, _) in rest { send(.attempted(sequence: sequence, .undeliverable)) }
    }

    /// Sends a batch; one that is refused for what it holds is sent again in halves, so that one bad event harms itself only.
    ///
    /// With a consented rate it is not: the requests more are not allowed for.
    private func deliver(_ deliveries: ArraySlice<Delivery>, since start: Instant) {
        sink.deliver(batch: Array(deliveries)) { [weak self] report in
            guard let self else { return }
            if deliveries.count > 1, machine.policy.ratePerMinute == nil, Self.isRefusal(report.result, machine.policy)
            {
                let middle = deliveries.startIndex + deliveries.count / 2
                deliver(deliveries[..<middle], since: start)
                return deliver(deliveries[middle...], since: start)
            }
            for delivery in deliveries {
                // One request is one failure of the sink, however many events it held.
                let isShared = delivery.sequence != deliveries.first?.sequence
                attempted(delivery.sequence, report, since: start, isShared: isShared)
            }
        }
    }

    /// Whether the sink has taken a look at what it got and will never take it.
    private static func isRefusal(_ result: AttemptResult, _ policy: DeliveryPolicy) -> Bool {
        guard case .answered = result else { return false }
        return Verdict.of(result, attempt: 1, policy: policy) == .deadLetter(.rejected)
    }

    var report: DeliveryReport {
        var report = DeliveryReport(key: key)
        report.counters = machine.counters
        report.failed = failed
        report.skipped = desk.skipped
        report.lettersFailed = desk.lettersFailed
        report.inFlight = machine.inHand
        report.breaker = machine.policy.breaker == nil ? nil : machine.breakerState.word
        report.lastError = lastError
        report.attemptSeconds = Double(attemptNanoseconds) / 1e9
        return report
    }
}

extension DeliveryMachine.DisableReason {
    /// Why a subscription was disabled, for people.
    fileprivate var sentence: String {
        switch self {
        case .gone: "the sink answered 410 Gone"
        case .noSuccess: "no delivery succeeded for five days"
        }
    }
}
