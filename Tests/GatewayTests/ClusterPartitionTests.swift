import ServerFixtures
import Testing

extension EndToEnd {
    /// a minority promises nothing that the majority does not keep.
    @Suite(.serialized) struct ClusterPartitionTests {
        @Test(arguments: [NATSClusterRoutes.Isolation.cut, .silent])
        func `R-16: every 202 from the minority's side is readable after healing`(
            isolation: NATSClusterRoutes.Isolation
        ) throws {
            let stack = try ClusterStack()
            let leader = try stack.leader()
            let others = stack.cluster.nodes.indices.filter { $0 != leader }
            let minority = try ClusterStack.gateway(url: stack.cluster.url(of: [leader]))
            let majority = try ClusterStack.gateway(url: stack.cluster.url(of: others))
            let oracle = stack.oracle
            let (below, above) = (
                ClusterLoad(minority, oracle, clients: 3), ClusterLoad(majority, oracle, clients: 3, firstClient: 3)
            )
            try #require(below.waitForProgress() && above.waitForProgress())

            stack.cluster.isolate(leader, isolation)
            try #require(stack.cluster.waitForLeader(of: ClusterStack.stream, except: [leader]) != nil)
            #expect(above.waitForProgress(), "the majority does not go on")
            // The old leader is still asked, before and after it notices: until it has refused something, nothing is tested.
            #expect(
                waitUntil(timeout: .seconds(60)) { oracle.statuses.keys.contains { $0 != 202 } },
                "nothing was refused: \(oracle.statuses)"
            )
            #expect(minority.status(of: "/health/live") == 200)

            stack.cluster.heal(leader)
            #expect(below.waitForProgress(), "the gateway of the minority does not go on")
            #expect(below.stop() && above.stop())
            let verdict = try stack.verdict()
            #expect(verdict == EventOracle.Verdict(), "\(verdict)")
            #expect(Set(oracle.statuses.keys).isSubset(of: [202, 503, 504]), "\(oracle.statuses)")
        }
    }
}
