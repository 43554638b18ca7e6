import CoreMetrics
import PrometheusMetrics
import ServerFixtures
import Testing

@Suite struct CounterTests {
    @Test func `whole amounts are exact up to the largest integers`() throws {
        let registry = PrometheusRegistry()
        let counter = Counter(label: "a", factory: registry)
        counter.increment(by: (Int64(1) << 53) + 1)
        #expect(try Exposition(registry).value("a_total") == "9007199254740993")
        counter.increment()
        counter.increment(by: Int64(1) << 61)
        #expect(try Exposition(registry).value("a_total") == "2314850208468434946")
    }

    @Test func `a counter never goes down and never starts again by itself`() throws {
        let registry = PrometheusRegistry()
        let counter = Counter(label: "a", factory: registry)
        counter.increment(by: Int64(5))
        for amount in [Int64.min, -1, 0] { counter.increment(by: amount) }
        #expect(try Exposition(registry).value("a_total") == "5")
        for _ in 0..<4 { counter.increment(by: Int64.max) }
        counter.increment(by: Int64(7))
        #expect(try Exposition(registry).value("a_total") == "9223372036854775815")
    }

    @Test(arguments: [
        ([1.0, 2.0], "3"), ([0.5, 0.25], "0.75"), ([1e300, 1e300], "2e+300"), ([0.5, .nan, .infinity, -1], "0.5"),
        ([0x1p53, 1], "9007199254740992"), ([1, 0x1p53], "9007199254740992"), ([0, -0.0], "0"),
    ])
    func `amounts with a fraction`(amounts: [Double], expected: String) throws {
        let registry = PrometheusRegistry()
        let handler = registry.makeFloatingPointCounter(label: "a", dimensions: [])
        for amount in amounts { handler.increment(by: amount) }
        #expect(try Exposition(registry).value("a_total") == expected)
    }

    @Test func `both kinds of counter with one name are one series`() throws {
        let registry = PrometheusRegistry()
        Counter(label: "a", factory: registry).increment(by: 2)
        registry.makeFloatingPointCounter(label: "a_total", dimensions: []).increment(by: 0.5)
        #expect(try Exposition(registry).value("a_total") == "2.5")
    }

    @Test func `a total counted elsewhere only raises the counter`() throws {
        let registry = PrometheusRegistry()
        let spans = try #require(registry.counter("spans"))
        for total: UInt64 in [3, 9, 7] { spans.raise(to: total) }
        let seconds = try #require(registry.counter("cpu_seconds"))
        for total in [0.25, 1.5, .nan, .infinity, 1.25, -1] { seconds.raise(to: total) }
        let body = try Exposition(registry)
        #expect(body.value("spans_total") == "9")
        #expect(body.value("cpu_seconds_total") == "1.5")
    }

    @Test func `reset starts again at 0`() throws {
        let registry = PrometheusRegistry()
        let counter = Counter(label: "a", factory: registry)
        counter.increment(by: 5)
        counter.reset()
        counter.increment()
        #expect(try Exposition(registry).value("a_total") == "1")
    }
}

@Suite struct GaugeTests {
    @Test(arguments: [
        (0.0, "0"), (-0.0, "0"), (-3, "-3"), (0.1, "0.1"), (1e-7, "1e-07"), (.nan, "NaN"), (.infinity, "+Inf"),
        (-.infinity, "-Inf"), (9_007_199_254_740_991, "9007199254740991"), (1e300, "1e+300"),
        (-2.225_073_858_507_201_4e-308, "-2.2250738585072014e-308"),
    ])
    func `a value is written as Prometheus reads it`(value: Double, expected: String) throws {
        let registry = PrometheusRegistry()
        Gauge(label: "a", factory: registry).record(value)
        Meter(label: "b", factory: registry).set(value)
        let body = try Exposition(registry)
        #expect(body.value("a") == expected)
        #expect(body.value("b") == expected)
        #expect(body.types["a"] == "gauge")
    }

    @Test func `a meter goes up and down`() throws {
        let registry = PrometheusRegistry()
        let meter = Meter(label: "a", factory: registry)
        meter.set(10)
        meter.increment(by: 2.5)
        meter.decrement(by: 0.5)
        meter.decrement()
        #expect(try Exposition(registry).value("a") == "11")
    }

    @Test func `a gauge and a meter with one name are one series`() throws {
        let registry = PrometheusRegistry()
        Gauge(label: "a", factory: registry).record(1)
        Meter(label: "a", factory: registry).increment(by: 1)
        #expect(try Exposition(registry).value("a") == "2")
    }
}

@Suite struct HistogramTests {
    private func buckets(_ name: String, in body: Exposition) -> [String] {
        body.samples.filter { $0.name == "\(name)_bucket" }.map { "\($0.labels["le"] ?? ""):\($0.value)" }
    }

    @Test func `a value is counted in every bucket whose bound it does not exceed`() throws {
        let registry = PrometheusRegistry()
        registry.declare(.histogram("a", help: "A.", buckets: [10, 1, 2.5, 1, .nan, .infinity]))
        let recorder = Recorder(label: "a", factory: registry)
        for value in [1.0, 1.000_001, 2.5, 3, -4] { recorder.record(value) }
        recorder.record(Int64(10))
        recorder.record(Int64(11))
        let body = try Exposition(registry)
        #expect(buckets("a", in: body) == ["1:2", "2.5:4", "10:6", "+Inf:7"])
        #expect(body.value("a_sum") == "24.500001")
        #expect(body.value("a_count") == "7")
    }

    @Test func `timers come out in seconds and their sums are exact`() throws {
        let registry = PrometheusRegistry()
        registry.declare(.histogram("a_seconds", help: "A.", buckets: [0.000_05, 0.001]))
        let timer = Timer(label: "a_seconds", factory: registry)
        for nanoseconds in [50_000, 50_001, 999_999, 1_000_000, 1_000_001] { timer.recordNanoseconds(nanoseconds) }
        timer.recordNanoseconds(Int64(-5))
        let body = try Exposition(registry)
        #expect(buckets("a_seconds", in: body) == ["5e-05:2", "0.001:5", "+Inf:6"])
        #expect(body.value("a_seconds_sum") == "0.003100001")
    }

    @Test func `what is not finite spoils no sum`() throws {
        let registry = PrometheusRegistry()
        registry.declare(.histogram("a", help: "A.", buckets: [1]))
        let recorder = Recorder(label: "a", factory: registry)
        for value in [0.5, .nan, .infinity, -.infinity] { recorder.record(value) }
        let body = try Exposition(registry)
        #expect(buckets("a", in: body) == ["1:2", "+Inf:3"])
        #expect(body.value("a_sum") == "0.5")
    }

    @Test func `the longest durations and largest numbers do not overflow the sum`() throws {
        let registry = PrometheusRegistry()
        let timer = Timer(label: "t", factory: registry)
        let recorder = Recorder(label: "r", factory: registry)
        for _ in 0..<3 {
            timer.recordNanoseconds(Int64.max)
            recorder.record(Int64.max)
            recorder.record(Int64.min)
        }
        recorder.record(Int64(1))
        let body = try Exposition(registry)
        let seconds = try #require(body.value("t_seconds_sum").flatMap { Double($0) })
        #expect((seconds / (3 * 0x1p63 / 1e9) - 1).magnitude < 1e-12)
        #expect(body.value("t_seconds_count") == "3")
        #expect(Double(body.value("r_sum") ?? "").map { $0.magnitude <= 1 } == true)
        #expect(body.value("r_count") == "7")
    }

    @Test func `the standard buckets go from 50 microseconds to 10 seconds`() throws {
        let registry = PrometheusRegistry()
        Timer(label: "a", factory: registry).recordNanoseconds(1)
        let bounds = try Exposition(registry).values(of: "le", in: "a_seconds_bucket")
        #expect(bounds.first == "5e-05")
        #expect(bounds.suffix(2) == ["10", "+Inf"])
    }

    @Test(arguments: 0..<20)
    func `counts and sums are those of a plain computation`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let bounds = (0..<Int.random(in: 1...30, using: &random)).map { _ in
            Double(Int.random(in: -1000...1000, using: &random)) / 8
        }
        let values = (0..<500).map { _ in Double(Int.random(in: -9000...9000, using: &random)) / 64 }
        let registry = PrometheusRegistry()
        registry.declare(.histogram("a", help: "A.", buckets: bounds))
        let recorder = Recorder(label: "a", factory: registry)
        for value in values { recorder.record(value) }
        let body = try Exposition(registry)
        for bound in Set(bounds) {
            let lines = body.samples.filter { $0.name == "a_bucket" && Double($0.labels["le"] ?? "") == bound }
            #expect(lines.map(\.value) == [String(values.count { $0 <= bound })], "seed \(seed), le \(bound)")
        }
        // Every value is a multiple of 1/64, so that the sum has no rounding.
        #expect(Double(body.value("a_sum") ?? "") == values.reduce(0, +))
        #expect(body.value("a_count") == "500")
    }

    @Test func `a declared histogram keeps at most a hundred bounds`() throws {
        let registry = PrometheusRegistry()
        registry.declare(.histogram("a", help: "A.", buckets: (0..<1000).map(Double.init)))
        #expect(try Exposition(registry).values(of: "le", in: "a_bucket").count == PrometheusMetric.bucketsMax + 1)
    }
}
