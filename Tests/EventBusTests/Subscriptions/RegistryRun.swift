import CloudEvents
import EventBus
import EventFilters
import JetStream
import Logging
import ServerFixtures
import Testing

/// A real server with an event stream, and replicas of a registry on it, each with a client of its own.
final class RegistryRun: Sendable {
    let server: NATSServer
    let probe: NATSProbe
    let replicas: [Replica]

    /// One replica and what it was told.
    final class Replica: Sendable {
        let client: JetStreamClient
        let registry: SubscriptionRegistry
        let changes = Shared<[(old: SubscriptionRecord?, new: SubscriptionRecord?)]>([])
        private let task = Shared<Task<Void, Never>?>(nil)

        init(_ server: NATSServer, _ adjust: (inout SubscriptionRegistry.Settings) -> Void) throws {
            client = JetStreamClient(
                configuration: JetStreamConfiguration(servers: [try ServerURL(server.url)], name: "registry-test")
            )
            let stream = try #require(StreamName("EVENTS"))
            var settings = SubscriptionRegistry.Settings(events: stream, prefix: try #require(SubjectPrefix("ce")))
            adjust(&settings)
            registry = SubscriptionRegistry(client: client, settings: settings, logger: Logger(label: "test"))
        }

        func start() async throws {
            client.start()
            task.withLock { task in
                task = Task { [registry, changes] in
                    await registry.run { old, new in changes.withLock { $0.append((old, new)) } }
                }
            }
            try #require(await eventually(timeout: .seconds(30)) { self.registry.isCurrent })
        }

        func stop() async {
            let running = task.withLock { task in
                defer { task = nil }
                return task
            }
            running?.cancel()
            await running?.value
            await client.close(grace: .zero)
        }

        /// Waits until the replica knows it.
        func sees(_ key: SubscriptionKey, _ condition: @escaping @Sendable (SubscriptionRecord?) -> Bool) async -> Bool
        {
            await eventually(timeout: .seconds(30)) { condition(self.registry.record(key)) }
        }
    }

    private init(
        _ binary: NATSServer.Binary,
        count: Int,
        _ adjust: (inout SubscriptionRegistry.Settings) -> Void
    ) throws {
        server = try NATSServer(binary)
        probe = try NATSProbe(port: server.port)
        probe.createStream("EVENTS", subjects: ["ce.>"])
        let server = server
        replicas = try (0..<count).map { _ in try Replica(server, adjust) }
    }

    /// Runs `body` with so many replicas that have read everything.
    static func with(
        _ binary: NATSServer.Binary,
        replicas: Int = 1,
        adjust: (inout SubscriptionRegistry.Settings) -> Void = { _ in },
        _ body: (RegistryRun) async throws -> Void
    ) async throws {
        let run = try RegistryRun(binary, count: replicas, adjust)
        do {
            for replica in run.replicas { try await replica.start() }
            try await body(run)
        } catch {
            await run.stop()
            throw error
        }
        await run.stop()
    }

    private func stop() async {
        for replica in replicas { await replica.stop() }
        server.kill()
    }

    var registry: SubscriptionRegistry { replicas[0].registry }

    /// Stores events under the subjects that their types have.
    func publish(_ types: String...) async throws {
        for type in types { try await publish(type, lane: .normal) }
    }

    func publish(_ type: String, lane: Lane) async throws {
        let message = OutboundMessage(
            subject: EventRoute.subject(
                prefix: try #require(SubjectPrefix("ce")),
                tenant: .default,
                lane: lane,
                type: type
            ),
            expectedStream: try #require(StreamName("EVENTS")),
            headers: MessageHeaders(),
            payload: Array("{}".utf8)[...]
        )
        guard case .stored = await replicas[0].client.publish(message) else { throw NotStored() }
    }

    /// Fetches so many messages through a consumer and acknowledges them, without what is tested.
    func settle(_ key: SubscriptionKey, _ sequences: ClosedRange<Int>) async throws {
        let inbox = "settle.\(UInt64.random(in: 0 ... .max))"
        probe.subscribe(inbox)
        let consumer = key.durableName
        for (index, sequence) in sequences.enumerated() {
            probe.publish("$JS.API.CONSUMER.MSG.NEXT.EVENTS.\(consumer)", payload: [], reply: inbox)
            _ = try #require(probe.nextMessage(timeoutMilliseconds: 20_000))
            probe.publish("$JS.ACK.EVENTS.\(consumer).1.\(sequence).\(index + 1).0.0", payload: Array("+ACK".utf8))
        }
        let last = UInt64(sequences.upperBound)
        try await becomes { try await self.registry.info(key)?.ackFloorStreamSequence == last }
    }

    /// The server did not store an event.
    struct NotStored: Error {}
}

/// Waits until an asynchronous condition holds.
func becomes(
    timeout: Duration = .seconds(30),
    _ condition: () async throws -> Bool,
    sourceLocation: SourceLocation = #_sourceLocation
) async throws {
    let end = ContinuousClock.now + timeout
    while try await !condition() {
        if ContinuousClock.now >= end {
            Issue.record("it never came to hold", sourceLocation: sourceLocation)
            return
        }
        await letPass(.milliseconds(20))
    }
}

/// A subscription by its name and types.
func makeSubscription(
    _ id: String,
    types: [String] = [],
    deliveryProtocol: DeliveryProtocol = .pull,
    _ adjust: (inout Subscription) -> Void = { _ in }
) throws -> Subscription {
    var subscription = Subscription(
        id: try #require(SubscriptionName(id)),
        types: try types.map { try TypePattern($0) },
        deliveryProtocol: deliveryProtocol
    )
    adjust(&subscription)
    return subscription
}
