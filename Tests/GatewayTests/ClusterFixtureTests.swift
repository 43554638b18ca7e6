import ServerFixtures
import Testing

extension EndToEnd {
    /// The cluster of the tests does what its name says; a node that is cut off is cut off.
    @Suite(.serialized) struct ClusterFixtureTests {
        @Test(arguments: [NATSClusterRoutes.Isolation.cut, .silent])
        func `an isolated node hears nothing of the others until it is healed`(
            isolation: NATSClusterRoutes.Isolation
        ) throws {
            let cluster = try NATSCluster()
            try #require(cluster.api("STREAM.CREATE.S", #"{"name":"S","subjects":["s.>"],"num_replicas":3}"#) != nil)
            #expect(cluster.waitUntilCurrent("S"))
            let leader = try #require(cluster.waitForLeader(of: "S"))
            let probes = try cluster.nodes.map { try NATSProbe(port: $0.port) }
            let listeners = try cluster.nodes.map { try NATSProbe(port: $0.port) }
            for listener in listeners { listener.subscribe("news.*") }
            #expect(waitUntil { hears(probes[leader], listeners) == [0, 1, 2] })

            cluster.isolate(leader, isolation)
            let others = cluster.nodes.indices.filter { $0 != leader }
            // Longer than the servers need to reconnect by what they know of each other.
            let end = ContinuousClock.now + .seconds(5)
            while ContinuousClock.now < end {
                #expect(hears(probes[leader], listeners) == [leader])
                #expect(Set(hears(probes[others[0]], listeners)) == Set(others))
            }
            let successor = try #require(cluster.waitForLeader(of: "S", except: [leader]))
            #expect(others.contains(successor))

            cluster.heal(leader)
            #expect(waitUntil(timeout: .seconds(60)) { hears(probes[leader], listeners) == [0, 1, 2] })
            #expect(cluster.waitUntilCurrent("S"))
        }

        @Test func `SHA-256 of the standard's examples`() {
            #expect(
                SHA256.hexDigest(of: "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
            )
            #expect(
                SHA256.hexDigest(of: "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")
                    == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
            )
        }

        /// Publishes a message with a subject of its own: the listeners that hear of it within a moment.
        private func hears(_ sender: NATSProbe, _ listeners: [NATSProbe]) -> [Int] {
            let subject = "news.\(UInt64.random(in: 0 ... .max))"
            sender.publish(subject, payload: [])
            return listeners.indices.filter { index in
                while let message = listeners[index].nextMessage(timeoutMilliseconds: 300) {
                    if message.subject == subject { return true }
                }
                return false
            }
        }
    }
}
