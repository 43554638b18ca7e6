import Foundation
import ServerFixtures
import Testing

extension EndToEnd {
    /// what an acknowledgement survives, seen in the system calls of nats-server.
    @Suite(.serialized) struct DurabilityTests {
        @Test func `R-03: with sync_interval always each PubAck comes after an fsync of what it acknowledges`() throws {
            let calls = try Self.callsOfPublishing(20, jetStream: "sync_interval: always")
            #expect(calls.count == 20)
            for (event, order) in calls { #expect(order == [.written, .synced, .acknowledged], "\(event)") }
        }

        @Test func `R-03: without it no PubAck waits for an fsync`() throws {
            let calls = try Self.callsOfPublishing(20, jetStream: "")
            #expect(calls.count == 20)
            for (event, order) in calls { #expect(order == [.written, .acknowledged], "\(event)") }
        }

        private enum Step { case written, synced, acknowledged }

        /// Publishes events one after the other through a gateway to a nats-server under strace.
        ///
        /// - Returns: What the server did for each event, in order, up to its PubAck.
        private static func callsOfPublishing(_ count: Int, jetStream: String) throws -> [String: [Step]] {
            let current = NATSServer.available.last { !$0.version.hasPrefix("2.9.") }
            let binary = try #require(current, "SLUICE_TEST_NATS_SERVER_CURRENT names no nats-server of 2.10 or later")
            let directory = TemporaryDirectory()
            let trace = "\(directory.path)/trace"
            // -D: the server is our child, and strace its grandchild, so that it is ended by its own process id.
            let calls = "trace=fsync,fdatasync,write,pwrite64,writev,sendto"
            let strace = ["strace", "-D", "-f", "-y", "-s", "2000", "-e", calls, "-o", trace]
            let broker = try SpecialBroker(binary, jetStream: jetStream, wrapper: strace)
            let gateway = try GatewayProcess(natsURL: broker.url, settings: ["PUBLISH_TIMEOUT": "30"])
            var sequences: [String: Int] = [:]
            for _ in 0..<count {
                let event = TestEvent()
                let answer = try gateway.exchange(event.structured())
                try #require(answer.status == 202, "\(answer.text)")
                sequences[event.id] = answer.json["sequence"].int
            }
            let last = sequences.values.max() ?? 0
            var lines: [String] = []
            // strace writes its file while it goes on.
            let isWhole = waitUntil(timeout: .seconds(30)) {
                let text = (try? String(contentsOfFile: trace, encoding: .utf8)) ?? ""
                lines = text.split(separator: "\n").map { String($0).replacing("\\", with: "") }
                return lines.contains { Self.isPubAck($0, last) }
            }
            try #require(isWhole, "the trace lacks the last PubAck; \(lines.count) lines")
            let steps = sequences.map { ($0.key, Self.steps(of: $0.key, sequence: $0.value, in: lines)) }
            return Dictionary(uniqueKeysWithValues: steps)
        }

        private static func isPubAck(_ line: String, _ sequence: Int) -> Bool {
            line.contains("MSG _INBOX.") && line.contains("\"stream\":\"\(GatewayStack.stream)\"")
                && line.contains("\"seq\":\(sequence)}")
        }

        /// A call that other threads interrupt is two lines: it begins with the first and has an effect with the second.
        private static func steps(of id: String, sequence: Int, in lines: [String]) -> [Step] {
            var steps: [Step] = []
            var file = ""
            var syncing: Set<Substring> = []
            for line in lines {
                let thread = line.prefix { $0 != " " }
                let path =
                    line.split(separator: "<").dropFirst().first?.split(separator: ">").first.map(String.init) ?? ""
                if line.contains(id), line.contains("write"), path.hasSuffix(".blk") {
                    steps.append(.written)
                    file = path
                } else if line.contains("sync("), !file.isEmpty, path == file {
                    if line.contains("<unfinished") { syncing.insert(thread) } else { steps.append(.synced) }
                } else if line.contains("sync resumed>"), syncing.remove(thread) != nil {
                    steps.append(.synced)
                } else if isPubAck(line, sequence) {
                    return steps + [.acknowledged]
                }
            }
            return steps
        }
    }
}
