import CloudEvents
import DeliveryRules
import EventBus
import JetStream
import ServerFixtures
import Testing

/// The event bus as a library: handlers get every event at least once, and nothing ends silently.
@Suite(.serialized) struct HandlerTests {
    private static func quick(_ types: [String] = [], durable: String? = "worker") throws -> Subscription {
        var config = SubscriptionConfig()
        config.backoff = [.zero]
        config.maxAttempts = 3
        return try Subscription(types: types, durableName: durable, config: config)
    }

    @Test(arguments: NATSServer.available)
    func `every event that is wanted reaches the handler, and is settled`(binary: NATSServer.Binary) async throws {
        let setup = try await BusSetup(binary)
        let seen = Shared<[String: Int]>([:])
        let subscription = try Self.quick(["com.example.*"])
        try await setup.bus.subscribe(subscription) { event, context in
            #expect(context.attempt == 1)
            seen.withLock { $0[event.id, default: 0] += 1 }
        }
        try await setup.publish(500)
        try await setup.publish(20, type: "com.other.made", prefix: "other-")
        #expect(await eventually(timeout: .seconds(30)) { seen.current.count == 500 })
        #expect(await setup.isSettled(subscription))
        #expect(seen.current.values.allSatisfy { $0 == 1 })
        #expect(seen.current.keys.allSatisfy { !$0.hasPrefix("other") })
        await setup.stop()
    }

    @Test func `what a handler throws is tried again, and is a dead letter in the end`() async throws {
        struct Broken: Error {}
        let setup = try await BusSetup()
        let attempts = Shared<[String: [Int]]>([:])
        let subscription = try Self.quick()
        try await setup.bus.subscribe(subscription) { event, context in
            attempts.withLock { $0[event.id, default: []].append(context.attempt) }
            switch event.id {
            case "1": throw Broken()
            case "2" where context.attempt == 1: throw Broken()
            case "3": throw EventRejection("never")
            default: break
            }
        }
        try await setup.publish(5)
        #expect(await setup.isSettled(subscription))
        #expect(attempts.current["0"] == [1])
        #expect(attempts.current["1"] == [1, 2, 3])
        #expect(attempts.current["2"] == [1, 2])
        #expect(attempts.current["3"] == [1])
        let letters = try await setup.deadLetters()
        #expect(letters.map(\.reason).sorted() == ["rejected", "retries-exhausted"])
        #expect(letters.first { $0.reason == "retries-exhausted" }?.attempts == 3)
        #expect(letters.first { $0.reason == "rejected" }?.lastError == "never")
        await setup.stop()
    }

    @Test func `two programs of one queue group share the events, and one goes on alone`() async throws {
        let first = try await BusSetup()
        let second = try await BusSetup(first.server)
        let (left, right) = (Shared<Set<String>>([]), Shared<Set<String>>([]))
        let subscription = try Subscription(types: [], queueGroup: "group")
        try await first.bus.subscribe(subscription) { event, _ in left.withLock { _ = $0.insert(event.id) } }
        let handle = try await second.bus.subscribe(subscription) { event, _ in
            right.withLock { _ = $0.insert(event.id) }
        }
        try await first.publish(2000)
        #expect(await eventually(timeout: .seconds(30)) { left.current.union(right.current).count == 2000 })
        #expect(!left.current.isEmpty && !right.current.isEmpty)
        await handle.unsubscribe()
        try await first.publish(100, prefix: "later-")
        #expect(await eventually(timeout: .seconds(30)) { left.current.filter { $0.hasPrefix("later") }.count == 100 })
        await second.stop()
        await first.stop()
    }

    @Test func `a durable goes on where it stopped`() async throws {
        let setup = try await BusSetup()
        let subscription = try Self.quick()
        let seen = Shared<[String]>([])
        let handle = try await setup.bus.subscribe(subscription) { event, _ in seen.withLock { $0.append(event.id) } }
        try await setup.publish(10)
        #expect(await setup.isSettled(subscription))
        await handle.unsubscribe()
        try await setup.publish(10, prefix: "away-")
        try await setup.bus.subscribe(subscription) { event, _ in seen.withLock { $0.append(event.id) } }
        #expect(await eventually(timeout: .seconds(30)) { seen.current.count >= 20 })
        #expect(await setup.isSettled(subscription))
        #expect(seen.current.count == 20 && Set(seen.current).count == 20)
        await setup.stop()
    }

    @Test func `a story keeps its correlation, its cause and its trace`() async throws {
        let setup = try await BusSetup()
        let seen = Shared<[EventContext]>([])
        let bus = setup.bus
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        try await bus.subscribe(try Subscription(types: ["a"], durableName: "a")) { event, context in
            _ = try await bus.publish(BusSetup.event("second", type: "b"), context: context.caused(by: event))
        }
        try await bus.subscribe(try Subscription(types: ["b"], durableName: "b")) { _, context in
            seen.withLock { $0.append(context) }
        }
        let context = EventContext(correlationID: "story", traceParent: trace)
        _ = try await bus.publish(BusSetup.event("first", type: "a"), context: context)
        #expect(await eventually(timeout: .seconds(30)) { seen.current.count == 1 })
        #expect(seen.current.first?.correlationID == "story")
        #expect(seen.current.first?.causationID == "first")
        #expect(seen.current.first?.traceParent == trace)
        await setup.stop()
    }
}
