import CloudEvents
import DeliveryRules
import EventBus
import Foundation
import JetStream
import Logging
import ServerFixtures
import Testing

/// A server with the streams of a bus, a client and the dead letters in it.
struct DeadLetterSetup {
    let server: NATSServer
    let client: JetStreamClient
    let plan: StreamPlan
    let box: DeadLetterBox
    let prefix: SubjectPrefix

    /// - Parameter proxy: makes the address that the client uses; the server's own if nil.
    init(_ binary: NATSServer.Binary, limits: StreamPlan.Limits = .init(), through proxy: TCPProxy? = nil) async throws
    {
        try await self.init(try NATSServer(binary), limits: limits, url: { proxy?.url ?? $0.url })
    }

    init(
        _ server: NATSServer,
        limits: StreamPlan.Limits = .init(),
        url: (NATSServer) -> String = { $0.url }
    ) async throws {
        self.server = server
        prefix = try #require(SubjectPrefix("ce"))
        plan = StreamPlan(
            events: try #require(StreamName("SLUICE_EVENTS")),
            deadLetters: try #require(StreamName("SLUICE_DEAD_LETTERS")),
            prefix: prefix,
            limits: limits
        )
        client = try Self.makeClient(url(server))
        box = DeadLetterBox(client: client, stream: plan.deadLetters.name)
        let (client, plan) = (client, plan)
        try #require(await eventually(timeout: .seconds(30)) { client.state.isConnected })
        for stream in plan.all { _ = try await client.createStream(stream) }
    }

    static func makeClient(_ url: String) throws -> JetStreamClient {
        var configuration = JetStreamConfiguration(
            servers: try url.split(separator: ",").map { try ServerURL(String($0)) },
            name: "dead-letters"
        )
        configuration.publishTimeout = .seconds(2)
        let client = JetStreamClient(configuration: configuration)
        client.start()
        return client
    }

    static func key(_ tenant: String, _ id: String) throws -> SubscriptionKey {
        SubscriptionKey(tenant: try #require(TenantName(tenant)), id: try #require(SubscriptionName(id)))
    }

    /// A structured event as the gateway stores it.
    static func eventText(_ id: String, type: String = "com.example.made") -> [UInt8] {
        Array(
            "{\"specversion\":\"1.0\",\"id\":\"\(id)\",\"source\":\"/test\",\"type\":\"\(type)\",\"data\":[1, 2]}".utf8
        )
    }

    /// A message of the event stream that never was there, for a dead letter that is as good as a real one.
    func origin(_ sequence: UInt64, tenant: String, payload: [UInt8]) -> DeadLetterOrigin {
        DeadLetterOrigin(
            stream: plan.events.name,
            sequence: sequence,
            subject: "ce.\(tenant).normal.com.example.made",
            headers: [("Content-Type", "application/cloudevents+json")],
            payload: payload[...]
        )
    }

    /// Stores a dead letter and returns its sequence.
    @discardableResult
    func store(
        _ origin: DeadLetterOrigin,
        _ key: SubscriptionKey,
        _ history: DeadLetterHistory = DeadLetterHistory(reason: .retriesExhausted, attempts: 5)
    ) async throws -> UInt64 {
        let message = DeadLetterMessage.make(origin, of: key, history, stream: plan.deadLetters.name)
        let outcome = await client.publish(message)
        guard case .stored(let sequence, _) = outcome else { throw NotStored(outcome: outcome) }
        return sequence
    }

    /// Stores many, 64 at a time: `key` and reason by number, from 1.
    func store(
        _ numbers: ClosedRange<UInt64>,
        _ describe: @escaping @Sendable (UInt64) -> (SubscriptionKey, DeadLetterReason)
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            var running = 0
            for number in numbers {
                if running == 64 { try await group.next() } else { running += 1 }
                group.addTask {
                    let (key, reason) = describe(number)
                    let payload = Self.eventText("e\(number)")
                    try await store(
                        origin(number, tenant: key.tenant.text, payload: payload),
                        key,
                        DeadLetterHistory(reason: reason, attempts: 1)
                    )
                }
            }
            try await group.waitForAll()
        }
    }

    struct NotStored: Error {
        let outcome: PublishOutcome
    }

    /// All messages of a stream, read one by one.
    func messages(_ stream: StreamName, client other: JetStreamClient? = nil) async throws -> [StoredMessage] {
        let client = other ?? client
        var messages: [StoredMessage] = []
        var next: UInt64 = 1
        while let message = try await client.nextMessage(in: stream, from: next) {
            messages.append(message)
            next = message.sequence + 1
        }
        return messages
    }

    func close() async { await client.close(grace: .zero) }
}
