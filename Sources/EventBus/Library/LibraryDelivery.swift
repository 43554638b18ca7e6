import CloudEvents
import JetStream

/// Delivery to handlers in this process: a host of its own, started with the first subscription.
final class LibraryDelivery: Sendable {
    private let host: DeliveryHost
    private let loop: TaskLoop
    private let prefix: SubjectPrefix
    private let running = Locked<Running>(Running())

    private struct Running: Sendable {
        var task: Task<Void, Never>?
        var hasEnded = false
        /// Calls of `unsubscribe` that need the loop.
        var retiring = 0
        /// What delivers to handlers, by number.
        var places: [UInt64: Served] = [:]
        var lastPlace: UInt64 = 0
    }

    /// A handler with its worker and the definition that this one was made for.
    private struct Served: Sendable {
        let makeSink: @Sendable () -> any DeliverySink
        var record: SubscriptionRecord
        var place: DeliveryEngine.Place
    }

    /// How long a subscription waits for NATS.
    private static let patience = Duration.seconds(10)
    /// How long running handlers may take when the bus ends.
    private static let drainTime = Duration.seconds(30)

    init(bus: EventBus) {
        loop = TaskLoop()
        prefix = bus.configuration.subjectPrefix
        host = DeliveryHost(bus: bus, loops: [loop], sinks: NoSinks(), servesAll: false)
    }

    func subscribe(
        _ subscription: Subscription,
        _ handler: @escaping EventHandler
    ) async throws(SubscriptionError) -> HandlerSubscription {
        start()
        try await waitUntilReady()
        let record = try await host.registry.upsert(subscription, consent: SinkConsent(.notNeeded)).record
        let (loop, tenant) = (loop, subscription.tenant)
        let makeSink: @Sendable () -> any DeliverySink = { HandlerSink(tenant: tenant, loop: loop, handler: handler) }
        guard let place = host.engine.engage(record, makeSink: makeSink) else { throw .notFound }
        let number = running.withLock { running in
            running.lastPlace += 1
            running.places[running.lastPlace] = Served(makeSink: makeSink, record: record, place: place)
            return running.lastPlace
        }
        // It may have changed since it was written.
        if let current = host.registry.record(subscription.key) { follow(current) }
        return HandlerSubscription(subscription: subscription, library: self, place: number)
    }

    func unsubscribe(_ number: UInt64, _ subscription: Subscription) async {
        let found = running.withLock { running -> Served? in
            // The end lets handlers finish by itself, and then nothing runs on the loop any more.
            guard !running.hasEnded, let served = running.places.removeValue(forKey: number) else { return nil }
            running.retiring += 1
            return served
        }
        guard let served = found else { return }
        await host.engine.retire(served.place)
        running.withLock { $0.retiring -= 1 }
        // Nobody could find the position of a transient one again.
        if subscription.isTransient { try? await host.registry.delete(subscription.key) }
    }

    /// Delivers by the newest definition of a subscription, which another program with the same durable may have written.
    ///
    /// A worker with an older one would take what only the newer one wants for unwanted, and settle it unseen.
    private func follow(_ record: SubscriptionRecord) {
        let stale = running.withLock { running in
            running.places.filter { $0.value.record.key == record.key && $0.value.record.revision < record.revision }
        }
        for (number, served) in stale {
            if served.record.isServedLike(record) {
                running.withLock { running in
                    guard let now = running.places[number], now.record.revision < record.revision else { return }
                    running.places[number]?.record = record
                }
                host.engine.setRunning(served.place, record.isActive)
                continue
            }
            guard let place = host.engine.engage(record, makeSink: served.makeSink) else { continue }
            let retiring = running.withLock { running in
                // Unsubscribed or replaced meanwhile: then the new worker is the one too many.
                guard let now = running.places[number], now.record.revision < record.revision else { return place }
                running.places[number] = Served(makeSink: served.makeSink, record: record, place: place)
                return now.place
            }
            let engine = host.engine
            Task { await engine.retire(retiring) }
        }
    }

    func remove(_ key: SubscriptionKey) async throws(SubscriptionError) {
        start()
        try await waitUntilReady()
        try await host.registry.delete(key)
    }

    /// Lets running handlers finish and closes the connection, at most so long.
    func end(within deadline: Duration) async {
        let task = running.withLock { running in
            running.hasEnded = true
            return running.task
        }
        guard let task else { return }
        task.cancel()
        await task.value
    }

    private func start() {
        let (host, loop) = (host, loop)
        running.withLock { running in
            guard running.task == nil, !running.hasEnded else { return }
            running.task = Task {
                let tasks = Task { await loop.run() }
                await host.run(drainTime: Self.drainTime) { [weak self] in self?.follow($0) }
                // A cancelled task does not sleep: the waiting has one of its own.
                await Task { [weak self] in
                    while self?.running.withLock({ $0.retiring > 0 }) ?? false {
                        try? await Task.sleep(for: .milliseconds(10))
                    }
                }.value
                loop.finish()
                await tasks.value
            }
        }
    }

    private func waitUntilReady() async throws(SubscriptionError) {
        let clock = ContinuousClock()
        let end = clock.now + Self.patience
        while !host.registry.isCurrent {
            guard clock.now < end, !Task.isCancelled, !running.withLock({ $0.hasEnded }) else {
                throw .unavailable("not connected to NATS")
            }
            try? await clock.sleep(for: .milliseconds(20))
        }
    }
}

/// Handlers bring their sinks themselves.
private struct NoSinks: DeliverySinkFactory {
    func makeSink(for plan: DeliveryPlan, on loop: any DeliveryLoop) -> any DeliverySink {
        HandlerSink(tenant: plan.subscription.tenant, loop: loop) { _, _ in
            throw EventRejection("no handler")
        }
    }
}
