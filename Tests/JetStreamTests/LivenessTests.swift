import Foundation
import JetStream
import ServerFixtures
import Testing

@Suite struct LivenessTests {
    private static let second: Int64 = 1_000_000_000

    private func make() throws -> Liveness {
        var liveness = Liveness(configuration: JetStreamConfiguration(servers: [], name: "test"))
        liveness.start(now: 0)
        return liveness
    }

    @Test func `an idle server is probed every second and is fine when it answers`() throws {
        var liveness = try make()
        for second in 1...100 {
            #expect(liveness.check(now: Int64(second) * Self.second) == .probe)
            liveness.noteHeard(now: Int64(second) * Self.second)
            #expect(liveness.check(now: Int64(second) * Self.second + 1) == .fine)
        }
    }

    @Test func `R-39: a silent server is stalled after two seconds and given up after four`() throws {
        var liveness = try make()
        #expect(liveness.check(now: Self.second) == .probe)
        #expect(liveness.nextCheck == 2 * Self.second)
        #expect(liveness.check(now: 2 * Self.second) == .stalled)
        #expect(liveness.isStalled)
        #expect(liveness.check(now: 3 * Self.second) == .fine)
        #expect(liveness.nextCheck == 4 * Self.second)
        #expect(liveness.check(now: 4 * Self.second) == .dead)
    }

    @Test func `a stalled server that speaks again is fine`() throws {
        var liveness = try make()
        _ = liveness.check(now: Self.second)
        _ = liveness.check(now: 2 * Self.second)
        liveness.noteHeard(now: 3 * Self.second)
        #expect(!liveness.isStalled)
        #expect(liveness.check(now: 3 * Self.second + 1) == .fine)
    }

    @Test func `R-39: a server that speaks but takes no bytes is given up too`() throws {
        var liveness = try make()
        liveness.noteWrite(progressed: true, unwritten: 10, now: 0)
        for tenth in 1..<20 {
            liveness.noteHeard(now: Int64(tenth) * Self.second / 10)
            #expect(liveness.check(now: Int64(tenth) * Self.second / 10) == .fine)
        }
        liveness.noteHeard(now: 2 * Self.second)
        #expect(liveness.check(now: 2 * Self.second) == .stalled)
        liveness.noteHeard(now: 3 * Self.second)
        #expect(liveness.isStalled)
        #expect(liveness.check(now: 4 * Self.second) == .dead)
    }

    @Test func `our own pause is not the server's: silence counts only after a probe`() throws {
        var liveness = try make()
        #expect(liveness.check(now: 1000 * Self.second) == .probe)
        liveness.noteHeard(now: 1000 * Self.second)
        #expect(liveness.check(now: 1000 * Self.second + 1) == .fine)
    }

    @Test func `after a pause of our own the server has the usual time to answer the probe`() throws {
        var liveness = try make()
        let late = 1000 * Self.second
        #expect(liveness.check(now: late) == .probe)
        #expect(liveness.check(now: late + 1) == .fine)
        #expect(liveness.nextCheck == late + Self.second)
        #expect(liveness.check(now: late + Self.second) == .stalled)
        #expect(liveness.nextCheck == late + 3 * Self.second)
        #expect(liveness.check(now: late + 3 * Self.second) == .dead)
    }

    /// The rights of `deploy/nats/accounts.conf`, and the same without the inboxes.
    @Test(arguments: NATSServer.available, [true, false])
    func `probes need the right to publish to the client's own inboxes; who lacks it is told once and stays connected`(
        binary: NATSServer.Binary,
        isAllowed: Bool
    ) async throws {
        let rights = """
            authorization { users: [{ user: a, password: b, permissions: {
                publish: { allow: [\(isAllowed ? #""_INBOX.sluice.>", "# : "")"ce.>"] }, subscribe: { allow: ["_INBOX.sluice.>"] }
            } }] }
            no_auth_user: a
            trace: true
            """
        let server = try NATSServer(binary, extraConfiguration: rights)
        defer { server.kill() }
        try await withClient(server.url, adjust: { $0.probeInterval = .milliseconds(10) }) { test in
            #expect(await eventually { server.log.components(separatedBy: "[PUB _INBOX.sluice.").count > 20 })
            let warnings = test.logs.current.filter { $0.level == .warning }
            #expect(
                warnings.map(\.message) == (isAllowed ? [] : ["NATS does not let this user write to its own inboxes"])
            )
            #expect(server.log.contains("Publish Violation") == !isAllowed)
            #expect(test.client.state.isConnected)
            #expect(test.states.current.count { $0.isConnected } == 1)
        }
    }
}
