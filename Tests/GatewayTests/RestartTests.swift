import ServerFixtures
import Testing

extension EndToEnd {
    /// How a gateway ends and begins again under load.
    @Suite(.serialized) struct RestartTests {
        @Test func `R-33: SIGTERM makes it unready at once, and no request under way or on its way fails`() throws {
            let stack = try GatewayStack(NATSServer.standard, settings: ["DRAIN_GRACE": "3"])
            let idle = try stack.gateway.connect()
            #expect(try idle.exchange(TestEvent().structured()).status == 202)
            let clients = RetryingClients(count: 8, ports: [stack.gateway.port], policy: .note)
            #expect(clients.waitForMore(200))
            stack.gateway.terminate()
            #expect(waitUntil { stack.gateway.status(of: "/health/ready") == 503 }, "it does not say that it will go")
            let late = try stack.exchange(TestEvent().structured())
            #expect(late.status == 202)
            #expect(late["Connection"]?.lowercased() == "close")
            #expect(try idle.exchange(TestEvent().structured()).status == 202, "an idle connection was closed early")
            #expect(stack.gateway.exitStatus == nil)
            #expect(clients.stop())
            #expect(stack.gateway.waitForExit())
            #expect(stack.gateway.exitStatus == 0)
            #expect(clients.current.announcedEnds >= 8)
            #expect(clients.current.failures.isEmpty, "\(clients.current.failures.prefix(5))")
            #expect(try clients.current.lost(stack.reader()).isEmpty)
        }

        @Test func `R-33: a request that arrives while the grace ends is answered, a second signal ends it`() throws {
            let stack = try GatewayStack(NATSServer.standard, settings: ["DRAIN_GRACE": "600"])
            let half = try stack.gateway.connect()
            let bytes = TestEvent().structured().bytes
            try half.send(Array(bytes.dropLast(5)))
            #expect(try stack.gateway.get("/health/live").status == 200)
            stack.gateway.terminate()
            #expect(waitUntil { stack.gateway.status(of: "/health/ready") == 503 })
            stack.gateway.terminate()
            #expect(waitUntil { (try? stack.gateway.connect()) == nil }, "the listener stays open")
            try half.send(Array(bytes.suffix(5)))
            let answer = try half.receive()
            #expect(answer.status == 202)
            #expect(answer["Connection"]?.lowercased() == "close")
            #expect(stack.gateway.waitForExit())
            #expect(stack.gateway.exitStatus == 0)
        }

        @Test func `R-34: two gateways restarted in turn, again and again, and no client notices`() throws {
            let server = try NATSServer()
            let settings = ["DRAIN_GRACE": "0.3"]
            let gateways = try (0..<2).map { _ in try GatewayProcess(natsURL: server.url, settings: settings) }
            let clients = RetryingClients(count: 8, ports: gateways.map(\.port), policy: .note)
            for round in 0..<10 {
                let gateway = gateways[round % 2]
                #expect(clients.waitForMore(100))
                gateway.terminate()
                #expect(gateway.waitForExit())
                #expect(gateway.exitStatus == 0)
                try gateway.start()
            }
            #expect(clients.stop())
            #expect(clients.current.failures.isEmpty, "\(clients.current.failures.prefix(5))")
            #expect(try clients.current.lost(StreamReader(url: server.url)).isEmpty)
            // Without it the last use would be in the loop: the gateways end with their objects.
            withExtendedLifetime(gateways) {}
        }

        @Test func `R-44: killed at any moment, it comes back by itself and nothing acknowledged is lost`() throws {
            let stack = try GatewayStack(NATSServer.standard)
            let clients = RetryingClients(count: 8, ports: [stack.gateway.port], policy: .sendAgain)
            for _ in 0..<20 {
                // From the first connection on; the twentieth part of the kills hits the start itself.
                let count = Int.random(in: 0...200)
                #expect(clients.waitForMore(count))
                stack.gateway.kill()
                try stack.gateway.start()
            }
            #expect(clients.stop())
            let record = clients.current
            #expect(record.acknowledged.count > 100)
            let reader = try stack.reader()
            #expect(try record.lost(reader).isEmpty)
            let copies = try reader.copiesByID()
            #expect(copies.values.allSatisfy { $0 == 1 })
            #expect(Set(copies.keys).isSuperset(of: record.acknowledged.keys))
        }
    }
}
