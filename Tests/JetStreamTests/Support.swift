import Foundation
import JetStream
import ServerFixtures
import Testing

/// A message for `EVENTS` on `ce.test.<token>`.
func makeMessage(
    _ token: String = "a",
    id: String? = nil,
    stream: String = "EVENTS",
    payload: [UInt8] = Array("{}".utf8)
) -> OutboundMessage {
    guard let prefix = SubjectPrefix("ce"), let stream = StreamName(stream) else { preconditionFailure("bad name") }
    return OutboundMessage(
        subject: Subject(prefix: prefix, tokens: ["test", token]),
        expectedStream: stream,
        headers: MessageHeaders(messageID: id.flatMap { HeaderValue($0) }),
        payload: payload[...]
    )
}

/// A started client with what it reported.
final class TestClient: Sendable {
    let client: JetStreamClient
    let states = Shared<[ConnectionState]>([])
    let logs = Shared<[LogEvent]>([])

    init(_ urls: String..., adjust: (inout JetStreamConfiguration) -> Void = { _ in }) throws {
        var configuration = JetStreamConfiguration(servers: try urls.map { try ServerURL($0) }, name: "test")
        adjust(&configuration)
        client = JetStreamClient(
            configuration: configuration,
            onStateChange: { [states] state in states.withLock { $0.append(state) } },
            log: { [logs] event in logs.withLock { $0.append(event) } }
        )
        client.start()
    }

    func connected(timeout: Duration = .seconds(15)) async -> Bool {
        await eventually(timeout: timeout) { self.client.state.isConnected }
    }

    /// The reason why the last attempt to connect failed, once there is one.
    func lastFailure(containing text: String) async -> Bool {
        await eventually(timeout: .seconds(15)) {
            self.states.current.contains { state in
                if case .connecting(let failure?) = state { failure.contains(text) } else { false }
            }
        }
    }
}

/// A connected client for a test's body, closed afterwards.
func withClient(
    _ url: String,
    adjust: (inout JetStreamConfiguration) -> Void = { _ in },
    _ body: (TestClient) async throws -> Void
) async throws {
    let client = try TestClient(url, adjust: adjust)
    do {
        #expect(await client.connected())
        try await body(client)
    } catch {
        await client.client.close(grace: .zero)
        throw error
    }
    await client.client.close(grace: .zero)
}

/// Publishes through a lane from one thread, at most `window` at a time, and returns all outcomes of each message.
///
/// Ends when every message has an outcome, or after `timeout`; then waits another moment for outcomes too many.
func publishAll(
    _ messages: [OutboundMessage],
    on client: JetStreamClient,
    window: Int = .max,
    timeout: Duration = .seconds(60)
) async -> [[PublishOutcome]] {
    await onThread {
        let arrived = DispatchSemaphore(value: 0)
        let lane = client.makeLane { arrived.signal() }
        var outcomes = [[PublishOutcome]](repeating: [], count: messages.count)
        var submitted = 0
        var settled = 0
        let end = ContinuousClock.now + timeout
        while settled < messages.count, ContinuousClock.now < end {
            while submitted < messages.count, submitted - settled < window {
                lane.submit(messages[submitted], tag: UInt64(submitted))
                submitted += 1
            }
            lane.flush()
            _ = arrived.wait(timeout: .now() + 0.1)
            lane.drain { tag, outcome, _ in
                outcomes[Int(tag)].append(outcome)
                settled += 1
            }
        }
        if arrived.wait(timeout: .now() + 0.05) == .success {
            lane.drain { tag, outcome, _ in outcomes[Int(tag)].append(outcome) }
        }
        return outcomes
    }
}

extension PublishOutcome {
    var isStored: Bool { if case .stored = self { true } else { false } }

    var rejection: Rejection.Kind? { if case .rejected(let rejection) = self { rejection.kind } else { nil } }
}
