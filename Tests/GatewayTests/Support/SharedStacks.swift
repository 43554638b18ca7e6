import ServerFixtures
import Testing

/// Everything that needs a running gateway, one test after the other: they share two processors with the servers.
@Suite(.serialized) enum EndToEnd {}

/// Gives a suite one gateway for each nats-server, started at the first use and stopped after the suite's last test.
struct SharedStacks: SuiteTrait, TestScoping {
    func provideScope(
        for test: Test,
        testCase: Test.Case?,
        performing function: @Sendable () async throws -> Void
    ) async throws {
        let stacks = StackPool()
        defer { stacks.stop() }
        try await StackPool.$current.withValue(stacks, operation: function)
    }
}

extension Trait where Self == SharedStacks {
    static var sharedStacks: Self { SharedStacks() }
}

// Safe: the tests that use it run one after another (`EndToEnd` is serialized).
final class StackPool: @unchecked Sendable {
    @TaskLocal static var current: StackPool?
    private var stacks: [String: GatewayStack] = [:]

    /// The suite's gateway in front of this nats-server.
    static func stack(_ binary: NATSServer.Binary) throws -> GatewayStack {
        let pool = try #require(current, "the suite lacks the trait .sharedStacks")
        if let stack = pool.stacks[binary.description] { return stack }
        let stack = try GatewayStack(binary)
        pool.stacks[binary.description] = stack
        return stack
    }

    /// The suite's gateway in front of the first nats-server.
    static func stack() throws -> GatewayStack {
        try stack(NATSServer.standard)
    }

    func stop() {
        stacks = [:]
    }
}
