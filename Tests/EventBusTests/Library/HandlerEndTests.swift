import CloudEvents
import EventBus
import JetStream
import Logging
import ServerFixtures
import Testing

/// What ends a handler's deliveries, for good or for a while: the bus, its subscription's end, a pause.
@Suite(.serialized) struct HandlerEndTests {
    /// Whether `body` ends.
    private static func ends(_ body: @escaping @Sendable () async -> Void) async -> Bool {
        let hasEnded = Shared(false)
        Task {
            await body()
            hasEnded.withLock { $0 = true }
        }
        return await eventually(timeout: .seconds(60)) { hasEnded.current }
    }

    /// The subscriptions as another program sees them.
    private static func registry(_ setup: BusSetup) throws -> SubscriptionRegistry {
        let settings = SubscriptionRegistry.Settings(
            events: try #require(StreamName("SLUICE_EVENTS")),
            prefix: try #require(SubjectPrefix("ce"))
        )
        return SubscriptionRegistry(client: setup.bus.client, settings: settings, logger: Logger(label: "test"))
    }

    @Test(arguments: ["worker", nil] as [String?])
    func `whoever unsubscribes after the bus has been closed waits for nothing`(durable: String?) async throws {
        let setup = try await BusSetup()
        let seen = Shared<Set<String>>([])
        let subscription = try Subscription(types: [], durableName: durable)
        let handle = try await setup.bus.subscribe(subscription) { event, _ in
            seen.withLock { _ = $0.insert(event.id) }
        }
        try await setup.publish(10)
        #expect(await eventually(timeout: .seconds(60)) { seen.current.count == 10 })
        #expect(await Self.ends { await setup.stop() })
        #expect(await Self.ends { await handle.unsubscribe() })
        // Nor the second time.
        #expect(await Self.ends { await handle.unsubscribe() })
    }

    @Test func `whoever unsubscribes while the bus is being closed waits for the handlers at most`() async throws {
        let setup = try await BusSetup()
        let isOpen = Shared(false)
        let (begun, ended, unsubscribed) = (Shared(0), Shared(0), Shared(0))
        let handles = try await [
            setup.bus.subscribe(Subscription(types: [], durableName: "one")) { _, _ in
                begun.withLock { $0 += 1 }
                _ = await eventually(timeout: .seconds(60)) { isOpen.current }
                ended.withLock { $0 += 1 }
            },
            setup.bus.subscribe(Subscription(types: [], durableName: "two")) { _, _ in
                begun.withLock { $0 += 1 }
                _ = await eventually(timeout: .seconds(60)) { isOpen.current }
                ended.withLock { $0 += 1 }
            },
        ]
        try await setup.publish(1)
        #expect(await eventually(timeout: .seconds(60)) { begun.current == 2 })
        // One before and one after the end has begun.
        for handle in handles {
            Task {
                await handle.unsubscribe()
                unsubscribed.withLock { $0 += 1 }
            }
            if handle.subscription.id == handles[0].subscription.id {
                let closed = Shared(false)
                Task {
                    closed.withLock { $0 = true }
                    await setup.stop()
                    unsubscribed.withLock { $0 += 1 }
                }
                #expect(await eventually { closed.current })
            }
        }
        isOpen.withLock { $0 = true }
        #expect(await eventually(timeout: .seconds(60)) { unsubscribed.current == 3 }, "\(unsubscribed.current) of 3")
        #expect(ended.current == 2)
    }

    @Test(arguments: NATSServer.available)
    func `a handler stops when its subscription is paused elsewhere, and goes on when it is resumed`(
        binary: NATSServer.Binary
    ) async throws {
        let setup = try await BusSetup(binary)
        let seen = Shared<[String: [Int]]>([:])
        let subscription = try Subscription(types: [], durableName: "worker")
        try await setup.bus.subscribe(subscription) { event, context in
            seen.withLock { $0[event.id, default: []].append(context.attempt) }
        }
        try await setup.publish(10)
        #expect(await setup.isSettled(subscription))
        #expect(seen.current.count == 10)
        let registry = try Self.registry(setup)
        #expect(try await registry.pause(subscription.key).state == .paused)
        // It hears of the pause in a moment: then an event is not seen any more.
        var published = 10
        var isPaused = false
        for round in 0..<20 where !isPaused {
            try await setup.publish(1, prefix: "round\(round)-")
            published += 1
            let (count, seen) = (published, seen)
            isPaused = await !eventually(timeout: .seconds(3)) { seen.current.count == count }
        }
        #expect(isPaused)
        try await setup.publish(10, prefix: "waiting-")
        let (isSeen, before) = (seen, seen.current.count)
        #expect(await !eventually(timeout: .seconds(2)) { isSeen.current.count > before })

        #expect(try await registry.resume(subscription.key).isActive)
        let all = published + 10
        #expect(await eventually(timeout: .seconds(60)) { isSeen.current.count == all }, "\(seen.current.count)")
        #expect(await setup.isSettled(subscription))
        // Waiting was no attempt.
        #expect(seen.current.values.allSatisfy { $0 == [1] }, "\(seen.current)")
        await setup.stop()
    }
}
