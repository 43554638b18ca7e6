import ServerFixtures
import Testing

extension EndToEnd {
    /// where it is hard: the leader goes in the middle of it.
    @Suite(.serialized) struct ClusterPublishTests {
        @Test func `R-07: fifty identical posts while the leader is killed are one event`() throws {
            let stack = try ClusterStack()
            var random = SeededGenerator(seed: 7)
            for round in 0..<3 {
                let event = EventOracle.event(client: 0, count: round)
                stack.oracle.attempt(event.id)
                let leader = try stack.leader()
                let connections = try (0..<50).map { _ in try stack.gateway.connect(timeout: .seconds(30)) }
                let before = Int.random(in: 10...45, using: &random)
                for connection in connections[..<before] { try connection.send(event.structured()) }
                stack.cluster.kill(leader)
                for connection in connections[before...] { try connection.send(event.structured()) }
                for connection in connections { stack.oracle.answer(event.id, try connection.receive()) }
                let isStored = try waitUntil(timeout: .seconds(60)) {
                    let answer = try stack.gateway.exchange(event.structured())
                    stack.oracle.answer(event.id, answer)
                    return answer.status == 202
                }
                #expect(isStored, "round \(round)")
                try stack.cluster.restart(leader)
                try #require(stack.cluster.waitUntilCurrent(ClusterStack.stream))
            }
            let verdict = try stack.verdict()
            #expect(verdict == EventOracle.Verdict(), "\(verdict)")
            #expect(stack.oracle.acknowledgedCount == 3)
            #expect(Set(stack.oracle.statuses.keys).isSubset(of: [202, 503, 504]), "\(stack.oracle.statuses)")
        }

        @Test func `R-09: batches of 100 cut short by the death of the leader tell the truth about every entry`() throws
        {
            let stack = try ClusterStack()
            let leader = try stack.leader()
            let batches = (0..<48).map { client in
                (0..<100).map { EventOracle.event(client: client, count: $0) }
            }
            for event in batches.joined() { stack.oracle.attempt(event.id) }
            let connections = try batches.map { _ in try stack.gateway.connect(timeout: .seconds(30)) }
            for (connection, events) in zip(connections, batches) { try connection.send(batch(events.map(\.json))) }
            var answers = [try connections[0].receive()]
            stack.cluster.kill(leader)
            answers += try connections.dropFirst().map { try $0.receive() }
            #expect(answers.contains { $0.status != 202 }, "the kill came after the last answer: nothing was tested")

            for (answer, events) in zip(answers, batches) {
                let results = answer.json["results"].items
                try #require(results.count == events.count, "\(answer.text.prefix(500))")
                for (result, event) in zip(results, events) {
                    stack.oracle.answer(event.id, result["status"].int ?? 0, sequence: result["sequence"].int)
                }
                let statuses = Set(results.compactMap { $0["status"].int })
                #expect(statuses == [202] || answer.status != 202, "202 over \(statuses)")
                #expect(!statuses.contains(504) || answer.status == 504, "an unknown entry makes the whole unknown")
            }
            try stack.cluster.restart(leader)
            let verdict = try stack.verdict()
            #expect(verdict == EventOracle.Verdict(), "\(verdict)")
            #expect(Set(stack.oracle.statuses.keys).isSubset(of: [202, 503, 504]), "\(stack.oracle.statuses)")
            #expect(stack.oracle.acknowledgedCount > 0, "\(stack.oracle.statuses)")
        }
    }
}
