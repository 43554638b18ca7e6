import ServerFixtures
import Testing

extension EndToEnd {
    /// `/metrics` as a scraper sees it (S-19, R-32).
    @Suite(.serialized) struct MetricsTests {
        @Test func `the page is what promtool accepts, and Prometheus scrapes it`() throws {
            let stack = try GatewayStack(NATSServer.standard)
            for _ in 0..<3 { #expect(try stack.exchange(TestEvent().structured()).status == 202) }
            let page = try stack.gateway.get("/metrics")
            #expect(page.status == 200)
            #expect(page["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8")
            let verdict = try Program.run("promtool", ["check", "metrics"], input: page.body)
            #expect(verdict.status == 0 && verdict.output.isEmpty, "\(verdict.output)")
            let prometheus = try PrometheusServer(scraping: stack.gateway.port)
            #expect(
                waitUntil(timeout: .seconds(60)) {
                    (try? prometheus.values("sluice_events_accepted_total")) == [[:]: "3"]
                }
            )
            #expect(try prometheus.values("sluice_ready") == [[:]: "1"])
            #expect(try prometheus.values("sluice_tenant_events_accepted_total") == [["tenant": "default"]: "3"])
            let histogram = "sluice_http_request_duration_seconds_count{route=\"events\"}"
            #expect(try prometheus.values(histogram) == [["route": "events"]: "3"])
            #expect(try prometheus.values("sluice_redis_connected").isEmpty, "absent with REDIS_URL=off")
        }

        @Test func `every metric of the README is on the page, with its type, and no other`() throws {
            let stack = try GatewayStack(NATSServer.standard, settings: ["REDIS_URL": "redis://127.0.0.1:1"])
            let client = DeliveryClient(stack)
            try #require(client.waitUntilReady())
            try client.subscribe("s", #"{"protocol":"PULL"}"#)
            _ = try stack.exchange(TestEvent().structured())
            let readme = try MetricsPage.documented()
            try #require(readme.count > 30)
            // Where a subscription stands is read in turn, not for each page.
            _ = try waitUntil(timeout: .seconds(60)) {
                Set(readme.keys).isSubset(of: try MetricsPage(stack.gateway.get("/metrics")).types.keys)
            }
            let page = try MetricsPage(stack.gateway.get("/metrics"))
            for (name, type) in readme { #expect(page.types[name] == type, "\(name)") }
            #expect(Set(page.types.keys).subtracting(readme.keys).isEmpty)
        }

        @Test func `S-19: hostile labels make no series, and the page stays small`() throws {
            let stack = try GatewayStack(NATSServer.standard)
            let connection = try stack.gateway.connect()
            for number in 0..<400 {
                let event = TestEvent(source: "/s\(number)", type: "t\(number)")
                _ = try connection.exchange(event.structured(headers: [("X-Tenant-ID", "t\(number)")]))
                _ = try connection.exchange(HTTPRequest("DELETE", "/nothing/\(number)"))
                _ = try stack.exchange(HTTPRequest("M\(number)", "/nothing/\(number)"))
                _ = try stack.exchange(event.structured(headers: [("X-Tenant-ID", "Bad \(number)")]))
            }
            let answer = try stack.gateway.get("/metrics")
            let page = try MetricsPage(answer)
            #expect(page.series("sluice_tenant_events_accepted_total").count == 201)
            #expect(page.sum("sluice_tenant_events_accepted_total") == 400)
            #expect(page["sluice_tenant_events_accepted_total{tenant=\"other\"}"] == 200)
            #expect(page.sum("sluice_events_rejected_total") == 400)
            #expect(answer.body.count < 1_000_000)
            #expect(!answer.text.contains("nothing/"))
        }

        @Test func `R-32: the counts equal what was answered, for every route and reason`() throws {
            let stack = try GatewayStack(NATSServer.standard)
            let connection = try stack.gateway.connect()
            let event = TestEvent()
            for _ in 0..<2 { _ = try connection.exchange(event.structured()) }
            _ = try connection.exchange(shortForm(#"{"event_type":"t","data":1}"#))
            _ = try connection.exchange(batch((0..<10).map { _ in TestEvent().json }))
            _ = try connection.exchange(batch([TestEvent().json, "{}"]))
            _ = try connection.exchange(StatusTests.structured("{"))
            _ = try connection.get("/health/live")
            let page = try MetricsPage(stack.gateway.get("/metrics"))
            #expect(page["sluice_events_accepted_total"] == 13)
            #expect(page["sluice_events_duplicates_total"] == 1)
            #expect(page["sluice_events_rejected_total{reason=\"invalid\"}"] == 2, "both events of the refused batch")
            #expect(page["sluice_events_rejected_total{reason=\"malformed\"}"] == 1)
            #expect(page["sluice_http_requests_total{route=\"events\",status=\"2xx\"}"] == 3)
            #expect(page["sluice_http_requests_total{route=\"events\",status=\"4xx\"}"] == 2)
            #expect(page["sluice_http_requests_total{route=\"publish\",status=\"2xx\"}"] == 1)
            #expect(page["sluice_http_request_duration_seconds_count{route=\"events\"}"] == 5)
            #expect(page["sluice_publish_ack_duration_seconds_count"] == 4)
            #expect(page["sluice_batch_events_sum"] == 12)
        }

        @Test func `a broker that is away is seen in the gauges`() throws {
            let stack = try GatewayStack(NATSServer.standard)
            let states = ["sluice_nats_connected", "sluice_ready"]
            let page = try MetricsPage(stack.gateway.get("/metrics"))
            #expect(states.map { page[$0] } == [1, 1])
            stack.server.kill()
            #expect(
                waitUntil(timeout: .seconds(30)) {
                    guard let page = try? MetricsPage(stack.gateway.get("/metrics")) else { return false }
                    return states.map { page[$0] } == [0, 0]
                }
            )
            try stack.server.start()
            try #require(stack.waitUntilReady())
            let after = try MetricsPage(stack.gateway.get("/metrics"))
            #expect(after["sluice_nats_reconnects_total"] == 1)
        }

        @Test func `METRICS=false has no page`() throws {
            let stack = try GatewayStack(NATSServer.standard, settings: ["METRICS": "false"])
            #expect(try stack.exchange(TestEvent().structured()).status == 202)
            #expect(try stack.gateway.get("/metrics").status == 404)
        }
    }
}
