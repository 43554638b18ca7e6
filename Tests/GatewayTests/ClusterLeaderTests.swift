import ServerFixtures
import Testing

extension EndToEnd {
    /// what a cluster goes through costs time, never an acknowledged event.
    @Suite(.serialized) struct ClusterLeaderTests {
        enum Fault: CaseIterable {
            case kill
            case pause
            case stepDown
        }

        @Test func `R-14: leaders that are killed, stopped or step down under load lose nothing`() throws {
            let seed = UInt64.random(in: 0 ... .max)
            var random = SeededGenerator(seed: seed)
            let faults = ([.kill, .pause] + Fault.allCases).shuffled(using: &random)
            let stack = try ClusterStack()
            let load = ClusterLoad(stack.gateway, stack.oracle, clients: 4)
            try #require(load.waitForProgress())
            for (number, fault) in faults.enumerated() {
                let note: Comment = "seed \(seed): \(number) of \(faults)"
                let leader = try stack.leader()
                let (follower, _) = try apply(fault, to: leader, stack)
                #expect(follower != leader, note)
                #expect(load.waitForProgress(), "publishing does not go on; \(note)")
                try repair(fault, leader, stack)
                try #require(stack.cluster.waitUntilCurrent(ClusterStack.stream), note)
            }
            #expect(load.stop())
            let verdict = try stack.verdict()
            #expect(verdict == EventOracle.Verdict(), "\(verdict); seed \(seed): \(faults)")
            #expect(stack.oracle.acknowledgedCount > 100, "\(stack.oracle.statuses)")
            #expect(Set(stack.oracle.statuses.keys).isSubset(of: [202, 503, 504]), "\(stack.oracle.statuses)")
        }

        /// Does it to the leader, and waits for the next one.
        private func apply(_ fault: Fault, to leader: Int, _ stack: ClusterStack) throws -> (leader: Int, Fault) {
            switch fault {
            case .kill: stack.cluster.kill(leader)
            case .pause: stack.cluster.pause(leader)
            case .stepDown: #expect(stack.cluster.stepDown(ClusterStack.stream))
            }
            let next = stack.cluster.waitForLeader(of: ClusterStack.stream, except: [leader])
            return (try #require(next, "nobody leads after \(fault)"), fault)
        }

        private func repair(_ fault: Fault, _ node: Int, _ stack: ClusterStack) throws {
            switch fault {
            case .kill: try stack.cluster.restart(node)
            case .pause: stack.cluster.resume(node)
            case .stepDown: break
            }
        }

        @Test(arguments: [Fault.kill, .pause])
        func `R-15: without a quorum nothing is acknowledged and everything answered, and then it goes on`(
            fault: Fault
        ) throws {
            let stack = try ClusterStack()
            let load = ClusterLoad(stack.gateway, stack.oracle, clients: 2)
            try #require(load.waitForProgress())
            let leader = try stack.leader()
            let gone = [leader, (leader + 1) % 3]
            for node in gone { fault == .kill ? stack.cluster.kill(node) : stack.cluster.pause(node) }

            // What was on its way when they went may still have had its quorum.
            let connection = try stack.gateway.connect(timeout: .seconds(30))
            var statuses: [Int] = []
            for count in 0..<8 {
                let event = EventOracle.event(client: 99, count: count)
                stack.oracle.attempt(event.id)
                let answer = try connection.exchange(event.structured())
                stack.oracle.answer(event.id, answer)
                statuses.append(answer.status)
                if answer.status != 202 { #expect(Int(answer["Retry-After"] ?? "") ?? 0 >= 1, "\(answer.headers)") }
            }
            #expect(Set(statuses).isSubset(of: [503, 504]), "\(statuses)")
            #expect(waitUntil(timeout: .seconds(20)) { stack.gateway.status(of: "/health/ready") == 503 })
            #expect(stack.gateway.status(of: "/health/live") == 200)

            for node in gone { try repair(fault, node, stack) }
            #expect(load.waitForProgress(), "publishing does not go on")
            #expect(load.stop())
            let verdict = try stack.verdict()
            #expect(verdict == EventOracle.Verdict(), "\(verdict)")
            #expect(Set(stack.oracle.statuses.keys).isSubset(of: [202, 503, 504]), "\(stack.oracle.statuses)")
        }
    }
}
