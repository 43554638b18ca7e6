import Foundation
import ServerFixtures
import Testing

extension EndToEnd {
    /// in short: `deploy/chaos`, which breaks things in a random order.
    @Suite(.serialized) struct ChaosTests {
        @Test(arguments: ["single", "cluster"])
        func `R-02, R-34, R-44: random faults lose nothing and leave nothing that was not sent`(
            topology: String
        ) throws {
            let seed = UInt32.random(in: 0 ... .max)
            let verdict = try run(["--topology", topology, "--seed", String(seed), "--seconds", "30"])
            let note: Comment = "seed \(seed): \(verdict.text)"
            #expect(verdict["ok"].bool == true, note)
            #expect(verdict["violations"].members.isEmpty, note)
            #expect(verdict["acknowledged"].int ?? 0 >= 500, note)
            #expect(verdict["stored"].int ?? 0 >= verdict["acknowledged"].int ?? .max, note)
            #expect(verdict["faults"].int ?? 0 >= 2, note)
        }

        @Test func `R-30, R-32: Redis in trouble changes no answer, and the counters are exact afterwards`() throws {
            let seed = UInt32.random(in: 0 ... .max)
            let faults = "redis-stop,redis-pause,redis-full,redis-cut,redis-hold"
            let verdict = try run(["--seed", String(seed), "--seconds", "25", "--only", faults])
            let note: Comment = "seed \(seed): \(verdict.text)"
            #expect(verdict["ok"].bool == true, note)
            #expect(verdict["faults"].int ?? 0 >= 2, note)
            // A busy machine may be the reason for a few others.
            let answers = verdict["answers"].members.reduce(0) { $0 + ($1.value.int ?? 0) }
            #expect((verdict["answers"]["202"].int ?? 0) * 20 >= answers * 19, note)
            #expect(verdict["tenantMetrics"].string == "answered", note)
            #expect(verdict["metrics"].string == "2 of 2 answered", note)
            #expect(verdict["redisAccepted"].members.count == 3, note)
            #expect(verdict["redisAccepted"].isSameValue(as: verdict["toldAccepted"]), note)
        }

        /// Runs it to its end and returns what it says; a violation makes it fail with everything it found.
        private func run(_ arguments: [String]) throws -> WireJSON {
            let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent()
            let own = try ["--json", "--gateway", GatewayProcess.binary(), "--nats-server", NATSCluster.binary().path]
            let lines = try PythonProgram.run("\(root.path)/deploy/chaos_parts/main.py", arguments: own + arguments)
            return try WireJSON(parsing: Array((lines.last ?? "").utf8))
        }
    }
}
