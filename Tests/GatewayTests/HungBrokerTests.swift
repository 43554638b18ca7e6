import ServerFixtures
import Testing

extension EndToEnd {
    /// a broker that is away, or there and silent, never takes the gateway with it.
    @Suite(.serialized) struct HungBrokerTests {
        @Test(arguments: NATSServer.available)
        func `R-35: a hung server makes the gateway unready, not dead, until it goes on`(
            binary: NATSServer.Binary
        ) throws {
            let stack = try GatewayStack(binary)
            #expect(stack.gateway.status(of: "/ready") == 200)
            stack.server.pause()
            #expect(waitUntil(timeout: .seconds(10)) { stack.gateway.status(of: "/health/ready") == 503 })
            #expect(stack.gateway.status(of: "/health/live") == 200)
            #expect(waitUntil(timeout: .seconds(10)) { stack.gateway.status(of: "/ready") == 503 })
            let health = try stack.gateway.get("/health")
            #expect(health.status == 503)
            #expect(health.json["status"].string == "unhealthy")
            stack.server.resume()
            #expect(waitUntil(timeout: .seconds(10)) { stack.gateway.status(of: "/health/ready") == 200 })
            #expect(try stack.exchange(TestEvent().structured()).status == 202)
        }

        @Test(arguments: NATSServer.available)
        func `R-39: under load a hung server means honest answers in time, and then recovery`(
            binary: NATSServer.Binary
        ) throws {
            let stack = try GatewayStack(binary, settings: ["PUBLISH_TIMEOUT": "2"])
            let cpuBefore = stack.gateway.cpuSeconds
            let started = ContinuousClock.now
            var run = PublishRun(connections: 64, perConnection: 50)
            var liveAnswers: [Int?] = []
            try run.send(to: stack.gateway, faultAfter: 100) {
                stack.server.pause()
                liveAnswers = (0..<20).map { _ in stack.gateway.status(of: "/health/live") }
            }
            #expect(liveAnswers.allSatisfy { $0 == 200 }, "an event loop was blocked")
            #expect(run.status.count == run.all.count, "an event got no answer")
            #expect(Set(run.status.values).isSubset(of: [202, 503, 504]), "\(Set(run.status.values))")
            #expect(run.acknowledged.count < run.all.count, "the server was paused too late: nothing was tested")
            let refused = try stack.exchange(TestEvent().structured())
            #expect([503, 504].contains(refused.status))
            #expect(Int(refused["Retry-After"] ?? "") ?? 0 >= 1, "\(refused.headers)")
            let elapsed = started.duration(to: .now) / .seconds(1)
            #expect(stack.gateway.cpuSeconds - cpuBefore < 1.2 * elapsed + 1)
            stack.server.resume()
            #expect(stack.waitUntilReady())
            try run.retryUntilAcknowledged(stack.gateway)
            let copies = try stack.reader().copiesByID().filter { run.status[$0.key] != nil }
            #expect(copies.count == run.all.count)
            #expect(copies.values.allSatisfy { $0 == 1 })
        }

        @Test func `R-39: a server that hangs during the reconnection is survived`() throws {
            let stack = try GatewayStack(NATSServer.standard, settings: ["PUBLISH_TIMEOUT": "2"])
            stack.server.kill()
            #expect(waitUntil(timeout: .seconds(10)) { stack.gateway.status(of: "/health/ready") == 503 })
            var silent: SilentListener? = try SilentListener(port: stack.server.port)
            let isTrying = waitUntil(timeout: .seconds(20)) { silent?.acceptOne() == true }
            #expect(isTrying, "the gateway does not try to reconnect")
            let cpuBefore = stack.gateway.cpuSeconds
            let started = ContinuousClock.now
            for _ in 0..<20 {
                #expect(try stack.exchange(TestEvent().structured()).status == 503)
                #expect(stack.gateway.status(of: "/health/live") == 200)
                _ = silent?.acceptOne()
            }
            let isTryingAgain = waitUntil(timeout: .seconds(20)) { silent?.acceptOne() == true }
            #expect(isTryingAgain, "no second attempt: the first hangs for ever")
            let elapsed = started.duration(to: .now) / .seconds(1)
            #expect(stack.gateway.cpuSeconds - cpuBefore < 1.2 * elapsed + 1)
            silent = nil
            try stack.server.start()
            #expect(stack.waitUntilReady())
            #expect(try stack.exchange(TestEvent().structured()).status == 202)
        }

        @Test func `a gateway without a server starts, says so, and becomes ready when it comes`() throws {
            let server = try NATSServer()
            server.kill()
            let gateway = try GatewayProcess(natsURL: server.url, until: .live)
            #expect(gateway.status(of: "/health/ready") == 503)
            let refused = try gateway.exchange(TestEvent().structured())
            #expect(refused.status == 503)
            #expect(refused.json["type"].string == "urn:sluice:problem:broker-unavailable", "\(refused.text)")
            #expect(Int(refused["Retry-After"] ?? "") ?? 0 >= 1)
            try server.start()
            #expect(waitUntil(timeout: .seconds(30)) { gateway.status(of: "/health/ready") == 200 })
            #expect(try gateway.exchange(TestEvent().structured()).status == 202)
        }
    }
}
