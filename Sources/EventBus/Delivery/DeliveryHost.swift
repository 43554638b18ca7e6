package import DeliveryRules
import JetStream
import Logging

/// Everything that delivers, put together: a connection of its own, the subscriptions, the engine, the dead letters.
///
/// One per process beside its ``EventBus``. All functions may be called from any thread or task.
package final class DeliveryHost: Sendable {
    package let registry: SubscriptionRegistry
    package let engine: DeliveryEngine
    package let deadLetters: DeadLetterBox
    private let client: JetStreamClient
    private let ledgerBucket: KeyValueBucket
    private let ledger: HandBackLedger
    private let advisories: AdvisoryReader
    /// What this replica wrote for native consumers.
    private let nativeLetters: Locked<[SubscriptionKey: NativeLetters]>
    private let opening = Locked(Opening())
    private let servesAll: Bool
    private let logger: Logger
    private let connection = Locked<@Sendable (ConnectionState) -> Void>({ _ in })

    /// How far the opening of the hand-backs' bucket has come.
    private struct Opening {
        /// Whether it is open and the locks' secret is there.
        var isOpen = false
        /// What is in the way.
        var trouble: BucketTrouble?
    }

    private static func bucketName(_ text: String) -> BucketName {
        guard let name = BucketName(text) else { preconditionFailure("\(text) is no bucket name") }
        return name
    }

    /// Makes a host; nothing is connected before ``run()``.
    ///
    /// - Parameters:
    ///   - loops: where deliveries are decided, at least one.
    ///   - sinks: makes what events are pushed to.
    ///   - servesAll: whether it delivers to every subscription but handlers' ones, as a gateway does; without, only to
    ///     those that are given to the engine.
    ///   - attemptTook: told how long each attempt took, in nanoseconds, on any thread; returns at once.
    package init(
        bus: EventBus,
        loops: [any DeliveryLoop],
        sinks: any DeliverySinkFactory,
        servesAll: Bool = true,
        subscriptionsPerTenantMax: Int = 1000,
        attemptTook: @escaping @Sendable (Int64) -> Void = { _ in }
    ) {
        self.servesAll = servesAll
        let configuration = bus.configuration
        var jetStream = JetStreamConfiguration(
            servers: configuration.servers,
            name: configuration.connectionName + " deliveries"
        )
        jetStream.publishTimeout = configuration.publishTimeout
        let connection = connection
        let logger = bus.logger
        client = JetStreamClient(
            configuration: jetStream,
            onStateChange: { state in connection.withLock { $0 }(state) },
            log: { BusLog.event($0, logger) }
        )
        self.logger = logger
        let replicas = configuration.streams.events.replicas
        // Records hold sequences and subjects of one stream: another stream has buckets of its own.
        let own = bus.streamName.suffix
        ledgerBucket = KeyValueBucket(
            client: client,
            name: Self.bucketName("SLUICE_HANDBACKS\(own)"),
            replicas: replicas
        )
        ledger = HandBackLedger(bucket: ledgerBucket)
        var settings = SubscriptionRegistry.Settings(events: bus.streamName, prefix: configuration.subjectPrefix)
        settings.bucket = Self.bucketName("SLUICE_SUBSCRIPTIONS\(own)")
        settings.replicas = replicas
        settings.perTenantMax = subscriptionsPerTenantMax
        registry = SubscriptionRegistry(client: client, settings: settings, logger: logger)
        let registry = registry
        deadLetters = DeadLetterBox(client: client, stream: configuration.streams.deadLetters.name)
        let nativeLetters = Locked<[SubscriptionKey: NativeLetters]>([:])
        self.nativeLetters = nativeLetters
        advisories = AdvisoryReader(
            client: client,
            plan: configuration.streams,
            logger: logger,
            owner: { durable in
                guard let key = SubscriptionKey(durableName: durable) else { return .nobody }
                guard registry.isCurrent else { return .unknown }
                return registry.record(key)?.subscription.deliveryProtocol == .nats ? .subscription(key) : .nobody
            },
            wrote: { key, reason in
                nativeLetters.withLock { $0[key, default: NativeLetters()].written[reason, default: 0] += 1 }
            },
            failed: { key in nativeLetters.withLock { $0[key, default: NativeLetters()].failed += 1 } }
        )
        engine = DeliveryEngine(
            DeliveryEngine.Parts(
                client: client,
                registry: registry,
                ledger: ledger,
                events: bus.streamName,
                deadLetters: configuration.streams.deadLetters.name,
                loops: loops,
                sinks: sinks,
                replica: bus.replica,
                logger: logger,
                attemptTook: attemptTook
            )
        )
    }

    /// What this replica wrote as dead letters for native consumers, by subscription.
    package var nativeDeadLetters: [SubscriptionKey: NativeLetters] { nativeLetters.withLock { $0 } }

    /// Whether this replica can deliver now: its connection is up, and all that deliveries need has been read.
    package var isReady: Bool {
        client.state.isConnected && registry.isCurrent && opening.withLock { $0.isOpen }
    }

    /// What this process knows of the subscriptions.
    ///
    /// - Parameter publishingSince: when it became possible to publish events; `nil` if it is not.
    package func readiness(publishingSince: ContinuousClock.Instant?) -> DeliveryReadiness {
        DeliveryReadiness(
            of: registry.settings.bucket,
            hasRead: registry.isCurrent,
            trouble: registry.trouble ?? opening.withLock { $0.trouble },
            publishingSince: publishingSince
        )
    }

    /// Connects and delivers until the task is cancelled, then gives back what is in hand, at most `drainTime` long.
    ///
    /// - Parameter onChange: told of every subscription that is new or changed, as ``SubscriptionRegistry/run(_:)`` does.
    package func run(
        drainTime: Duration,
        onChange: @escaping @Sendable (SubscriptionRecord) -> Void = { _ in }
    ) async {
        let engine = engine
        connection.withLock { $0 = { state in engine.connectionChanged(isConnected: state.isConnected) } }
        client.start()
        engine.connectionChanged(isConnected: client.state.isConnected)
        engine.open()
        await openLedger()
        await withTaskGroup(of: Void.self) { tasks in
            let servesAll = servesAll
            tasks.addTask {
                await self.registry.run { old, new in
                    if servesAll { engine.apply(old, new) }
                    if let new { onChange(new) }
                }
            }
            if servesAll { tasks.addTask { await self.advisories.run() } }
            tasks.addTask { await engine.run() }
            tasks.addTask { await self.sweepForEver() }
        }
        // In a task of its own: in a cancelled one every pause would end at once, and waiting would take a whole processor.
        await Task { await engine.drain(within: drainTime) }.value
        await client.close(grace: .seconds(2))
    }

    /// Removes from the ledger what nobody will ask for, once in an hour.
    private func sweepForEver() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(3600))
            guard !Task.isCancelled, registry.isCurrent,
                let events = try? await client.streamInfo(registry.settings.events),
                let letters = try? await client.streamInfo(deadLetters.stream)
            else { continue }
            do throws(JetStreamError) {
                try await ledger.sweep(
                    events: events.state.firstSequence,
                    letters: letters.state.firstSequence,
                    isGone: { [registry] key in
                        guard registry.record(key) == nil else { return false }
                        // The bucket's leader knows of one that was made a moment ago.
                        do { return try await registry.load(key) == nil } catch { return false }
                    }
                )
            } catch {
                logger.info("hand-backs are not swept", metadata: ["reason": "\(error)"])
            }
        }
    }

    /// Opens the ledger and the locks' secret, again and again until it works or the task is cancelled.
    private func openLedger() async {
        var hasWarned = false
        while !Task.isCancelled {
            do throws(JetStreamError) {
                try await ledgerBucket.open()
                try await engine.tokens.load(from: ledgerBucket)
                return opening.withLock { $0 = Opening(isOpen: true) }
            } catch {
                let trouble = BucketTrouble(ledgerBucket.name, error)
                opening.withLock { $0.trouble = trouble }
                if client.state.isConnected, !hasWarned {
                    hasWarned = true
                    logger.warning("deliveries cannot begin yet", metadata: ["reason": "\(trouble.reason)"])
                }
                try? await Task.sleep(for: .milliseconds(200))
            }
        }
    }
}

/// Dead letters of events that native consumers gave up.
package struct NativeLetters: Sendable {
    /// Written, by reason.
    package internal(set) var written: [DeadLetterReason: UInt64] = [:]
    /// Tries to write one that failed.
    package internal(set) var failed: UInt64 = 0
}
