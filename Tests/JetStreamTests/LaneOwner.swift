import Foundation
import JetStream
import ServerFixtures

/// A lane on a thread of its own, as an event loop has it, with everything that came.
final class LaneOwner: Sendable {
    /// What has come, in order.
    struct Record: Sendable {
        var messages: [(tag: UInt64, message: DeliveredMessage)] = []
        var ends: [(tag: UInt64, end: PullEnd)] = []
        var settled: [(tag: UInt64, confirmed: Bool)] = []
        var wakeUps = 0

        func end(of tag: UInt64) -> PullEnd? { ends.first { $0.tag == tag }?.end }
        func confirmed(_ tag: UInt64) -> Bool? { settled.first { $0.tag == tag }?.confirmed }
    }

    typealias Work = @Sendable (DeliveryLane) -> Void

    private struct Mailbox {
        var work: [Work] = []
        var stopped = false
    }

    private let record = Shared(Record())
    private let mailbox = Shared(Mailbox())
    private let arrived = DispatchSemaphore(value: 0)

    /// `onMessage` is called on the lane's thread for every message.
    init(
        _ client: JetStreamClient,
        onMessage: @escaping @Sendable (DeliveryLane, DeliveredMessage) -> Void = { _, _ in }
    ) {
        let (arrived, mailbox, record) = (arrived, mailbox, record)
        Thread {
            let lane = client.makeDeliveryLane { arrived.signal() }
            while true {
                arrived.wait()
                let (work, stopped) = mailbox.withLock { mailbox in
                    defer { mailbox.work = [] }
                    return (mailbox.work, mailbox.stopped)
                }
                for body in work { body(lane) }
                var events: [DeliveryLane.Event] = []
                lane.drain { events.append($0) }
                for event in events {
                    if case .message(_, let message) = event { onMessage(lane, message) }
                }
                record.withLock { record in
                    record.wakeUps += 1
                    for event in events {
                        switch event {
                        case .message(let tag, let message): record.messages.append((tag, message))
                        case .pullEnded(let tag, let end): record.ends.append((tag, end))
                        case .settled(let tag, let confirmed): record.settled.append((tag, confirmed))
                        }
                    }
                }
                lane.flush()
                if stopped { return }
            }
        }.start()
    }

    deinit { stop() }

    /// Runs on the lane's thread; what it asked for goes out at once.
    func run(_ body: @escaping Work) {
        mailbox.withLock { $0.work.append(body) }
        arrived.signal()
    }

    /// Ends the thread.
    func stop() {
        mailbox.withLock { $0.stopped = true }
        arrived.signal()
    }

    var current: Record { record.current }

    func pull(
        _ consumer: ConsumerName,
        batch: Int,
        bytesMax: Int? = nil,
        expires: Duration = .seconds(20),
        noWait: Bool = false,
        tag: UInt64 = 1
    ) throws {
        guard let stream = StreamName("EVENTS") else { throw BadName() }
        run {
            $0.pull(consumer, in: stream, batch: batch, bytesMax: bytesMax, expires: expires, noWait: noWait, tag: tag)
        }
    }

    func settle(_ message: DeliveredMessage, _ how: Settlement = .acknowledge, tag: UInt64) {
        run { $0.settle(message.ack, how, tag: tag) }
    }

    /// One of the messages that have come.
    func message(_ index: Int) throws -> DeliveredMessage {
        let messages = current.messages
        guard messages.indices.contains(index) else { throw MissingMessage() }
        return messages[index].message
    }

    func has(messages count: Int, timeout: Duration = .seconds(20)) async -> Bool {
        await eventually(timeout: timeout) { self.current.messages.count >= count }
    }

    func end(of tag: UInt64, timeout: Duration = .seconds(30)) async -> PullEnd? {
        _ = await eventually(timeout: timeout) { self.current.end(of: tag) != nil }
        return current.end(of: tag)
    }

    func confirmed(_ tag: UInt64, timeout: Duration = .seconds(20)) async -> Bool? {
        _ = await eventually(timeout: timeout) { self.current.confirmed(tag) != nil }
        return current.confirmed(tag)
    }
}

extension TestClient {
    /// Whether so many pulls come to wait at a consumer.
    func hasWaiting(_ count: Int, at name: ConsumerName) async -> Bool {
        let end = ContinuousClock.now + .seconds(30)
        while ContinuousClock.now < end {
            if (try? await info(name)?.waiting) == count { return true }
            await letPass(.milliseconds(20))
        }
        return false
    }

    /// A consumer of `EVENTS` with explicit acknowledgements.
    @discardableResult
    func makeConsumer(
        _ name: String = "acme_orders",
        _ adjust: (inout ConsumerConfiguration) -> Void = { _ in }
    ) async throws -> ConsumerName {
        guard let consumer = ConsumerName(name), let stream = StreamName("EVENTS") else {
            throw BadName()
        }
        var configuration = ConsumerConfiguration(name: consumer)
        adjust(&configuration)
        _ = try await client.createConsumer(configuration, in: stream)
        return consumer
    }

    func info(_ name: ConsumerName) async throws -> ConsumerInfo? {
        guard let stream = StreamName("EVENTS") else { throw BadName() }
        return try await client.consumerInfo(name, in: stream)
    }

    func publish(_ count: Int, from first: Int = 0) async -> Bool {
        let messages = (first..<first + count).map { makeMessage(id: "m\($0)", payload: Array("event \($0)".utf8)) }
        return await publishAll(messages, on: client).allSatisfy { $0.count == 1 && $0[0].isStored }
    }
}

/// A server with the stream `EVENTS` on `ce.>` and a client for a test's body; both are ended afterwards.
func withStream(
    _ binary: NATSServer.Binary,
    extra: String = "",
    through proxied: Bool = false,
    adjust: (inout JetStreamConfiguration) -> Void = { _ in },
    _ body: (NATSServer, TCPProxy, TestClient) async throws -> Void
) async throws {
    let server = try NATSServer(binary, extraConfiguration: extra)
    let proxy = TCPProxy(target: server.port)
    defer {
        server.resume()
        server.kill()
        proxy.stop()
    }
    try await withClient(proxied ? proxy.url : server.url, adjust: adjust) { test in
        guard let name = StreamName("EVENTS") else { throw BadName() }
        _ = try await test.client.createStream(StreamConfiguration(name: name, subjects: ["ce.>"]))
        try await body(server, proxy, test)
    }
}

/// A name in a test is none.
struct BadName: Error {}

/// Fewer messages have come than a test needs.
struct MissingMessage: Error {}
