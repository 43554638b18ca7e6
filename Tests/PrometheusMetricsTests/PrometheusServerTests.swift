import CoreMetrics
import PrometheusMetrics
import ServerFixtures
import Testing

@Suite struct PrometheusServerTests {
    @Test func `a real Prometheus scrapes every value as it was recorded`() async throws {
        let registry = PrometheusRegistry()
        let strange = "a\"b\\c\nd é😀 } 1"
        Counter(label: "events", dimensions: [("tenant", strange)], factory: registry).increment(by: Int64(1) << 40)
        FloatingPointCounter(label: "seconds", factory: registry).increment(by: 0.125)
        for (name, value) in [("nan", Double.nan), ("up", .infinity), ("down", -.infinity), ("small", 1e-9)] {
            Gauge(label: "g", dimensions: [("is", name)], factory: registry).record(value)
        }
        registry.declare(.histogram("h_seconds", help: "H.", buckets: [0.001, 0.5]))
        let timer = Timer(label: "h_seconds", factory: registry)
        for milliseconds in [1, 2, 600] { timer.recordMilliseconds(milliseconds) }
        let endpoint = try MetricsEndpoint(registry)
        let prometheus = try PrometheusServer(scraping: endpoint.port, keeping: endpoint)
        #expect(await scraped(by: prometheus))

        #expect(try prometheus.values("events_total") == [["tenant": strange]: "1099511627776"])
        #expect(try prometheus.values("seconds_total") == [[:]: "0.125"])
        let gauges = try prometheus.values("g")
        for (name, value) in [("nan", "NaN"), ("up", "+Inf"), ("down", "-Inf")] {
            #expect(gauges[["is": name]] == value)
        }
        // Prometheus has its own way to write it.
        #expect(gauges[["is": "small"]].flatMap { Double($0) } == 1e-9)
        #expect(
            try prometheus.values("h_seconds_bucket") == [
                ["le": "0.001"]: "1", ["le": "0.5"]: "2", ["le": "+Inf"]: "3",
            ]
        )
        #expect(try prometheus.values("h_seconds_sum") == [[:]: "0.603"])
        #expect(try prometheus.values("h_seconds_count") == [[:]: "3"])
        let metadata = try prometheus.get("/api/v1/metadata")["data"]
        #expect(metadata["events_total"][0]["type"].string == "counter")
        #expect(metadata["h_seconds"][0]["type"].string == "histogram")
        #expect(metadata["h_seconds"][0]["help"].string == "H.")

        let seen = try prometheus.values("scrape_samples_scraped").values.first
        #expect(seen == String(registry.seriesCount))
        Counter(label: "events", dimensions: [("tenant", strange)], factory: registry).increment()
        #expect(
            await eventually(timeout: .seconds(60)) {
                (try? prometheus.values("events_total").values.first) == "1099511627777"
            }
        )
    }

    @Test func `every query of the dashboard is answered with data`() async throws {
        let registry = PrometheusRegistry()
        for metric in GatewaySet.metrics { registry.declare(metric) }
        GatewaySet.fill(registry)
        let endpoint = try MetricsEndpoint(registry)
        let prometheus = try PrometheusServer(scraping: endpoint.port, keeping: endpoint)
        #expect(await scraped(by: prometheus))
        let dashboard = try WireJSON(parsing: Array(DeployFiles.text("grafana/sluice.json").utf8))
        let targets = dashboard["panels"].items.flatMap(\.["targets"].items)
        let queries = targets.compactMap(\.["expr"].string).map(Self.withoutVariables)
        #expect(queries.count > 70)
        // A rate needs two scrapes.
        for query in queries {
            let isAnswered = await eventually(timeout: .seconds(60)) {
                (try? prometheus.query(query))?["data"]["result"].items.isEmpty == false
            }
            #expect(isAnswered, "\(query)")
        }
    }

    @Test func `the dashboard shows each panel in its place, once`() throws {
        let panels = try WireJSON(parsing: Array(DeployFiles.text("grafana/sluice.json").utf8))["panels"].items
        let numbers = panels.compactMap(\.["id"].int)
        #expect(numbers.count == panels.count && Set(numbers).count == numbers.count)
        var cells: Set<[Int]> = []
        for panel in panels {
            let place = panel["gridPos"]
            let (x, y) = (try #require(place["x"].int), try #require(place["y"].int))
            let (width, height) = (try #require(place["w"].int), try #require(place["h"].int))
            #expect(x + width <= 24)
            for column in x..<x + width {
                for row in y..<y + height { #expect(cells.insert([column, row]).inserted, "panels overlap") }
            }
        }
    }

    private func scraped(by prometheus: PrometheusServer) async -> Bool {
        await eventually(timeout: .seconds(60)) {
            (try? prometheus.values("up").values.first) == "1"
                && (try? prometheus.values("sluice_metrics_series"))?.isEmpty == false
        }
    }

    private static func withoutVariables(_ query: String) -> String {
        var query = query
        for (variable, value) in [
            ("$__rate_interval", "1m"), ("$__range", "1m"), ("$job", "sluice"), ("$instance", ".*"),
        ] {
            query = query.split(separator: variable, omittingEmptySubsequences: false).joined(separator: value)
        }
        return query
    }
}
