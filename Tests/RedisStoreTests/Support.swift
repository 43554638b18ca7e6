import Foundation
import Glibc
import RedisStore
import ServerFixtures
import Testing

/// A started client with what it reported.
final class TestClient: Sendable {
    let client: RedisClient
    let events = Shared<[RedisEvent]>([])

    init(_ url: String, adjust: (inout RedisConfiguration) -> Void = { _ in }) throws {
        var configuration = try RedisConfiguration(url: url)
        // Generous: the machine may be slow, and tests of deadlines set their own.
        configuration.connectTimeout = .seconds(20)
        configuration.commandTimeout = .seconds(60)
        configuration.reconnectPauseMax = .milliseconds(200)
        adjust(&configuration)
        client = RedisClient(configuration: configuration) { [events] event in events.withLock { $0.append(event) } }
        client.start()
    }

    func connected() async -> Bool {
        await eventually(timeout: .seconds(30)) { self.client.state.isConnected }
    }

    /// Waits until an attempt to connect has failed with this text in its reason.
    func connectFailure(containing text: String) async -> Bool {
        await eventually(timeout: .seconds(30)) {
            self.events.current.contains { event in
                if case .connectFailed(_, let reason, _) = event {
                    text.isEmpty || reason.contains(text)
                } else {
                    false
                }
            }
        }
    }

    /// Waits until a connection has ended for a reason with this text.
    func disconnection(containing text: String) async -> Bool {
        await eventually(timeout: .seconds(30)) {
            self.events.current.contains { event in
                if case .disconnected(_, let reason) = event { text.isEmpty || reason.contains(text) } else { false }
            }
        }
    }

    /// The reply to one command.
    func run(_ name: StaticString, _ arguments: String...) async throws -> RedisReply {
        try #require(try await client.run([RedisCommand(name, arguments)]).first)
    }

    /// The error with which one command ends, nil if it has a reply.
    func failure(_ name: StaticString, _ arguments: String...) async -> RedisError? {
        await error(of: RedisCommand(name, arguments))
    }

    /// The error with which a command ends, nil if it has a reply.
    func error(of command: RedisCommand) async -> RedisError? {
        do throws(RedisError) {
            _ = try await client.run([command])
            return nil
        } catch {
            return error
        }
    }
}

/// A connected client for a test's body, closed afterwards.
func withClient(
    _ url: String,
    adjust: (inout RedisConfiguration) -> Void = { _ in },
    _ body: (TestClient) async throws -> Void
) async throws {
    let test = try TestClient(url, adjust: adjust)
    do {
        try #require(await test.connected())
        try await body(test)
    } catch {
        await test.client.close()
        throw error
    }
    await test.client.close()
    #expect(test.client.state == .closed)
}

extension RedisError {
    var isConnectionLost: Bool {
        if case .connectionLost = self { true } else { false }
    }

    var isNotConnected: Bool {
        if case .notConnected = self { true } else { false }
    }

    var isProtocolError: Bool {
        if case .protocolError = self { true } else { false }
    }
}
