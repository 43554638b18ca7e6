import ServerFixtures
import Testing

extension EndToEnd {
    /// `fsync` is said with evidence only.
    @Suite(.serialized) struct DurabilityClaimTests {
        private func wait(_ gateway: GatewayProcess, _ durability: String, _ evidence: String) -> Bool {
            waitUntil(timeout: .seconds(30)) {
                guard let details = try? gateway.get("/health").json["details"] else { return false }
                return details["durability"].string == durability
                    && details["durability_evidence"].string?.contains(evidence) == true
            }
        }

        /// A server with its monitoring on.
        private func server(_ binary: NATSServer.Binary, syncs: Bool) throws -> (NATSServer, monitor: String) {
            let port = try freePort()
            let server = try NATSServer(
                binary,
                extraConfiguration: "http: \"127.0.0.1:\(port)\"",
                extraJetStream: syncs ? "sync_interval: always" : ""
            )
            return (server, "http://127.0.0.1:\(port)")
        }

        private func current() throws -> NATSServer.Binary {
            try #require(NATSServer.available.last { !$0.version.hasPrefix("2.9.") }, "no nats-server of 2.10 or later")
        }

        @Test func `R-03: fsync is claimed when every server says that it syncs always`() throws {
            let (synced, monitor) = try server(current(), syncs: true)
            let gateway = try GatewayProcess(natsURL: synced.url, settings: ["NATS_MONITOR_URL": monitor])
            #expect(wait(gateway, "fsync", "sync_interval is always on the server"))
            synced.kill()
            #expect(wait(gateway, "process", "not connected"))
            try synced.start()
            #expect(wait(gateway, "fsync", "sync_interval is always on the server"))
            let (other, otherMonitor) = try server(current(), syncs: false)
            let both = ["NATS_MONITOR_URL": "\(monitor),\(otherMonitor)"]
            #expect(wait(try GatewayProcess(natsURL: synced.url, settings: both), "process", "does not sync always"))
            let wrong = ["NATS_MONITOR_URL": monitor]
            #expect(
                wait(try GatewayProcess(natsURL: other.url, settings: wrong), "process", "none of NATS_MONITOR_URL")
            )
        }

        @Test func `R-03: without evidence it is process`() throws {
            let (plain, monitor) = try server(current(), syncs: false)
            #expect(wait(try GatewayProcess(natsURL: plain.url), "process", "NATS_MONITOR_URL is not set"))
            let asked = ["NATS_MONITOR_URL": monitor]
            #expect(wait(try GatewayProcess(natsURL: plain.url, settings: asked), "process", "does not sync always"))
            let nobody = ["NATS_MONITOR_URL": "http://127.0.0.1:\(try freePort())"]
            #expect(wait(try GatewayProcess(natsURL: plain.url, settings: nobody), "process", "does not answer"))
            let modest = ["NATS_MONITOR_URL": monitor, "DURABILITY": "process"]
            #expect(wait(try GatewayProcess(natsURL: plain.url, settings: modest), "process", "configured"))
        }

        @Test(arguments: NATSServer.available)
        func `R-03: an operator's word counts where the server can keep it`(binary: NATSServer.Binary) throws {
            let server = try NATSServer(binary)
            let gateway = try GatewayProcess(natsURL: server.url, settings: ["DURABILITY": "fsync"])
            if binary.version.hasPrefix("2.9.") {
                #expect(wait(gateway, "process", "cannot sync before it acknowledges"))
                #expect(waitUntil { gateway.log.contains { $0.contains("DURABILITY=fsync is refused") } })
            } else {
                #expect(wait(gateway, "fsync", "asserted by the operator"))
            }
        }
    }
}
