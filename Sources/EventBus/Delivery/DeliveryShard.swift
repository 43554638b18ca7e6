import DeliveryRules
import JetStream

/// One loop's share of the subscriptions: the lane to JetStream, the workers, and the clock that wakes them.
///
/// Everything but ``loop`` belongs to the loop. What workers ask of JetStream within one turn of the loop goes out
/// together at its end.
final class DeliveryShard: @unchecked Sendable {
    // Safe: every member but `loop` is touched by tasks of the loop only, as each function says.
    let loop: any DeliveryLoop
    private let client: JetStreamClient
    private let dropped: @Sendable (DeliveryReport) -> Void
    private var lane: DeliveryLane?
    private var letters: PublishLane?
    private var workers: [UInt32: any DeliveryWorker] = [:]
    private var wishes = WakeHeap()
    /// When the loop is going to wake the shard, `.max` if it is not.
    private var alarm = Instant.max
    private var willFlush = false
    private(set) var isConnected = false

    /// - Parameter dropped: told what a worker has done when it is dropped; on the loop.
    init(
        loop: any DeliveryLoop,
        client: JetStreamClient,
        dropped: @escaping @Sendable (DeliveryReport) -> Void
    ) {
        self.loop = loop
        self.client = client
        self.dropped = dropped
    }

    /// Opens the lanes; on the loop, before anything else.
    func open() {
        let loop = loop
        lane = client.makeDeliveryLane { [weak self] in loop.execute { [weak self] in self?.drainLane() } }
        letters = client.makeLane { [weak self] in loop.execute { [weak self] in self?.drainLetters() } }
        isConnected = client.state.isConnected
    }

    // MARK: Workers

    /// Adds a worker under a number that no other has had; on the loop.
    func add(_ worker: any DeliveryWorker, as index: UInt32) { workers[index] = worker }

    /// The worker of a number; on the loop.
    func worker(_ index: UInt32) -> (any DeliveryWorker)? { workers[index] }

    /// Drains a worker and drops it when it is done; on the loop.
    func retire(_ index: UInt32) {
        guard let worker = workers[index] else { return }
        worker.drain()
        dropWhenIdle(index, triesLeft: Self.retirementTries)
    }

    /// So often, with a pause between, a worker is asked whether it is done: ten minutes, longer than any attempt.
    private static let retirementTries = 6000
    private static let retirementPause = Duration.milliseconds(100)

    private func dropWhenIdle(_ index: UInt32, triesLeft: Int) {
        guard let worker = workers[index] else { return }
        // A pull request cannot be taken back: what the server still sends for it has to be given back.
        let isDone = worker.isIdle && worker.quietAt <= monotonicNow()
        if isDone || triesLeft == 0 {
            workers[index] = nil
            return worker.isAside ? () : dropped(worker.report)
        }
        loop.execute(after: Self.retirementPause) { [weak self] in
            self?.dropWhenIdle(index, triesLeft: triesLeft - 1)
        }
    }

    /// Runs `body` on the loop and returns what it returns.
    func run<Result: Sendable>(_ body: @escaping @Sendable (DeliveryShard) -> Result) async -> Result {
        await withCheckedContinuation { continuation in
            loop.execute { continuation.resume(returning: body(self)) }
        }
    }

    /// All workers; on the loop.
    var all: some Collection<any DeliveryWorker> { workers.values }

    /// Tells every worker how the connection stands; on the loop.
    func connectionChanged(isConnected: Bool) {
        if self.isConnected == isConnected { return }
        self.isConnected = isConnected
        for worker in workers.values { worker.connectionChanged(isConnected: isConnected) }
    }

    /// The largest message that the server takes, in bytes.
    var payloadMax: Int { client.serverInfo?.maxPayload ?? 1 << 20 }

    // MARK: To JetStream

    /// - Parameter isUrgent: whether the worker holds nothing: then it gets one message, however much others hold.
    func pull(
        _ consumer: ConsumerName,
        _ stream: StreamName,
        _ request: PullRequest,
        _ worker: UInt32,
        isUrgent: Bool
    ) {
        lane?.pull(
            consumer,
            in: stream,
            batch: request.count,
            expires: request.expires,
            noWait: request.noWait,
            isUrgent: isUrgent,
            tag: Self.tag(worker, request.id)
        )
        flushSoon()
    }

    func cancel(pull id: UInt32, _ worker: UInt32) {
        lane?.cancel(pull: Self.tag(worker, id))
        flushSoon()
    }

    /// Lets a worker that holds nothing have one message, however much others hold.
    func hurry(pulls: Set<UInt32>, _ worker: UInt32) {
        guard let lane, lane.isFull, !pulls.isEmpty else { return }
        for id in pulls { lane.hurry(pull: Self.tag(worker, id)) }
        flushSoon()
    }

    func settle(_ ack: AckAddress, _ how: Settlement, _ worker: UInt32, slot: UInt32) {
        lane?.settle(ack, how, tag: Self.tag(worker, slot))
        flushSoon()
    }

    func tell(_ ack: AckAddress, _ how: Settlement) {
        lane?.tell(ack, how)
        flushSoon()
    }

    func publishLetter(_ message: OutboundMessage, _ worker: UInt32, slot: UInt32) {
        letters?.submit(message, tag: Self.tag(worker, slot))
        flushSoon()
    }

    private func flushSoon() {
        if willFlush { return }
        willFlush = true
        loop.execute { self.flush() }
    }

    private func flush() {
        willFlush = false
        lane?.flush()
        letters?.flush()
    }

    // MARK: From JetStream

    private func drainLane() {
        lane?.drain { event in
            switch event {
            case .message(let tag, let message): workers[Self.worker(tag)]?.arrived(message, pull: Self.detail(tag))
            case .pullEnded(let tag, let end): workers[Self.worker(tag)]?.pullEnded(Self.detail(tag), end)
            case .settled(let tag, let confirmed):
                workers[Self.worker(tag)]?.settled(slot: Self.detail(tag), confirmed: confirmed)
            }
        }
    }

    private func drainLetters() {
        letters?.drain { tag, outcome, _ in
            workers[Self.worker(tag)]?.letterPublished(slot: Self.detail(tag), outcome)
        }
    }

    private static func tag(_ worker: UInt32, _ detail: UInt32) -> DeliveryLane.Tag {
        UInt64(worker) << 32 | UInt64(detail)
    }

    private static func worker(_ tag: DeliveryLane.Tag) -> UInt32 { UInt32(truncatingIfNeeded: tag >> 32) }
    private static func detail(_ tag: DeliveryLane.Tag) -> UInt32 { UInt32(truncatingIfNeeded: tag) }

    // MARK: Time

    /// Wakes a worker at a moment; on the loop.
    func wake(_ worker: UInt32, at time: Instant) {
        if time == .max { return }
        wishes.add(worker, at: time)
        setAlarm()
    }

    private func setAlarm() {
        let earliest = wishes.earliest
        guard earliest < alarm else { return }
        alarm = earliest
        let pause = max(earliest - monotonicNow(), 0)
        loop.execute(after: .nanoseconds(pause)) { self.ring(earliest) }
    }

    private func ring(_ time: Instant) {
        // An earlier alarm has been set since: its ring sees to everything.
        if time > alarm { return }
        alarm = .max
        let now = monotonicNow()
        while let wish = wishes.popDue(now) { workers[wish.worker]?.wake(wish.time) }
        setAlarm()
    }
}

/// A pull request as a worker asks for it.
struct PullRequest {
    let id: UInt32
    let count: Int
    let expires: Duration
    let noWait: Bool
}

/// What drives one subscription's machine; all functions are called on the shard's loop.
protocol DeliveryWorker: AnyObject, Sendable {
    var key: SubscriptionKey { get }
    func arrived(_ message: DeliveredMessage, pull: UInt32)
    func pullEnded(_ pull: UInt32, _ end: PullEnd)
    func settled(slot: UInt32, confirmed: Bool)
    func letterPublished(slot: UInt32, _ outcome: PublishOutcome)
    func connectionChanged(isConnected: Bool)
    /// The moment of a wish has come; the wish may be an old one.
    func wake(_ time: Instant)
    /// Begins, or goes on after a pause.
    func start()
    /// Makes no new attempts until `start`.
    func pause()
    /// For good: finishes what runs, gives back the rest, then ``isIdle`` is true.
    func drain()
    var isIdle: Bool { get }
    /// Whether it takes dead letters to their sink, beside the subscription's own worker; it counts for nothing.
    var isAside: Bool { get }
    /// From then on no message comes for the pulls that were made so far.
    var quietAt: Instant { get }
    /// What the worker knows of its subscription's delivery by this replica.
    var report: DeliveryReport { get }
}
