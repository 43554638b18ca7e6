import ServerFixtures
import Testing

extension EndToEnd {
    /// The counters of tenants in Redis, seen through the gateway (R-30, R-31, R-32).
    @Suite(.serialized) struct CounterTests {
        /// A gateway that counts in a Redis of its own.
        private struct Stack {
            let redis: RedisServer
            let gateway: GatewayStack

            init(settings: [String: String] = [:]) throws {
                redis = try RedisServer()
                let own = ["REDIS_URL": redis.url].merging(settings) { $1 }
                gateway = try GatewayStack(NATSServer.standard, settings: own)
            }

            func report(of tenant: String) throws -> WireJSON {
                try gateway.gateway.get("/v1/tenants/\(tenant)/metrics").json
            }

            func publish(_ count: Int, tenant: String = "acme", type: String = "com.example.counted") throws -> Int {
                try (0..<count).count { _ in
                    let event = TestEvent(type: type)
                    return try gateway.exchange(event.structured(headers: [("X-Tenant-ID", tenant)])).status == 202
                }
            }

            func waitForAccepted(_ count: Int, of tenant: String = "acme") -> Bool {
                waitUntil(timeout: .seconds(30)) { (try? report(of: tenant)["accepted"].int) == count }
            }
        }

        @Test func `every outcome of an event is counted for its tenant, and seen by another replica`() throws {
            let stack = try Stack()
            let tenant = ("X-Tenant-ID", "acme")
            let event = TestEvent(type: "com.example.a")
            #expect(try stack.publish(3, type: "com.example.b") == 3)
            for _ in 0..<2 { _ = try stack.gateway.exchange(event.structured(headers: [tenant])) }
            let refused = [
                StatusTests.structured("{}", headers: [tenant]), StatusTests.structured("{", headers: [tenant]),
                StatusTests.post("text/plain", "x", headers: [tenant]),
                batch([TestEvent().json, "{}"], headers: [tenant]),
            ]
            for request in refused { #expect(try stack.gateway.exchange(request).status >= 400) }
            let skipping = batch([TestEvent().json, "{}"], to: "/v1/events?on-invalid=skip", headers: [tenant])
            #expect(try stack.gateway.exchange(skipping).status == 207)
            #expect(
                try stack.gateway.exchange(shortForm(#"{"event_type":"s","data":1,"tenant_id":"short"}"#)).status == 202
            )
            let other = try GatewayProcess(natsURL: stack.gateway.server.url, settings: ["REDIS_URL": stack.redis.url])
            try #require(stack.waitForAccepted(6))
            try #require(waitUntil { (try? other.get("/v1/tenants/short/metrics").json["accepted"].int) == 1 })
            let report = try other.get("/v1/tenants/acme/metrics").json
            #expect(report["tenant"].string == "acme")
            #expect(report["duplicates"].int == 1)
            #expect(report["types"]["com.example.b"].int == 3)
            #expect(report["types"]["com.example.a"].int == 2)
            #expect(report["rejected"]["invalid"].int == 4, "{} alone, in two batches, and the good one beside it")
            #expect(report["rejected"]["malformed"].int == 1)
            #expect(report["rejected"]["unsupported"].int == 1)
            #expect(report["bytes"].int ?? 0 > 0)
            #expect(report["lastEventTime"].string?.hasSuffix("Z") == true)
            let minutes = report["series"].items
            #expect(minutes.compactMap { $0["accepted"].int }.reduce(0, +) == 6)
            #expect(minutes.compactMap { $0["rejected"].int }.reduce(0, +) == 6)
        }

        @Test func `the list of tenants comes in pages, and the questions are checked`() throws {
            let stack = try Stack()
            for tenant in ["a1", "b2", "c3"] { #expect(try stack.publish(1, tenant: tenant) == 1) }
            try #require(waitUntil { (try? stack.gateway.gateway.get("/v1/stats").json["items"].items.count) == 3 })
            let first = try stack.gateway.gateway.get("/v1/stats?limit=2").json
            #expect(first["items"].items.compactMap { $0["tenant"].string } == ["a1", "b2"])
            let second = try stack.gateway.gateway.get("/v1/stats?after=\(first["next"].string ?? "")").json
            #expect(second["items"].items.compactMap { $0["tenant"].string } == ["c3"])
            #expect(second["next"].isNull)
            let never = try stack.report(of: "never-seen")
            #expect(never["accepted"].int == 0)
            #expect(try stack.gateway.gateway.get("/v1/tenants/No%20Name/metrics").status == 400)
            for query in [
                "limit=0", "limit=1001", "limit=x", "after=", "after=\(String(repeating: "a", count: 64))", "what=1",
            ] {
                #expect(try stack.gateway.gateway.get("/v1/stats?\(query)").status == 400, "\(query)")
            }
            #expect(try stack.gateway.exchange(HTTPRequest("POST", "/v1/stats", body: [])).status == 405)
            #expect(try stack.gateway.exchange(HTTPRequest("PUT", "/v1/tenants/a1/metrics", body: [])).status == 405)
        }

        @Test func `R-32: counters survive an orderly restart, and a killed gateway leaves them at most short`() throws
        {
            let stack = try Stack()
            #expect(try stack.publish(50) == 50)
            stack.gateway.gateway.terminate()
            try #require(stack.gateway.gateway.waitForExit())
            try stack.gateway.gateway.start()
            #expect(stack.waitForAccepted(50), "the last counts are written before the process ends")
            #expect(try stack.publish(20) == 20)
            try #require(stack.waitForAccepted(70))
            #expect(try stack.publish(20) == 20)
            stack.gateway.gateway.kill()
            try stack.gateway.gateway.start()
            let accepted = try #require(try stack.report(of: "acme")["accepted"].int)
            #expect((70...90).contains(accepted))
        }

        @Test func `R-30: a killed, stopped or full Redis refuses no event, and its counts arrive later`() throws {
            let stack = try Stack()
            #expect(try stack.publish(10) == 10)
            try #require(stack.waitForAccepted(10))
            stack.redis.pause()
            #expect(try stack.publish(10) == 10, "hung")
            stack.redis.resume()
            #expect(stack.waitForAccepted(20))
            _ = stack.redis.command("CONFIG", "SET", "maxmemory", "1")
            #expect(try stack.publish(10) == 10, "full")
            #expect(try stack.gateway.gateway.get("/health/ready").status == 200)
            _ = stack.redis.command("CONFIG", "SET", "maxmemory", "0")
            #expect(stack.waitForAccepted(30))
            _ = stack.redis.command("SAVE")
            stack.redis.kill()
            #expect(try stack.publish(10) == 10, "killed")
            #expect(waitUntil { (try? stack.gateway.gateway.get("/health").json["status"].string) == "degraded" })
            #expect(try stack.gateway.gateway.get("/health").json["details"]["redis_connected"].bool == false)
            #expect(try stack.gateway.gateway.get("/v1/tenants/acme/metrics").status == 503)
            try stack.redis.start()
            #expect(stack.waitForAccepted(40))
            #expect(waitUntil { (try? stack.gateway.gateway.get("/health").json["status"].string) == "healthy" })
        }

        @Test func `R-31: an emptied Redis sets the totals back and nothing else`() throws {
            let stack = try Stack()
            #expect(try stack.publish(10) == 10)
            try #require(stack.waitForAccepted(10))
            _ = stack.redis.command("FLUSHALL")
            let event = TestEvent()
            let tenant = [("X-Tenant-ID", "acme")]
            let first = try stack.gateway.exchange(event.structured(headers: tenant))
            let again = try stack.gateway.exchange(event.structured(headers: tenant))
            #expect(first.status == 202)
            #expect(again.json["duplicate"].bool == true)
            #expect(stack.waitForAccepted(2))
        }

        @Test func `REDIS_URL=off runs without counters and says so`() throws {
            let stack = try GatewayStack(NATSServer.standard)
            #expect(try stack.exchange(TestEvent().structured()).status == 202)
            let health = try stack.gateway.get("/health").json
            #expect(health["status"].string == "healthy")
            #expect(health["details"]["redis_connected"].isNull)
            for path in ["/v1/stats", "/v1/tenants/default/metrics"] {
                let answer = try stack.gateway.get(path)
                #expect(answer.status == 404)
                #expect(answer.json["detail"].string?.contains("REDIS_URL") == true)
            }
        }
    }
}
