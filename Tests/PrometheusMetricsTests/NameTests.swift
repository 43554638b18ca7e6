import CoreMetrics
import PrometheusMetrics
import Testing

@Suite struct NameTests {
    @Test(arguments: [
        ("a", "a"), ("a.b-c d", "a_b_c_d"), ("9a", "_9a"), ("", "_"), ("é", "_"), ("job:rate", "job_rate"),
        ("a\nb\"c", "a_b_c"), ("a\u{0}", "a_"), ("A_9", "A_9"),
    ])
    func `a name becomes valid`(label: String, expected: String) throws {
        let registry = PrometheusRegistry()
        Gauge(label: label, factory: registry).record(1)
        #expect(try Exposition(registry).value(expected) == "1")
    }

    @Test func `a very long name is cut`() throws {
        let registry = PrometheusRegistry()
        Gauge(label: String(repeating: "a", count: 100_000), factory: registry).record(1)
        Gauge(label: String(repeating: "é", count: 100_000), factory: registry).record(1)
        let names = try Exposition(registry).samples.map(\.name)
        #expect(names.allSatisfy { $0.utf8.count <= 200 })
    }

    @Test func `counters end in _total and timers in _seconds, once`() throws {
        let registry = PrometheusRegistry()
        for label in ["a", "b_total"] { Counter(label: label, factory: registry).increment() }
        for label in ["c", "d_seconds"] { Timer(label: label, factory: registry).recordNanoseconds(1) }
        let body = try Exposition(registry)
        for name in ["a_total", "b_total", "c_seconds_count", "d_seconds_count"] { #expect(body.value(name) == "1") }
    }

    @Test func `a declared histogram without a unit in its name takes timers`() throws {
        let registry = PrometheusRegistry()
        registry.declare(.histogram("a", help: "A."))
        Timer(label: "a", factory: registry).recordNanoseconds(1)
        let body = try Exposition(registry)
        #expect(body.value("a_count") == "1")
        #expect(body.types["a_seconds"] == nil)
    }

    @Test func `descriptions are escaped`() throws {
        let registry = PrometheusRegistry()
        registry.declare(.counter("a", help: "back\\slash \"quoted\"\nnext\u{0}line"))
        #expect(try Exposition(registry).help["a_total"] == "back\\\\slash \"quoted\"\\nnext\u{FFFD}line")
    }

    @Test(arguments: [
        ("plain", "plain"), ("a\"b", "a\"b"), ("a\\b", "a\\b"), ("a\nb", "a\nb"), ("\\n", "\\n"), ("é中😀", "é中😀"),
        ("} 1\na_total 2", "} 1\na_total 2"), ("a,b=\"c\"", "a,b=\"c\""),
        ("a\u{0}\t\u{7F}\rb", "a\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}b"),
    ])
    func `a label value comes through whole`(value: String, expected: String) throws {
        let registry = PrometheusRegistry()
        Counter(label: "a", dimensions: [("l", value)], factory: registry).increment()
        #expect(try Exposition(registry).value("a_total", ["l": expected]) == "1")
    }

    @Test(arguments: [
        ("a-b", "a_b"), ("__name__", "_name__"), ("____", "_"), ("le", "le_"), ("quantile", "quantile_"), ("1", "_1"),
        ("", "_"),
    ])
    func `a label name becomes valid and takes none that has a meaning`(name: String, expected: String) throws {
        let registry = PrometheusRegistry()
        Timer(label: "a", dimensions: [(name, "x")], factory: registry).recordNanoseconds(1)
        #expect(try Exposition(registry).value("a_seconds_count", [expected: "x"]) == "1")
    }
}
