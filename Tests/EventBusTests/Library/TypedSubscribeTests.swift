import CloudEvents
import EventBus
import ServerFixtures
import Testing

/// Subscribing to payloads and publishing them, against real servers.
@Suite(.serialized) struct TypedSubscribeTests {
    private struct Made: EventPayload, Equatable {
        static let eventType = EventType("com.example.thing.made")
        var number: Int
    }

    private struct MadeAgain: EventPayload, Equatable {
        static let eventType = EventType("com.example.thing.made", version: 2)
        var number: Int
        var maker: String
    }

    private struct Ordered: EventPayload, Equatable {
        static let eventType = EventType("com.example.thing.order", kind: .command)
        var number: Int
    }

    private static func quick() -> SubscriptionConfig {
        var config = SubscriptionConfig()
        config.backoff = [.zero]
        config.maxAttempts = 3
        return config
    }

    private static func durable(_ name: String, _ types: [EventType]) throws -> Subscription {
        try Subscription(types: types.map(\.text), durableName: name)
    }

    @Test(arguments: NATSServer.available)
    func `a handler gets exactly its type and version`(binary: NATSServer.Binary) async throws {
        let setup = try await BusSetup(binary)
        let bus = setup.bus
        let seen = Shared<[Int]>([])
        try await bus.subscribe(to: Made.self, durableName: "made") { received in
            #expect(received.event.subject == "s\(received.payload.number)")
            #expect(received.event.source == "/maker")
            #expect(received.context.attempt == 1)
            seen.withLock { $0.append(received.payload.number) }
        }
        for number in 0..<50 {
            try await bus.publish(Made(number: number), source: "/maker", subject: "s\(number)")
            try await bus.publish(MadeAgain(number: -1, maker: "m"), source: "/maker")
            try await bus.publish(Ordered(number: -2), source: "/maker")
        }
        try await setup.publish(5, type: "com.example.thing.made")
        try await setup.publish(5, type: "com.example.thing.made.v1.more", prefix: "more-")
        #expect(await eventually(timeout: .seconds(30)) { seen.current.count >= 50 })
        #expect(await setup.isSettled(try Self.durable("made", [Made.eventType])))
        #expect(seen.current.sorted() == Array(0..<50))
        #expect(try await setup.deadLetters().isEmpty)
        await setup.stop()
    }

    @Test(arguments: NATSServer.available)
    func `several payloads share a subscription`(binary: NATSServer.Binary) async throws {
        let setup = try await BusSetup(binary)
        let bus = setup.bus
        let (made, again, ordered) = (Shared<[Int]>([]), Shared<[MadeAgain]>([]), Shared<[Int]>([]))
        let handlers = EventHandlers()
            .on(Made.self) { received in made.withLock { $0.append(received.payload.number) } }
            .on(MadeAgain.self) { received in again.withLock { $0.append(received.payload) } }
            .on(Ordered.self) { received in ordered.withLock { $0.append(received.payload.number) } }
        #expect(handlers.types.map(\.text) == ["made.v1", "made.v2", "order.v1"].map { "com.example.thing.\($0)" })
        try await bus.subscribe(handlers, queueGroup: "works", durableName: "all")
        for number in 0..<20 {
            try await bus.publish(Made(number: number), source: "/maker")
            try await bus.publish(MadeAgain(number: number, maker: "m"), source: "/maker")
            try await bus.publish(Ordered(number: number), source: "/maker")
            try await setup.publish(1, type: "com.example.thing.lost", prefix: "\(number)-")
        }
        let isComplete = await eventually(timeout: .seconds(30)) {
            made.current.count + again.current.count + ordered.current.count >= 60
        }
        #expect(isComplete)
        #expect(await setup.isSettled(try Self.durable("all-works", handlers.types)))
        #expect(made.current.sorted() == Array(0..<20) && ordered.current.sorted() == Array(0..<20))
        #expect(again.current.map(\.number).sorted() == Array(0..<20))
        #expect(again.current.allSatisfy { $0.maker == "m" })
        await setup.stop()
    }

    @Test func `what does not decode is a dead letter with the reason, and harms no other`() async throws {
        let setup = try await BusSetup()
        let bus = setup.bus
        let seen = Shared<[Int]>([])
        try await bus.subscribe(to: Made.self, durableName: "made", config: Self.quick()) { received in
            seen.withLock { $0.append(received.payload.number) }
        }
        let broken = try BusSetup.event("broken", type: Made.eventType.text, data: #"{"number":"seven"}"#)
        let empty = try CloudEvent(id: "empty", source: "/test", type: Made.eventType.text)
        try await bus.publish(Made(number: 1), source: "/maker")
        for event in [broken, empty] { _ = try await bus.publish(event) }
        try await bus.publish(Made(number: 2), source: "/maker")
        #expect(await eventually(timeout: .seconds(30)) { seen.current.count == 2 })
        #expect(await setup.isSettled(try Self.durable("made", [Made.eventType])))
        let letters = try await setup.deadLetters()
        #expect(letters.map(\.reason) == ["rejected", "rejected"])
        #expect(letters.allSatisfy { $0.attempts == 1 })
        let reasons = try Dictionary(
            uniqueKeysWithValues: letters.map { (try $0.decodeEvent().id, $0.lastError ?? "") }
        )
        #expect(reasons["broken"]?.contains("com.example.thing.made.v1: at /number") == true)
        #expect(reasons["empty"]?.contains("no data") == true)
        #expect(try letters.first { try $0.decodeEvent().id == "broken" }?.decodeEvent() == broken)
        #expect(seen.current.sorted() == [1, 2])
        await setup.stop()
    }

    @Test func `handlers that cannot be are refused all at once`() async throws {
        struct Wild: EventPayload { static let eventType = EventType("com.example.*") }
        let setup = try await BusSetup()
        let handlers = EventHandlers().on(Made.self) { _ in }.on(Wild.self) { _ in }.on(Made.self) { _ in }
        do {
            try await setup.bus.subscribe(handlers)
            Issue.record("subscribed")
        } catch {
            guard case .invalid(let violations) = error else { return #expect(Bool(false), "\(error)") }
            #expect(violations.map(\.pointer) == ["/types/1", "/types/2"])
        }
        await #expect(throws: SubscriptionError.self) { try await setup.bus.subscribe(EventHandlers()) }
        await #expect(throws: PublishError.self) { try await setup.bus.publish(Wild(), source: "/a") }
        await setup.stop()
    }

    @Test func `a payload is published with its context, and once for one id`() async throws {
        let setup = try await BusSetup()
        let bus = setup.bus
        let tenant = try #require(TenantName("acme"))
        let seen = Shared<[(CloudEvent, EventContext)]>([])
        try await bus.subscribe(to: Made.self, durableName: "made", tenant: tenant) { received in
            seen.withLock { $0.append((received.event, received.context)) }
        }
        let context = EventContext(tenant: tenant, correlationID: "story", causationID: "cause")
        try await bus.publish(Made(number: 0), source: "/maker")
        let first = try await bus.publish(Made(number: 1), source: "/maker", id: "one", context: context)
        let second = try await bus.publish(Made(number: 2), source: "/maker", id: "one", context: context)
        #expect(!first.isDuplicate && second.isDuplicate && first.sequence == second.sequence)
        #expect(await eventually(timeout: .seconds(30)) { !seen.current.isEmpty })
        let subscription = try Subscription(types: [Made.eventType.text], durableName: "made", tenant: tenant)
        #expect(await setup.isSettled(subscription))
        #expect(seen.current.count == 1)
        let (event, received) = try #require(seen.current.first)
        #expect(try event.id == "one" && event.payload(as: Made.self) == Made(number: 1))
        #expect(received.tenant == tenant && received.correlationID == "story" && received.causationID == "cause")
        await setup.stop()
    }
}
