import CloudEvents
import EventBus
import JetStream
import Logging
import ServerFixtures
import ServiceLifecycle
import Testing

/// The bus and services of it in a service group, from start to graceful shutdown.
@Suite(.serialized) struct TypedLifecycleTests {
    /// A door that handlers wait at.
    private final class Door: Sendable {
        private let open = AsyncStream<Void>.makeStream()

        func unlock() { open.continuation.finish() }
        func pass() async { for await _ in open.stream {} }
    }

    private static func bus(_ url: String) throws -> EventBus {
        EventBus(configuration: try EventBusConfiguration(url: url), logger: Logger(label: "test"))
    }

    private static func group(_ services: [any Service]) -> ServiceGroup {
        ServiceGroup(
            configuration: ServiceGroupConfiguration(services: services, logger: Logger(label: "test"))
        )
    }

    @Test(arguments: NATSServer.available)
    func `a graceful shutdown lets handlers finish, and what they publish is stored`(
        binary: NATSServer.Binary
    ) async throws {
        let setup = try await BusSetup(binary)
        let bus = try Self.bus(setup.server.url)
        let door = Door()
        let (begun, ended, hasStopped) = (Shared<Set<String>>([]), Shared<Set<String>>([]), Shared(false))
        var config = SubscriptionConfig()
        config.maxInFlight = 4
        config.startAt = .earliest
        let store = ServiceEvents(Store.self, on: bus, config: config)
            .on(Bought.self) { received, publisher in
                begun.withLock { _ = $0.insert(received.payload.item) }
                await door.pass()
                try await publisher.publish(Shipped(item: received.payload.item))
                ended.withLock { _ = $0.insert(received.payload.item) }
            }
        let group = Self.group([bus, store])
        let running = Task {
            try await group.run()
            hasStopped.withLock { $0 = true }
        }
        let shop = ServiceEvents(Shop.self, on: setup.bus)
        for number in 0..<20 { try await shop.publisher.publish(Bought(item: "\(number)")) }
        #expect(await eventually(timeout: .seconds(30)) { begun.current.count == 4 })
        await group.triggerGracefulShutdown()
        await letPass(.milliseconds(500))
        #expect(!hasStopped.current && begun.current.count == 4 && ended.current.isEmpty)
        door.unlock()
        try await running.value
        #expect(ended.current == begun.current)
        let subscription = try Subscription(types: [Bought.eventType.text], durableName: "store")
        let left = try #require(try await setup.consumer(subscription))
        #expect(left.pending + UInt64(left.ackPending) == UInt64(20 - ended.current.count))
        await #expect(throws: PublishError.self) { try await bus.publish(Shipped(item: "late"), source: "/store") }

        // The next program takes the rest, and nothing again.
        let rest = Shared<Set<String>>([])
        let next = ServiceEvents(Store.self, on: setup.bus, config: config)
            .on(Bought.self) { received, _ in rest.withLock { _ = $0.insert(received.payload.item) } }
        try await next.subscribe()
        #expect(await setup.isSettled(subscription))
        #expect(rest.current == Set((0..<20).map(String.init)).subtracting(ended.current))
        await setup.stop()
    }

    @Test func `the bus as the only service finishes its handlers before it closes`() async throws {
        let setup = try await BusSetup()
        let bus = try Self.bus(setup.server.url)
        let door = Door()
        let (begun, ended) = (Shared(0), Shared(0))
        let group = Self.group([bus])
        let running = Task { try await group.run() }
        #expect(await eventually(timeout: .seconds(30)) { bus.status.isReady })
        try await bus.subscribe(to: Bought.self, durableName: "lonely") { _ in
            begun.withLock { $0 += 1 }
            await door.pass()
            try await bus.publish(Noticed(text: "done"), source: "/lonely")
            ended.withLock { $0 += 1 }
        }
        try await bus.publish(Bought(item: "tea"), source: "/shop")
        #expect(await eventually(timeout: .seconds(30)) { begun.current == 1 })
        await group.triggerGracefulShutdown()
        await letPass(.milliseconds(300))
        #expect(ended.current == 0)
        door.unlock()
        try await running.value
        #expect(ended.current == 1)
        #expect(!bus.status.connection.isConnected)
        let left = try #require(
            try await setup.consumer(try Subscription(types: [Bought.eventType.text], durableName: "lonely"))
        )
        #expect(left.pending == 0 && left.ackPending == 0)
        await setup.stop()
    }

    @Test func `a service waits for NATS as long as it takes`() async throws {
        let port = try freePort()
        let bus = try Self.bus("nats://127.0.0.1:\(port)")
        let seen = Shared<[String]>([])
        var config = SubscriptionConfig()
        config.startAt = .earliest
        let store = ServiceEvents(Store.self, on: bus, config: config)
            .on(Bought.self) { received, _ in seen.withLock { $0.append(received.payload.item) } }
        let group = Self.group([bus, store])
        let running = Task { try await group.run() }
        // Longer than a single try to subscribe waits.
        await letPass(.seconds(12))
        let server = try NATSServer(port: port)
        let shop = ServiceEvents(Shop.self, on: bus)
        #expect(await eventually(timeout: .seconds(60)) { bus.status.isReady })
        try await shop.publisher.publish(Bought(item: "tea"))
        #expect(await eventually(timeout: .seconds(60)) { seen.current == ["tea"] })
        await group.triggerGracefulShutdown()
        try await running.value
        server.terminate()
    }

    @Test func `a group ends at once while there is no NATS`() async throws {
        let bus = try Self.bus("nats://127.0.0.1:\(try freePort())")
        let store = ServiceEvents(Store.self, on: bus).on(Bought.self) { _, _ in }
        let shop = ServiceEvents(Shop.self, on: bus)
        let group = Self.group([bus, store, shop])
        let hasStopped = Shared(false)
        let running = Task {
            try await group.run()
            hasStopped.withLock { $0 = true }
        }
        await letPass(.milliseconds(300))
        await group.triggerGracefulShutdown()
        #expect(await eventually(timeout: .seconds(60)) { hasStopped.current })
        try await running.value
    }
}
