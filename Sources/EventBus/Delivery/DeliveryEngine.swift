package import JetStream
package import Logging

/// Delivers to all subscriptions: one worker for each, spread over the loops.
///
/// Every replica runs one and pulls from the same consumers; that is the queue group. All functions may be called from any
/// thread or task.
package final class DeliveryEngine: Sendable {
    let registry: SubscriptionRegistry
    let sinks: any DeliverySinkFactory
    let services: DeliveryServices
    let logger: Logger
    /// A connection of its own: whatever deliveries do to it, publishing goes on (C-02).
    package let client: JetStreamClient
    let shards: [DeliveryShard]
    let tokens: LockTokens
    let watch: DeliveryWatch
    private let courier: DeadLetterCourier
    private let places = Locked<[SubscriptionKey: Place]>([:])
    /// Where the workers are that take dead letters to sinks.
    private let asides = Locked<[SubscriptionKey: Place]>([:])
    /// What workers that are gone have done.
    let ended = Locked<[SubscriptionKey: DeliveryReport]>([:])
    private let isEnding = Locked(false)
    /// The number of the last worker.
    private let numbers = Locked<UInt32>(0)

    /// So many subscriptions that are gone are remembered, for the sums of `/metrics`.
    private static let endedMax = 10_000

    /// The longest that a drain waits for messages that are on their way.
    private static let pullsEndMax = Duration.seconds(2)

    /// Where a subscription's worker is.
    struct Place: Sendable {
        let shard: DeliveryShard
        let index: UInt32
    }

    /// What an engine needs.
    package struct Parts: Sendable {
        package var client: JetStreamClient
        package var registry: SubscriptionRegistry
        package var ledger: HandBackLedger
        package var events: StreamName
        package var deadLetters: StreamName
        package var loops: [any DeliveryLoop]
        package var sinks: any DeliverySinkFactory
        /// Names this replica in lock tokens.
        package var replica: String
        package var logger: Logger
        /// Told how long each attempt took, in nanoseconds, on any thread.
        package var attemptTook: @Sendable (Int64) -> Void

        package init(
            client: JetStreamClient,
            registry: SubscriptionRegistry,
            ledger: HandBackLedger,
            events: StreamName,
            deadLetters: StreamName,
            loops: [any DeliveryLoop],
            sinks: any DeliverySinkFactory,
            replica: String,
            logger: Logger,
            attemptTook: @escaping @Sendable (Int64) -> Void
        ) {
            self.client = client
            self.registry = registry
            self.ledger = ledger
            self.events = events
            self.deadLetters = deadLetters
            self.loops = loops
            self.sinks = sinks
            self.replica = replica
            self.logger = logger
            self.attemptTook = attemptTook
        }
    }

    /// Makes an engine; nothing is delivered before ``start()``.
    package init(_ parts: Parts) {
        client = parts.client
        self.registry = parts.registry
        sinks = parts.sinks
        self.logger = parts.logger
        let client = parts.client
        let (registry, logger) = (parts.registry, parts.logger)
        let ended = ended
        shards = parts.loops.map { loop in
            DeliveryShard(loop: loop, client: client) { report in
                ended.withLock { ended in
                    ended[report.key, default: DeliveryReport(key: report.key)].add(report.past)
                    if ended.count > Self.endedMax { ended = ended.filter { registry.record($0.key) != nil } }
                }
            }
        }
        tokens = LockTokens(replica: parts.replica)
        let letters = parts.deadLetters
        let courier = DeadLetterCourier(client: parts.client, stream: parts.deadLetters, logger: parts.logger)
        self.courier = courier
        watch = DeliveryWatch(client: parts.client, registry: parts.registry, stream: parts.events) { key in
            await Self.restore(key, registry, logger)
        }
        services = DeliveryServices(
            events: parts.events,
            deadLetters: parts.deadLetters,
            ledger: parts.ledger,
            isCurrent: { record in await Self.isCurrent(record, registry) },
            consumerGone: { key, isForDeadLetters in
                Task {
                    if isForDeadLetters {
                        await courier.restore(key)
                    } else {
                        await Self.restore(key, registry, logger)
                    }
                }
            },
            hasLetter: { sequence in
                do throws(JetStreamError) {
                    return try await client.message(in: letters, sequence: sequence) != nil
                } catch {
                    return nil
                }
            },
            disable: { record, reason in Task { await Self.disable(record, reason, registry, logger) } },
            attemptTook: parts.attemptTook,
            log: { line in
                let metadata: Logger.Metadata = ["subscription": "\(line.key)"]
                logger.log(level: line.isWarning ? .warning : .info, "\(line.text)", metadata: metadata)
            }
        )
    }

    /// Opens the shards; before anything else.
    package func open() {
        for shard in shards { shard.loop.execute { shard.open() } }
    }

    private static func isCurrent(_ record: SubscriptionRecord, _ registry: SubscriptionRegistry) async -> Bool? {
        do throws(SubscriptionError) {
            guard let now = try await registry.load(record.key) else { return true }  // Nobody wants anything any more.
            return now.isServedLike(record)
        } catch {
            return nil
        }
    }

    /// Makes a subscription's consumer again where it is not there.
    static func restore(_ key: SubscriptionKey, _ registry: SubscriptionRegistry, _ logger: Logger) async {
        do throws(SubscriptionError) {
            try await registry.ensureConsumer(key)
        } catch {
            if error == .notFound { return }
            let metadata: Logger.Metadata = ["subscription": "\(key)", "reason": "\(error)"]
            logger.warning("a consumer cannot be made again yet", metadata: metadata)
        }
    }

    /// Writes down that a worker has given its sink up, again and again until it stands there: nobody would know otherwise,
    /// and nobody could resume it.
    private static func disable(
        _ record: SubscriptionRecord,
        _ reason: String,
        _ registry: SubscriptionRegistry,
        _ logger: Logger
    ) async {
        var metadata: Logger.Metadata = ["subscription": "\(record.key)", "reason": "\(reason)"]
        var pause = Duration.milliseconds(500)
        while true {
            do throws(SubscriptionError) {
                let now = try await registry.update(record.key) { now in
                    // Another definition has another sink; what somebody paused stays paused.
                    guard now.isActive, now.subscription == record.subscription else { return false }
                    now.state = .disabled(reason: reason)
                    return true
                }
                if case .disabled = now.state { logger.warning("subscription disabled", metadata: metadata) }
                return
            } catch {
                if error == .notFound { return }
                metadata["error"] = "\(error)"
                logger.error("a subscription cannot be disabled yet", metadata: metadata)
            }
            do { try await Task.sleep(for: pause) } catch { return }
            pause = min(pause * 2, .seconds(30))
        }
    }

    /// To be called whenever the connection's state changes.
    package func connectionChanged(isConnected: Bool) {
        for shard in shards { shard.loop.execute { shard.connectionChanged(isConnected: isConnected) } }
    }

    /// Finishes what runs and gives back the rest, at most `deadline` long.
    package func drain(within deadline: Duration) async {
        isEnding.withLock { $0 = true }
        let clock = ContinuousClock()
        let end = clock.now + deadline
        // First, or the server would deliver here again what is given back, and it would be lost with the connection.
        await client.endPulls(within: min(deadline, Self.pullsEndMax))
        for shard in shards { shard.loop.execute { for worker in shard.all { worker.drain() } } }
        while clock.now < end {
            if await workersAreIdle() { return }
            try? await clock.sleep(for: .milliseconds(20))
        }
    }

    private func workersAreIdle() async -> Bool {
        for shard in shards {
            let idle = await shard.run { $0.all.allSatisfy(\.isIdle) }
            if !idle { return false }
        }
        return true
    }

    // MARK: Subscriptions

    /// Takes up a change of one subscription; nil is one that is not there.
    package func apply(_ old: SubscriptionRecord?, _ new: SubscriptionRecord?) {
        guard let key = (new ?? old)?.subscription.key, !isEnding.withLock({ $0 }) else { return }
        if let old, old.subscription.config.deadLetterSink != nil, new?.subscription.config.deadLetterSink == nil {
            Task { await courier.end(key) }
        }
        guard let new, new.subscription.deliveryProtocol != .handler else { return retire(key) }
        if new.subscription.deliveryProtocol == .nats {
            // Native clients serve themselves; what they give up goes to its sink all the same.
            retire(key)
            return engageAside(new)
        }
        if let place = place(of: key) {
            if let old, old.isServedLike(new) {
                return setRunning(place, new.isActive)
            }
            retire(key)
        }
        engage(new)
    }

    func place(of key: SubscriptionKey) -> Place? { places.withLock { $0[key] } }

    func setRunning(_ place: Place, _ runs: Bool) {
        place.shard.loop.execute {
            guard let worker = place.shard.worker(place.index) else { return }
            if runs { worker.start() } else { worker.pause() }
        }
    }

    /// Starts a worker for a subscription, which is retired when the subscription changes.
    private func engage(_ record: SubscriptionRecord) {
        guard let place = engage(record, makeSink: nil) else { return }
        places.withLock { $0[record.key] = place }
        engageAside(record)
    }

    /// Starts the worker that takes a subscription's dead letters to their sink, if it has one.
    private func engageAside(_ record: SubscriptionRecord) {
        let aside = DeadLetterCourier.plan(record, services).map { engage($0, isActive: true, nil) }
        asides.withLock { $0[record.key] = aside }
    }

    /// Starts a worker with a sink of its own, for as long as whoever asked wants it.
    func engage(_ record: SubscriptionRecord, makeSink: (@Sendable () -> any DeliverySink)?) -> Place? {
        let subscription = record.subscription
        guard let consumer = ConsumerName(subscription.key.durableName) else { return nil }
        let plan = DeliveryPlan(
            record: record,
            subscription: subscription,
            stream: services.events,
            consumer: consumer,
            isForDeadLetters: false,
            ratePerMinute: record.consent.ratePerMinute,
            consentedOrigin: record.consent.origin
        )
        return engage(plan, isActive: record.isActive, makeSink)
    }

    /// Starts a worker for a plan.
    func engage(_ plan: DeliveryPlan, isActive: Bool, _ makeSink: (@Sendable () -> any DeliverySink)?) -> Place {
        let shard = shards[plan.subscription.key.spread % shards.count]
        let index = numbers.withLock { number in
            number &+= 1
            return number
        }
        shard.loop.execute { [self] in shard.add(makeWorker(plan, shard, index, makeSink), as: index) }
        if isActive {
            // The record may be older than its consumer, and old servers say nothing to who asks one that is not there.
            let (restore, registry) = (restore(plan), registry)
            Task {
                await restore()
                // It may have been paused meanwhile.
                guard registry.record(plan.subscription.key)?.isActive ?? true else { return }
                shard.loop.execute { shard.worker(index)?.start() }
            }
        }
        return Place(shard: shard, index: index)
    }

    /// Makes sure that a plan's consumer is there.
    private func restore(_ plan: DeliveryPlan) -> @Sendable () async -> Void {
        let (key, courier, registry, logger) = (plan.subscription.key, courier, registry, logger)
        if plan.isForDeadLetters { return { await courier.restore(key) } }
        return { await Self.restore(key, registry, logger) }
    }

    private func makeWorker(
        _ plan: DeliveryPlan,
        _ shard: DeliveryShard,
        _ index: UInt32,
        _ makeSink: (@Sendable () -> any DeliverySink)?
    ) -> any DeliveryWorker {
        switch plan.subscription.deliveryProtocol {
        case .pull: PullWorker(shard, services, plan, tokens, index: index)
        case .http, .nats, .handler:
            PushWorker(
                shard,
                services,
                plan,
                sink: makeSink?() ?? sinks.makeSink(for: plan, on: shard.loop),
                index: index
            )
        }
    }

    /// Ends a worker; returns when what it was doing is finished.
    func retire(_ place: Place) async {
        await place.shard.run { $0.retire(place.index) }
        let clock = ContinuousClock()
        // At the engine's end its own drain sees to it.
        while !isEnding.withLock({ $0 }), await place.shard.run({ $0.worker(place.index)?.isIdle == false }) {
            try? await clock.sleep(for: .milliseconds(10))
            if Task.isCancelled { return }
        }
    }

    /// Ends a worker: what it is doing is finished first.
    private func retire(_ key: SubscriptionKey) {
        let ending = [
            places.withLock { $0.removeValue(forKey: key) }, asides.withLock { $0.removeValue(forKey: key) },
        ]
        for case let place? in ending { place.shard.loop.execute { place.shard.retire(place.index) } }
    }
}

extension SubscriptionKey {
    /// A number that spreads subscriptions evenly, the same in every process (FNV-1a).
    fileprivate var spread: Int {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in durableName.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return Int(truncatingIfNeeded: hash >> 1)
    }
}

extension SubscriptionRecord {
    /// Whether a worker made for this record serves the other one too, but for the state.
    func isServedLike(_ other: SubscriptionRecord) -> Bool {
        subscription == other.subscription && consent == other.consent && start == other.start
            && filterSubjects == other.filterSubjects
    }

    /// Whether its consumer lets events of a subject through.
    package func letsThrough(_ subject: String, prefix: SubjectPrefix) -> Bool {
        [ServerFilter.Kind.several, .single].contains { kind in
            let filter = ServerFilter(subscription, prefix: prefix, kind: kind)
            return filter.subjects.map(\.text) == filterSubjects && filter.subjects.contains { $0.matches(subject) }
        }
    }
}
