import Foundation
import ServerFixtures
import Testing

extension EndToEnd {
    /// The configuration in `deploy/nats`: servers started with it as it is.
    @Suite(.serialized) struct DeployedClusterTests {
        private static let streams = [
            "SLUICE_EVENTS", "SLUICE_DEAD_LETTERS", "SLUICE_ADVISORIES", "SLUICE_CANARY", "SLUICE_AUDIT",
        ]

        @Test func `S-03, S-32: the gateway's user may do what the gateway does, and nothing else`() throws {
            let cluster = try DeployedCluster()
            let gateway = try GatewayProcess(natsURL: cluster.url, settings: ["STREAM_REPLICAS": "3"])
            let event = EventOracle.event(client: 1, count: 1)
            #expect(try gateway.exchange(event.structured()).status == 202)
            let again = try gateway.exchange(event.structured())
            #expect(again.status == 202 && again.json["duplicate"].bool == true)
            let manager = try cluster.probe(.operator)
            #expect(waitUntil { manager.count("SLUICE_AUDIT") > 0 }, "no audit record: \(gateway.log.suffix(5))")
            for stream in Self.streams {
                let configuration = manager.streamInfo(stream)?["config"] as? [String: Any]
                #expect(configuration?["num_replicas"] as? Int == 3, "\(stream)")
            }
            // The deliveries' connection has nothing to do, so the gateway probes whether the server lives.
            let received = try cluster.received(from: "sluice deliveries")
            #expect(try waitUntil { try cluster.received(from: "sluice deliveries") >= received + 4 })
            #expect(cluster.violations == [])
            #expect(gateway.log.filter { $0.contains(#""level":"error""#) || $0.contains("Violation") } == [])

            try expectRefused(
                cluster,
                by: .gateway,
                publishing: Self.refusedToGateway,
                subscribing: [">", "ce.>", "$SYS.>", "_INBOX.>", "_INBOX.someone.*"]
            )
            #expect(manager.count("SLUICE_EVENTS") == 1)
            #expect(manager.streamInfo("OTHER") == nil)
            // What was refused to the gateway does work for somebody.
            #expect(manager.json("$JS.API.STREAM.PURGE.SLUICE_EVENTS")?["success"] as? Bool == true)
            #expect(manager.count("SLUICE_EVENTS") == 0)
        }

        /// Subjects that would read, change or destroy what is stored, or do something to others.
        private static let refusedToGateway: [String] = {
            var subjects = [
                "$JS.API.STREAM.CREATE.OTHER", "$JS.API.STREAM.LIST", "$JS.API.CONSUMER.CREATE.SLUICE_AUDIT",
                "$JS.API.STREAM.LEADER.STEPDOWN.SLUICE_EVENTS", "$JS.API.META.LEADER.STEPDOWN", "$SYS.REQ.SERVER.PING",
                "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.SLUICE_EVENTS.x", "_INBOX.someone.1", "other",
            ]
            let allowed: Set = [
                "MSG.GET.SLUICE_EVENTS", "MSG.GET.SLUICE_DEAD_LETTERS", "MSG.GET.SLUICE_ADVISORIES",
                "MSG.DELETE.SLUICE_DEAD_LETTERS",
            ]
            for stream in streams {
                for verb in ["DELETE", "PURGE", "UPDATE", "MSG.DELETE", "MSG.GET"]
                where !allowed.contains("\(verb).\(stream)") {
                    subjects.append("$JS.API.STREAM.\(verb).\(stream)")
                }
            }
            return subjects
        }()

        @Test func `S-03: the auditor reads and changes nothing; who has no password does nothing`() throws {
            let cluster = try DeployedCluster()
            let gateway = try GatewayProcess(natsURL: cluster.url, settings: ["STREAM_REPLICAS": "3"])
            #expect(try gateway.exchange(EventOracle.event(client: 1, count: 1).structured()).status == 202)
            let auditor = try cluster.probe(.auditor)
            #expect(auditor.message("SLUICE_EVENTS", sequence: 1)?.subject.hasPrefix("ce.default.") == true)
            try expectRefused(
                cluster,
                by: .auditor,
                publishing: [
                    "ce.default.normal.x", "audit.acks.x", "$JS.API.STREAM.DELETE.SLUICE_EVENTS",
                    "$JS.API.STREAM.CREATE.X", "$JS.API.STREAM.PURGE.SLUICE_EVENTS",
                    "$JS.API.STREAM.MSG.DELETE.SLUICE_EVENTS", "$JS.API.CONSUMER.CREATE.SLUICE_EVENTS",
                ],
                subscribing: ["ce.>", ">"]
            )
            let port = cluster.nodes[0].port
            #expect(throws: NATSProbe.Failure.self) { try NATSProbe(port: port) }
            #expect(throws: NATSProbe.Failure.self) { try NATSProbe(port: port, user: "gateway", password: "x") }

            let route = try #require(TestSocket.connect(port: cluster.nodes[0].routePort))
            #expect(route.readLine()?.hasPrefix("INFO ") == true)
            route.send("CONNECT {\"user\":\"route\",\"pass\":\"x\",\"name\":\"intruder\",\"cluster\":\"sluice\"}\r\n")
            #expect(waitUntil { route.readLine(timeoutMilliseconds: 1000)?.hasPrefix("-ERR 'Authorization") ?? false })
        }

        @Test func `R-03: every server syncs before it acknowledges; the loss of one stops nothing`() throws {
            let cluster = try DeployedCluster()
            try expectSyncing(cluster)
            let gateway = try GatewayProcess(natsURL: cluster.url, settings: ["STREAM_REPLICAS": "3"])
            #expect(try gateway.exchange(EventOracle.event(client: 1, count: 1).structured()).status == 202)
            cluster.nodes[0].child.stop(SIGKILL)
            let event = EventOracle.event(client: 1, count: 2)
            let isStored = try waitUntil(timeout: .seconds(60)) {
                try gateway.exchange(event.structured()).status == 202
            }
            #expect(isStored, "\(gateway.log.suffix(10))")
            #expect(try cluster.probe(.operator, 1).count("SLUICE_EVENTS") == 2)
        }

        @Test func `R-03: the one server of the compose file syncs as well, and serves the gateway`() throws {
            let server = try DeployedCluster(size: 1)
            try expectSyncing(server)
            let gateway = try GatewayProcess(natsURL: server.url, settings: ["NATS_MONITOR_URL": server.monitorURL])
            #expect(try gateway.exchange(EventOracle.event(client: 1, count: 1).structured()).status == 202)
            let isProved = try waitUntil(timeout: .seconds(30)) {
                try gateway.get("/health").json["details"]["durability"].string == "fsync"
            }
            #expect(isProved, "\(gateway.log.suffix(5))")
            #expect(server.violations == [])
        }

        /// Every server says that it syncs each message, and how much it may store.
        private func expectSyncing(_ cluster: DeployedCluster) throws {
            for node in cluster.nodes.indices {
                let probe = try cluster.probe(.system, node)
                let greeting = try WireJSON(parsing: Array(probe.info.utf8.drop { $0 != UInt8(ascii: "{") }))
                let server = try #require(greeting["server_id"].string)
                let answer = try probe.request("$SYS.REQ.SERVER.\(server).JSZ", Array(#"{"config":true}"#.utf8))
                let configuration = try WireJSON(parsing: answer)["data"]["config"]
                #expect(configuration["sync_always"].bool == true)
                #expect(configuration["max_storage"].int == 1 << 30)
            }
        }

        /// The server refuses each of these subjects to this user, and says so.
        private func expectRefused(
            _ cluster: DeployedCluster,
            by user: DeployedCluster.User,
            publishing subjects: [String],
            subscribing wildcards: [String]
        ) throws {
            let probe = try cluster.probe(user)
            for subject in subjects { probe.publish(subject, payload: [], reply: "_INBOX.x") }
            for wildcard in wildcards { probe.subscribe(wildcard) }
            let expected =
                subjects.map { ("Publish Violation", "Subject \"\($0)\"") }
                + wildcards.map { ("Subscription Violation", "Subject \"\($0)\"") }
            func isRefused(_ kind: String, _ subject: String) -> Bool {
                cluster.violations.contains { line in
                    line.contains(kind) && line.contains(subject) && line.contains(user.rawValue)
                }
            }
            _ = waitUntil { expected.allSatisfy(isRefused) }
            for (kind, subject) in expected { #expect(isRefused(kind, subject), "\(kind) \(subject)") }
        }
    }
}
