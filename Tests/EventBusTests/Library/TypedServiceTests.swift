import CloudEvents
import EventBus
import JetStream
import Logging
import ServerFixtures
import ServiceLifecycle
import Testing

/// Services and their events, against real servers.
@Suite(.serialized) struct TypedServiceTests {
    private struct Broken: Error {}

    private static func quick() -> SubscriptionConfig {
        var config = SubscriptionConfig()
        config.backoff = [.milliseconds(20)]
        config.maxAttempts = 3
        return config
    }

    private static func subscription<Emitter: EventService>(_ service: ServiceEvents<Emitter>) throws -> Subscription {
        try Subscription(types: service.consumes.map(\.text), durableName: Emitter.name)
    }

    /// The events of a type in the stream, in order.
    private static func stored(_ type: String, in setup: BusSetup) async throws -> [CloudEvent] {
        let stream = try #require(StreamName("SLUICE_EVENTS"))
        let last = try #require(try await setup.bus.client.streamInfo(stream)).state.lastSequence
        var events: [CloudEvent] = []
        for sequence in 1...max(last, 1) {
            guard let message = try await setup.bus.client.message(in: stream, sequence: sequence) else { continue }
            let event = try NATSBinding.decode(headers: message.headers, payload: message.payload[...])
            if event.type == type { events.append(event) }
        }
        return events
    }

    @Test(arguments: NATSServer.available)
    func `a story goes from service to service`(binary: NATSServer.Binary) async throws {
        let setup = try await BusSetup(binary)
        let done = Shared<[TypedEvent<Shipped>]>([])
        let shop = ServiceEvents(Shop.self, on: setup.bus)
            .on(Shipped.self) { received, _ in done.withLock { $0.append(received) } }
        let store = ServiceEvents(Store.self, on: setup.bus)
            .on(Bought.self) { received, publisher in
                try await publisher.publish(Shipped(item: received.payload.item), subject: received.payload.item)
                try await publisher.publish(Noticed(text: "shipped"))
            }
        try await shop.subscribe()
        try await store.subscribe()
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        let context = EventContext(correlationID: "story", traceParent: trace)
        let receipt = try await shop.publisher(context: context).publish(Bought(item: "tea"), id: "first")
        #expect(receipt.sequence == 1)
        #expect(await eventually(timeout: .seconds(30)) { done.current.count == 1 })
        let shipped = try #require(done.current.first)
        #expect(shipped.payload == Shipped(item: "tea"))
        #expect(shipped.event.source == "/store" && shipped.event.subject == "tea")
        #expect(shipped.context.correlationID == "story" && shipped.context.causationID == "first")
        #expect(shipped.context.traceParent == trace)
        #expect(await setup.isSettled(try Self.subscription(store)))
        let notices = try await Self.stored(Noticed.eventType.text, in: setup)
        #expect(notices.map(\.source) == ["/store"])
        #expect(notices.first?.extensions["correlationid"]?.canonicalText == "story")
        #expect(notices.first?.extensions["eventkind"]?.canonicalText == "audit")
        await setup.stop()
    }

    @Test func `what a handler published before it failed is not stored twice`() async throws {
        let setup = try await BusSetup()
        let attempts = Shared<[Int]>([])
        let store = ServiceEvents(Store.self, on: setup.bus, config: Self.quick())
            .on(Bought.self) { received, publisher in
                for part in 1...3 { try await publisher.publish(Shipped(item: "\(received.payload.item) \(part)")) }
                try await publisher.publish(Shipped(item: "with a subject"), subject: "s")
                try await publisher.publish(Shipped(item: "with an id"), id: "own")
                attempts.withLock { $0.append(received.context.attempt) }
                if received.context.attempt < 3 { throw Broken() }
            }
        try await store.subscribe()
        let shop = ServiceEvents(Shop.self, on: setup.bus)
        try await shop.publisher.publish(Bought(item: "tea"))
        #expect(await eventually(timeout: .seconds(30)) { attempts.current.count == 3 })
        #expect(await setup.isSettled(try Self.subscription(store)))
        #expect(attempts.current == [1, 2, 3])
        let items = try await Self.stored(Shipped.eventType.text, in: setup).map {
            try $0.payload(as: Shipped.self).item
        }
        #expect(items == ["tea 1", "tea 2", "tea 3", "with a subject", "with an id"])
        // Another event has other ids, though it says the same.
        try await shop.publisher.publish(Bought(item: "tea"))
        #expect(await eventually(timeout: .seconds(30)) { attempts.current.count == 6 })
        #expect(await setup.isSettled(try Self.subscription(store)))
        let events = try await Self.stored(Shipped.eventType.text, in: setup)
        #expect(events.count == 9 && Set(events.map(\.id)).count == 9)
        await setup.stop()
    }

    @Test func `what a service refuses is among its dead letters`() async throws {
        let setup = try await BusSetup()
        let store = ServiceEvents(Store.self, on: setup.bus, config: Self.quick())
            .on(Bought.self) { received, _ in
                if received.payload.item == "stone" { throw EventRejection("nobody buys \(received.payload.item)") }
                throw Broken()
            }
        let shop = ServiceEvents(Shop.self, on: setup.bus)
            .on(Shipped.self) { _, _ in throw EventRejection("never called") }
        try await store.subscribe()
        try await shop.subscribe()
        try await shop.publisher.publish(Bought(item: "stone"))
        try await shop.publisher.publish(Bought(item: "sand"))
        #expect(await setup.isSettled(try Self.subscription(store)))
        let letters = try await store.deadLetters()
        #expect(letters.map(\.reason).sorted() == ["rejected", "retries-exhausted"])
        #expect(letters.first { $0.reason == "rejected" }?.lastError == "nobody buys stone")
        #expect(letters.first { $0.reason == "retries-exhausted" }?.attempts == 3)
        let first = try #require(letters.first)
        #expect(
            try await store.deadLetters(after: first.sequence).map(\.sequence) == letters.dropFirst().map(\.sequence)
        )
        #expect(try await shop.deadLetters().isEmpty)
        await setup.stop()
    }

    @Test(arguments: NATSServer.available)
    func `programs of one service share its events, and a newer one gets what an older does not know`(
        binary: NATSServer.Binary
    ) async throws {
        let first = try await BusSetup(binary)
        let second = try await BusSetup(first.server)
        let (left, right) = (Shared<Set<String>>([]), Shared<Set<String>>([]))
        var config = Self.quick()
        config.maxAttempts = 100
        let old = ServiceEvents(Store.self, on: first.bus, config: config)
            .on(Bought.self) { received, _ in left.withLock { _ = $0.insert(received.payload.item) } }
            .on(Noticed.self) { _, _ in }
        let new = ServiceEvents(Store.self, on: second.bus, config: config)
            .on(Bought.self) { received, _ in right.withLock { _ = $0.insert(received.payload.item) } }
            .on(Returned.self) { received, _ in right.withLock { _ = $0.insert(received.payload.item) } }
            .on(Noticed.self) { _, _ in }
        try await old.subscribe()
        try await new.subscribe()
        // A change of a subscription reaches all replicas within a second.
        await letPass(.seconds(2))
        let shop = ServiceEvents(Shop.self, on: first.bus)
        for number in 0..<300 {
            try await shop.publisher.publish(Bought(item: "\(number)"))
            if number % 10 == 0 { try await shop.publisher.publish(Returned(item: "back \(number)")) }
        }
        #expect(await eventually(timeout: .seconds(60)) { left.current.union(right.current).count == 330 })
        #expect(await first.isSettled(try Self.subscription(new)))
        #expect(left.current.allSatisfy { !$0.hasPrefix("back") })
        #expect(right.current.filter { $0.hasPrefix("back") }.count == 30)
        #expect(try await old.deadLetters().isEmpty)
        await second.stop()
        await first.stop()
    }

    @Test func `a service that cannot subscribe says so`() async throws {
        enum Nameless: EventService {
            static let name = "no name"
            static let source = "/nameless"
        }
        let setup = try await BusSetup()
        let service = ServiceEvents(Nameless.self, on: setup.bus).on(Bought.self) { _, _ in }
        await #expect(throws: SubscriptionError.self) { try await service.run() }
        let twice = ServiceEvents(Store.self, on: setup.bus).on(Bought.self) { _, _ in }.on(Bought.self) { _, _ in }
        await #expect(throws: SubscriptionError.self) { try await twice.run() }
        await #expect(throws: SubscriptionError.self) { try await ServiceEvents(Store.self, on: setup.bus).subscribe() }
        await setup.stop()
    }
}

enum Shop: EventService {
    static let name = "shop"
    static let source = "/shop"
}

enum Store: EventService {
    static let name = "store"
    static let source = "/store"
}

struct Bought: EventPayload, Equatable {
    typealias Emitter = Shop
    static let eventType = EventType("com.example.shop.bought")
    var item: String
}

struct Returned: EventPayload, Equatable {
    typealias Emitter = Shop
    static let eventType = EventType("com.example.shop.returned")
    var item: String
}

struct Shipped: EventPayload, Equatable {
    typealias Emitter = Store
    static let eventType = EventType("com.example.store.shipped")
    var item: String
}

struct Noticed: EventPayload, Equatable {
    static let eventType = EventType("com.example.noticed", kind: .audit)
    var text: String
}
