import JetStream
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
}
