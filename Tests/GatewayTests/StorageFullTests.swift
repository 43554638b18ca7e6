import ServerFixtures
import Testing

extension EndToEnd {
    /// no room for events.
    @Suite(.serialized) struct StorageFullTests {
        /// What clients were told of the events they sent.
        private struct Filling {
            let gateway: GatewayProcess
            private(set) var answers = SteadyLoad.Answers()
            private let text = String(repeating: "x", count: 200_000)

            init(_ gateway: GatewayProcess) { self.gateway = gateway }

            /// - Returns: The answer to an event that is sent once.
            mutating func send(_ event: TestEvent) throws -> HTTPResponse {
                let answer = try gateway.exchange(event.structured())
                answers.statuses[answer.status, default: 0] += 1
                if answer.status == 202 { answers.acknowledged[event.id] = answer.json["sequence"].int }
                if [503, 507].contains(answer.status) { answers.denied.insert(event.id) }
                return answer
            }

            mutating func sendLarge() throws -> HTTPResponse {
                try send(TestEvent(data: "\"\(text)\""))
            }

            /// Sends large events until one is not acknowledged.
            mutating func fill() throws -> HTTPResponse {
                while true {
                    let answer = try sendLarge()
                    if answer.status != 202 { return answer }
                    try #require(answers.acknowledged.count < 1000, "it never becomes full")
                }
            }

            /// Sends new events until one is acknowledged.
            mutating func waitForAcceptance() throws -> Bool {
                try waitUntil(timeout: .seconds(30)) { try send(TestEvent()).status == 202 }
            }
        }

        @Test(arguments: NATSServer.available)
        func `R-13: at JetStream's limit of storage every event is a 507, and with room again a 202 without a restart`(
            binary: NATSServer.Binary
        ) throws {
            let broker = try SpecialBroker(binary, jetStream: "max_file_store: 4MB")
            let gateway = try GatewayProcess(natsURL: broker.url)
            var filling = Filling(gateway)
            let first = try filling.fill()
            #expect(first.json["type"].string == "urn:sluice:problem:store-full", "\(first.text)")
            for _ in 0..<10 { #expect(try filling.sendLarge().status == 507) }
            #expect(Set(filling.answers.statuses.keys) == [202, 507], "\(filling.answers.statuses)")
            #expect(filling.answers.acknowledged.count >= 10)
            let page = try MetricsPage(gateway.get("/metrics"))
            #expect(page["sluice_events_rejected_total{reason=\"store_full\"}"] == 11)
            #expect(gateway.status(of: "/health/live") == 200)
            #expect(waitUntil { (try? gateway.get("/health").json["status"].string) == "degraded" })
            try filling.answers.expectStored(StreamReader(url: broker.url))

            let reader = try StreamReader(url: broker.url)
            for sequence in 1...4 {
                let answer = try reader.api("STREAM.MSG.DELETE.\(GatewayStack.stream)", "{\"seq\":\(sequence)}")
                try #require(answer["success"].bool == true, "\(answer.text)")
            }
            #expect(try filling.waitForAcceptance())
            #expect(try filling.sendLarge().status == 202)
            #expect(try filling.fill().status == 507)
            let purged = try reader.api("STREAM.PURGE.\(GatewayStack.stream)", "{\"seq\":10}")
            try #require(purged["success"].bool == true, "\(purged.text)")
            #expect(try filling.waitForAcceptance())
            for _ in 0..<3 { #expect(try filling.sendLarge().status == 202) }
            #expect(waitUntil(timeout: .seconds(30)) { gateway.status(of: "/health/ready") == 200 })
            try filling.answers.expectStored(StreamReader(url: broker.url), gone: 1..<10)
        }

        /// With a full disk nats-server 2.9.10 answers nothing any more, and 2.15.1 no publish to that stream, also when there
        /// is room again, until it is started again: no PubAck comes, so that the outcome is unknown.
        @Test(arguments: NATSServer.available)
        func `R-13: on a full disk nothing is a false 202, and nats-server restarted with room is enough`(
            binary: NATSServer.Binary
        ) throws {
            let disk = try SmallDisk(mebibytes: 24)
            let broker = try SpecialBroker(binary, jetStream: "max_file_store: 1GB", disk: disk)
            try disk.occupy(leaving: 4 << 20)
            let gateway = try GatewayProcess(natsURL: broker.url, settings: ["PUBLISH_TIMEOUT": "1"])
            var filling = Filling(gateway)
            let first = try filling.fill()
            #expect([503, 504, 507].contains(first.status), "\(first.text)")
            #expect(disk.freeBytes < 400_000, "it was not the disk that was full: \(disk.freeBytes) bytes are free")
            for _ in 0..<3 {
                let status = try filling.sendLarge().status
                #expect([503, 504, 507].contains(status))
            }
            #expect(filling.answers.acknowledged.count >= 10)
            #expect(gateway.status(of: "/health/live") == 200)
            let isUnready = try waitUntil(timeout: .seconds(60)) {
                _ = try filling.sendLarge()
                return gateway.status(of: "/health/ready") == 503
            }
            #expect(isUnready, "the canary's stream may well answer, but no event can be stored")
            let pid = gateway.pid

            try disk.vacate()
            broker.kill()
            try broker.start()
            #expect(try filling.waitForAcceptance())
            for _ in 0..<10 { #expect(try filling.sendLarge().status == 202) }
            #expect(waitUntil(timeout: .seconds(60)) { gateway.status(of: "/health/ready") == 200 })
            #expect(gateway.pid == pid && gateway.exitStatus == nil)
            try filling.answers.expectStored(StreamReader(url: broker.url))
        }
    }
}
