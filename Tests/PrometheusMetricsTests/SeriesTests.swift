import CoreMetrics
import PrometheusMetrics
import Testing

/// Which handles share a series, and that no body is ever refused because two do not.
@Suite struct SeriesTests {
    @Test(arguments: [
        [[("a", "1"), ("b", "2")], [("b", "2"), ("a", "1")]],
        [[("a", "1")], [("a", "1"), ("b", "")]],
        [[("a", "1")], [("a", "1"), ("a", "2")]],
        [[("a-b", "1")], [("a_b", "1")], [("a.b", "1")]],
        [[], [("a", "")]],
        [[("a", "\u{0}")], [("a", "\u{1}")], [("a", "\u{FFFD}")]],
    ])
    func `dimensions that Prometheus would take for the same series are one`(spellings: [[(String, String)]]) throws {
        let registry = PrometheusRegistry()
        // Both names are met first, so that their order is fixed.
        Counter(label: "c", dimensions: [("a", "x"), ("b", "x")], factory: registry).increment()
        for dimensions in spellings { Counter(label: "c", dimensions: dimensions, factory: registry).increment() }
        let values = try Exposition(registry).samples.filter { $0.name == "c_total" }.map(\.value)
        #expect(values == ["1", String(spellings.count)])
    }

    @Test func `the same name for two types keeps the first, counts the second and harms nobody`() throws {
        let registry = PrometheusRegistry()
        Counter(label: "a", factory: registry).increment()
        Gauge(label: "a_total", factory: registry).record(7)
        Timer(label: "t", factory: registry).recordNanoseconds(1)
        Gauge(label: "t_seconds_sum", factory: registry).record(7)
        Counter(label: "c_seconds_count", factory: registry).increment()
        Meter(label: "g", factory: registry).set(3)
        Timer(label: "g", factory: registry).recordNanoseconds(1)
        let body = try Exposition(registry)
        #expect(body.value("a_total") == "1")
        #expect(body.types["a_total"] == "counter")
        #expect(body.value("t_seconds_sum") == "1e-09")
        #expect(body.value("g") == "3")
        #expect(body.value("g_seconds_count") == "1")
        #expect(body.value("sluice_metrics_series_dropped_total") == "2")
    }

    @Test func `a histogram whose lines would repeat another metric's is not kept`() throws {
        let registry = PrometheusRegistry()
        Gauge(label: "a_sum", factory: registry).record(1)
        #expect(!registry.declare(.histogram("a", help: "A.")))
        Recorder(label: "a", factory: registry).record(5)
        let body = try Exposition(registry)
        #expect(body.value("a_sum") == "1")
        #expect(body.value("a_count") == nil)
    }

    @Test func `the registry's own names belong to it`() throws {
        let registry = PrometheusRegistry()
        Timer(label: "sluice_metrics_series", factory: registry).recordNanoseconds(1)
        Recorder(label: "sluice_metrics_series_dropped_total", factory: registry).record(1)
        #expect(!registry.declare(.counter("sluice_metrics_series_dropped", help: "Mine.")))
        let body = try Exposition(registry)
        #expect(body.value("sluice_metrics_series_dropped_total") == "1")
        #expect(body.value("sluice_metrics_series") == String(registry.seriesCount))
        #expect(body.samples.count == registry.seriesCount)
    }

    @Test func `a declaration decides what recorders fill`() throws {
        let registry = PrometheusRegistry()
        registry.declare(.gauge("g", help: "G."))
        registry.declare(.histogram("h", help: "H.", buckets: [1]))
        Recorder(label: "g", factory: registry).record(4)
        Gauge(label: "h", factory: registry).record(4)
        let body = try Exposition(registry)
        #expect(body.value("g") == "4")
        #expect(body.value("h_count") == "1")
    }

    @Test func `a timer and a recorder with one label are two metrics`() throws {
        let registry = PrometheusRegistry()
        Recorder(label: "work", factory: registry).record(4)
        Timer(label: "work", factory: registry).recordSeconds(2)
        let body = try Exposition(registry)
        #expect(body.value("work_sum") == "4")
        #expect(body.value("work_seconds_sum") == "2")
    }

    @Test func `the first declaration of a name stands`() throws {
        let registry = PrometheusRegistry()
        #expect(registry.declare(.counter("a", help: "First.")))
        #expect(!registry.declare(.counter("a_total", help: "Second.")))
        #expect(!registry.declare(.gauge("a_total", help: "Third.")))
        #expect(try Exposition(registry).help["a_total"] == "First.")
    }

    @Test func `counters and histograms with closed labels start at 0, gauges do not show before they are set`() throws
    {
        let registry = PrometheusRegistry()
        registry.declare(
            .counter("a", help: "A.", labels: [.closed("x", ["1", "2"]), .closed("y", ["3", "4", "5"])])
        )
        registry.declare(.counter("b", help: "B.", labels: [.first(3, of: "tenant")]))
        registry.declare(.gauge("c", help: "C."))
        registry.declare(.histogram("d", help: "D."))
        let body = try Exposition(registry)
        #expect(body.samples.count { $0.name == "a_total" && $0.value == "0" } == 6)
        #expect(body.value("a_total", ["x": "2", "y": "3"]) == "0")
        #expect(body.value("d_count") == "0")
        #expect(Set(body.types.keys).isDisjoint(with: ["b_total", "c"]))
    }

    @Test func `destroyed handles keep their series`() throws {
        let registry = PrometheusRegistry()
        let counter = Counter(label: "a", factory: registry)
        counter.increment()
        counter.destroy()
        counter.increment()
        Counter(label: "a", factory: registry).increment()
        let (timer, recorder) = (Timer(label: "t", factory: registry), Recorder(label: "r", factory: registry))
        let (meter, double) = (
            Meter(label: "m", factory: registry), FloatingPointCounter(label: "f", factory: registry)
        )
        timer.destroy()
        recorder.destroy()
        meter.destroy()
        double.destroy()
        timer.recordNanoseconds(1)
        recorder.record(1)
        meter.set(1)
        double.increment(by: 0.5)
        let body = try Exposition(registry)
        #expect(body.value("a_total") == "3")
        #expect(body.value("t_seconds_count") == "1")
        #expect(body.value("f_total") == "0.5")
        // A handler of another factory is none of its business.
        registry.destroyCounter(NOOPMetricsHandler.instance)
    }

    @Test func `code that knows only swift-metrics reaches it`() throws {
        let registry = PrometheusRegistry()
        withMetricsFactory(registry) {
            Counter(label: "requests", dimensions: [("route", "events")]).increment(by: 3)
        }
        #expect(try Exposition(registry).value("requests_total", ["route": "events"]) == "3")
    }
}
