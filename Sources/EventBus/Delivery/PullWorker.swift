import DeliveryRules
import JetStream

/// Hands one subscription's events to clients that ask, and settles what they say: does what ``LockMachine`` decides.
final class PullWorker: DeliveryWorker, @unchecked Sendable {
    // Safe: every function is called on the shard's loop.
    private unowned let shard: DeliveryShard
    private let services: DeliveryServices
    private let index: UInt32
    private let desk: MessageDesk
    private let tokens: LockTokens
    private let holder: LockToken.Holder?
    private var machine: LockMachine
    private var inputs: [LockMachine.Input] = []
    private var commands: [LockMachine.Command] = []
    private var isDeciding = false
    private var wakeAt = Instant.max
    /// The clients' calls for renewals under way, by slot, in the order in which they were sent.
    private var renewals: [UInt32: [UInt64]] = [:]
    private var waiters: [UInt64: @Sendable ([ReceivedEvent]) -> Void] = [:]
    private var calls: [UInt64: @Sendable (LockMachine.LockOutcome) -> Void] = [:]
    private var lastNumber: UInt64 = 0

    /// How long a pull that takes what is there may take to tell that there is no more.
    private static let fetchTime = Duration.seconds(5)
    /// The longest that a pull waits at the server, so that a client that left is not waited for long.
    private static let bellTime: Int64 = 5_000_000_000
    private static let askingTime: Int64 = 250_000_000
    private static let pullPause = Duration.seconds(1)
    /// Marks the slot in a renewal's tag, since a settlement of the same event may be under way too.
    private static let renewalBit: UInt32 = 1 << 31

    init(
        _ shard: DeliveryShard,
        _ services: DeliveryServices,
        _ plan: DeliveryPlan,
        _ tokens: LockTokens,
        index: UInt32
    ) {
        self.shard = shard
        self.services = services
        self.index = index
        self.tokens = tokens
        holder = tokens.holder(of: plan.subscription.key)
        desk = MessageDesk(shard, services, plan, worker: index)
        var generator = SystemRandomNumberGenerator()
        machine = LockMachine(policy: plan.policy, seed: generator.next())
    }

    var key: SubscriptionKey { desk.key }
    var isAside: Bool { false }
    var isIdle: Bool { machine.isIdle && !desk.isBusy }
    var quietAt: Instant { desk.quietAt }

    // MARK: Clients

    /// Answers with up to `max` events as soon as there is one, or with none when `wait` is over.
    ///
    /// - Returns: The waiter's number, for ``leave(_:)``.
    func receive(max: Int, wait: Duration, _ answer: @escaping @Sendable ([ReceivedEvent]) -> Void) -> UInt64 {
        lastNumber += 1
        let waiter = lastNumber
        waiters[waiter] = answer
        // Who does not want to wait still has to hear what the server has now.
        let time = Swift.max(wait.nanosecondsBounded, Self.askingTime)
        send(.receive(waiter: waiter, max: max, until: monotonicNow() + time))
        return waiter
    }

    /// The client went away; events that come for it are given back.
    func leave(_ waiter: UInt64) {
        guard let answer = waiters.removeValue(forKey: waiter) else { return }
        answer([])
        send(.gone(waiter: waiter))
    }

    /// Does what a client wants done with a lock.
    func settle(
        _ lock: LockMachine.Lock,
        _ verb: SettleVerb,
        _ answer: @escaping @Sendable (LockMachine.LockOutcome) -> Void
    ) {
        lastNumber += 1
        let call = lastNumber
        calls[call] = answer
        switch verb {
        case .acknowledge: send(.acknowledge(lock, call: call))
        case .release(let delay): send(.release(lock, delay: delay, call: call))
        case .reject: send(.reject(lock, call: call))
        case .renew: send(.renew(lock, call: call))
        }
    }

    // MARK: What happens

    func start() {
        if !shard.isConnected { send(.connectionLost) }
        send(.start)
    }

    func pause() { send(.pause) }

    func drain() {
        send(.drain)
        desk.cancelPulls()
    }

    func connectionChanged(isConnected: Bool) { send(isConnected ? .connected : .connectionLost) }

    func wake(_ time: Instant) {
        guard time >= wakeAt else { return }
        wakeAt = .max
        send(.wake)
    }

    func arrived(_ message: DeliveredMessage, pull: UInt32) {
        let isLast = message.pending == 0
        desk.take(message, pull: pull) { [weak self] arriving in
            switch arriving {
            case .skipped: self?.send(.skipped(pull: pull, count: 1))
            case .taken(let arrival): self?.send(.arrived(arrival, isLast: isLast))
            }
        }
    }

    func pullEnded(_ pull: UInt32, _ end: PullEnd) {
        desk.pullEnded(pull)
        switch end {
        case .complete, .expired, .noMessages, .connectionLost, .closing: send(.pullEnded(pull))
        case .consumerGone, .refused, .notSent:
            if end == .consumerGone { services.consumerGone(key, false) }
            shard.loop.execute(after: Self.pullPause) { [weak self] in self?.send(.pullEnded(pull)) }
        }
    }

    func settled(slot: UInt32, confirmed: Bool) {
        if slot & Self.renewalBit != 0 { return renewed(slot & ~Self.renewalBit, confirmed) }
        guard let sequence = desk.sequence(in: slot) else { return }
        send(.settled(sequence: sequence, confirmed: confirmed))
    }

    private func renewed(_ slot: UInt32, _ confirmed: Bool) {
        guard var waiting = renewals.removeValue(forKey: slot), !waiting.isEmpty else { return }
        let call = waiting.removeFirst()
        if !waiting.isEmpty { renewals[slot] = waiting }
        send(.renewed(call: call, confirmed: confirmed))
    }

    func letterPublished(slot: UInt32, _ outcome: PublishOutcome) {
        desk.letterPublished(slot, outcome) { [weak self] sequence, stored in
            self?.send(.deadLettered(sequence: sequence, stored: stored))
        }
    }

    // MARK: What is decided

    private func send(_ input: LockMachine.Input) {
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

    private func carryOut(_ command: LockMachine.Command) {
        switch command {
        case .pull(let id, let count, let mode): pull(id, count, mode)
        case .hand(let waiter, let handed):
            hand(handed, to: waiter)
        case .answer(let call, let outcome): calls.removeValue(forKey: call)?(outcome)
        case .acknowledge(let sequence):
            if !desk.settle(sequence, .acknowledge) { inputs.append(.settled(sequence: sequence, confirmed: false)) }
        case .release(let sequence, let delay, let unattempted):
            desk.release(sequence, delay, unattempted: unattempted) { [weak self] in
                self?.send(.settled(sequence: sequence, confirmed: false))
            }
        case .renew(let sequence, let call):
            guard let slot = desk.renew(sequence, mark: Self.renewalBit) else {
                return inputs.append(.renewed(call: call, confirmed: false))
            }
            renewals[slot, default: []].append(call)
        case .extend(let sequence): desk.extend(sequence)
        case .deadLetter(let sequence, let reason, let attempts):
            switch desk.bury(sequence, reason, attempts: attempts) {
            case .begun: break
            case .done: inputs.append(.deadLettered(sequence: sequence, stored: true))
            case .impossible: inputs.append(.deadLettered(sequence: sequence, stored: false))
            }
        case .lapsed(let sequence, let unattempted): desk.lapse(sequence, unattempted: unattempted)
        case .forget(let sequence, let settled): desk.forget(sequence, settled: settled)
        }
    }

    private func pull(_ id: UInt32, _ count: Int, _ mode: LockMachine.PullMode) {
        let request: PullRequest
        switch mode {
        case .now: request = PullRequest(id: id, count: count, expires: Self.fetchTime, noWait: true)
        case .waiting(let until):
            let time = min(max(until - monotonicNow(), 1_000_000), Self.bellTime)
            request = PullRequest(id: id, count: count, expires: .nanoseconds(time), noWait: false)
        }
        if !desk.pull(request) { pullEnded(id, .notSent) }
    }

    private func hand(_ handed: [LockMachine.Handed], to waiter: UInt64) {
        guard let answer = waiters.removeValue(forKey: waiter) else { return }
        let (milliseconds, instant) = (WallClock.milliseconds, monotonicNow())
        let seconds = Int64(milliseconds / 1000)
        var events: [ReceivedEvent] = []
        events.reserveCapacity(handed.count)
        for one in handed {
            guard let delivery = desk.delivery(one.lock.sequence, attempt: one.deliveryCount) else { continue }
            desk.note(AttemptReport(.completed), of: one.lock.sequence, at: milliseconds)
            let event = ReceivedEvent(
                lockToken: tokens.make(one.lock, holder, now: seconds),
                deliveryCount: one.deliveryCount,
                lockedUntil: Int64(milliseconds) + (one.lockedUntil - instant) / 1_000_000,
                delivery: delivery
            )
            events.append(event)
        }
        answer(events)
    }

    var report: DeliveryReport {
        var report = DeliveryReport(key: key)
        report.counters = machine.counters
        report.skipped = desk.skipped
        report.lettersFailed = desk.lettersFailed
        report.inFlight = machine.inHand
        return report
    }
}

/// An event that a client received, under a lock.
package struct ReceivedEvent: Sendable {
    /// Names the lock; any replica can settle it.
    package let lockToken: String
    /// Which delivery it is, counted from 1.
    package let deliveryCount: Int
    /// Until when the lock is good unless renewed, in milliseconds of Unix time.
    package let lockedUntil: Int64
    private let delivery: Delivery

    init(lockToken: String, deliveryCount: Int, lockedUntil: Int64, delivery: Delivery) {
        self.lockToken = lockToken
        self.deliveryCount = deliveryCount
        self.lockedUntil = lockedUntil
        self.delivery = delivery
    }

    /// Its sequence in the stream.
    package var sequence: UInt64 { delivery.sequence }

    /// When it was stored, in nanoseconds of Unix time.
    package var storedAt: Int64 { delivery.message.time }

    /// Appends the event in CloudEvents JSON; as it is stored, where that is JSON.
    package func appendJSON(to output: inout [UInt8]) { delivery.appendJSON(to: &output) }
}

/// What a client wants done with what it received.
package enum SettleVerb: Sendable, Equatable {
    /// It is done.
    case acknowledge
    /// Somebody shall have it again, after a delay.
    case release(delay: Duration)
    /// It can never be done: dead letter.
    case reject
    /// More time is needed.
    case renew
}
