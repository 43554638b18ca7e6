import CloudEvents
import EventBus
import JetStream
import Logging
import ServerFixtures
import Testing

/// A nats-server with a running bus in this process.
final class BusSetup: Sendable {
    let server: NATSServer
    let bus: EventBus
    private let running: Task<Void, Never>

    convenience init(_ binary: NATSServer.Binary = NATSServer.standard) async throws {
        try await self.init(NATSServer(binary))
    }

    init(_ server: NATSServer, url: String? = nil) async throws {
        self.server = server
        let prefix = try #require(SubjectPrefix("ce"))
        let plan = StreamPlan(
            events: try #require(StreamName("SLUICE_EVENTS")),
            deadLetters: try #require(StreamName("SLUICE_DEAD_LETTERS")),
            prefix: prefix,
            limits: StreamPlan.Limits()
        )
        let configuration = EventBusConfiguration(
            servers: [try ServerURL(url ?? server.url)],
            subjectPrefix: prefix,
            streams: plan
        )
        let bus = EventBus(configuration: configuration, logger: Logger(label: "test"))
        self.bus = bus
        running = Task { await bus.run() }
        try #require(await eventually(timeout: .seconds(30)) { bus.status.isReady })
    }

    /// Ends the bus as a program that stops does.
    func stop() async {
        await bus.close(within: .seconds(10))
        running.cancel()
        await running.value
    }

    static func event(_ id: String, type: String = "com.example.made", data: String = "{}") throws -> CloudEvent {
        try CloudEvent(id: id, source: "/test", type: type, data: .json(Array(data.utf8)[...]))
    }

    /// Publishes so many events, ids from 0 on.
    func publish(_ count: Int, type: String = "com.example.made", prefix: String = "") async throws {
        let events = try (0..<count).map { try Self.event("\(prefix)\($0)", type: type) }
        for result in await bus.publish(batch: events) { _ = try result.get() }
    }

    /// What the server says of a subscription's consumer.
    func consumer(_ subscription: Subscription) async throws -> ConsumerInfo? {
        let name = try #require(ConsumerName(subscription.key.durableName))
        let stream = try #require(StreamName("SLUICE_EVENTS"))
        return try await bus.client.consumerInfo(name, in: stream)
    }

    /// Waits until everything of a subscription is settled.
    func isSettled(_ subscription: Subscription) async -> Bool {
        for _ in 0..<600 {
            if let info = try? await consumer(subscription), info.pending == 0, info.ackPending == 0 { return true }
            await letPass(.milliseconds(50))
        }
        return false
    }

    /// The dead letters of the stream, in order.
    func deadLetters() async throws -> [DeadLetter] {
        let stream = try #require(StreamName("SLUICE_DEAD_LETTERS"))
        return try await DeadLetterBox(client: bus.client, stream: stream).list(.default).items
    }
}
