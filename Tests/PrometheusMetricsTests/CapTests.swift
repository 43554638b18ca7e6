import CoreMetrics
import PrometheusMetrics
import ServerFixtures
import Testing

@Suite struct CapTests {
    private static let distinctValues = 1_000_000
    private static let bodySizeMax = 1_000_000

    @Test func `S-19: a million tenants, reasons and routes leave a small body`() throws {
        let registry = PrometheusRegistry()
        for metric in GatewaySet.metrics { registry.declare(metric) }
        GatewaySet.fillGauges(of: registry)
        for number in 0..<Self.distinctValues {
            // As long as a tenant's name may be, and differing in its last characters.
            let value = String(repeating: "t", count: 57) + String(number)
            let name = GatewaySet.tenantCounters[number & 3]
            Counter(label: name, dimensions: [("tenant", value)], factory: registry).increment()
            if number.isMultiple(of: 10) {
                Counter(label: "sluice_events_rejected_total", dimensions: [("reason", value)], factory: registry)
                    .increment()
                let route = [("route", value), ("path", value)]
                Timer(label: "sluice_http_request_duration_seconds", dimensions: route, factory: registry)
                    .recordNanoseconds(1)
            }
        }
        let bytes = registry.render()
        let body = try Exposition(bytes)
        #expect(bytes.count <= Self.bodySizeMax)
        #expect(body.samples.count <= 1200)
        #expect(body.samples.count == registry.seriesCount)
        for name in GatewaySet.tenantCounters {
            let lines = body.samples.filter { $0.name == name }
            #expect(lines.count == 201)
            #expect(lines.compactMap { Int($0.value) }.reduce(0, +) == Self.distinctValues / 4)
            #expect(body.value(name, ["tenant": "other"]) == String(Self.distinctValues / 4 - 200))
        }
        #expect(body.value("sluice_events_rejected_total", ["reason": "other"]) == "100000")
        #expect(body.value("sluice_http_request_duration_seconds_count", ["route": "other"]) == "100000")
        #expect(body.value("sluice_metrics_series_dropped_total") == "0")
    }

    @Test func `S-19: undeclared names and labels stop at the cap, which is counted`() throws {
        let registry = PrometheusRegistry(seriesMax: 500)
        Counter(label: "first", factory: registry).increment()
        for number in 0..<20_000 {
            Counter(label: "name_\(number)", dimensions: [("label_\(number)", "\(number)")], factory: registry)
                .increment()
            Timer(label: "time_\(number)", factory: registry).recordNanoseconds(1)
        }
        Counter(label: "first", factory: registry).increment()
        let body = try Exposition(registry)
        #expect(body.samples.count <= 500)
        #expect(registry.seriesCount == body.samples.count)
        #expect(body.value("first_total") == "2")
        let dropped = try #require(body.value("sluice_metrics_series_dropped_total").flatMap(Int.init))
        let made = body.samples.count { $0.name.hasPrefix("name_") || $0.name.hasSuffix("_seconds_count") }
        #expect(dropped == 40_000 - made)
    }

    @Test func `an undeclared metric has few labels with few values`() throws {
        let registry = PrometheusRegistry()
        for number in 0..<5000 {
            Counter(label: "a", dimensions: [("label_\(number)", "x"), ("tenant", "\(number)")], factory: registry)
                .increment()
        }
        let body = try Exposition(registry)
        let lines = body.samples.filter { $0.name == "a_total" }
        #expect(Set(lines.flatMap(\.labels.keys)).count <= 8)
        #expect(Set(body.values(of: "tenant", in: "a_total")).count == 201)
        #expect(lines.compactMap { Int($0.value) }.reduce(0, +) == 5000)
    }

    @Test func `a very long value becomes other`() throws {
        let registry = PrometheusRegistry()
        let dimensions = [("a", String(repeating: "x", count: 1_000_000))]
        Counter(label: "c", dimensions: dimensions, factory: registry).increment()
        #expect(try Exposition(registry).value("c_total", ["a": "other"]) == "1")
    }

    @Test func `a value that is called other takes no place`() throws {
        let registry = PrometheusRegistry()
        registry.declare(.counter("c", help: "C.", labels: [.first(1, of: "a")]))
        for value in ["other", "x", "y"] {
            Counter(label: "c", dimensions: [("a", value)], factory: registry).increment()
        }
        let body = try Exposition(registry)
        #expect(body.value("c_total", ["a": "x"]) == "1")
        #expect(body.value("c_total", ["a": "other"]) == "2")
    }

    @Test func `a declaration that does not fit is described and shows what fits`() throws {
        let registry = PrometheusRegistry(seriesMax: 10)
        registry.declare(.histogram("h", help: "H."))
        registry.declare(.counter("c", help: "C.", labels: [.closed("a", (0..<100).map(String.init))]))
        Timer(label: "h", factory: registry).recordNanoseconds(1)
        let body = try Exposition(registry)
        #expect(body.samples.count == 10)
        #expect(body.types["h"] == nil)
        #expect(body.value("sluice_metrics_series_dropped_total") == "1")
    }

    @Test(arguments: [Int.min, 0, 1, 2])
    func `no cap is too small to say so`(seriesMax: Int) throws {
        let registry = PrometheusRegistry(seriesMax: seriesMax)
        Counter(label: "a", factory: registry).increment()
        #expect(try Exposition(registry).value("sluice_metrics_series_dropped_total") == "1")
    }

    @Test(arguments: 0..<30)
    func `whatever is asked for, the body is valid and within the cap`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let registry = PrometheusRegistry(seriesMax: 300)
        let alphabet: [Unicode.Scalar] = [
            "a", "b", "_", "-", "\"", "\\", "\n", "\r", "\0", "{", "}", ",", "=", " ", "é", "9",
        ]
        func text() -> String {
            var text = String.UnicodeScalarView()
            for _ in 0..<Int.random(in: 0...3, using: &random) {
                text.append(alphabet[Int.random(in: alphabet.indices, using: &random)])
            }
            return String(text)
        }
        let suffixes = ["", "_total", "_sum", "_count", "_bucket", "_seconds"]
        for _ in 0..<800 {
            let name = text() + suffixes[Int.random(in: suffixes.indices, using: &random)]
            let dimensions = (0..<Int.random(in: 0...3, using: &random)).map { _ in (text(), text()) }
            switch Int.random(in: 0...6, using: &random) {
            case 0: Counter(label: name, dimensions: dimensions, factory: registry).increment()
            case 1: FloatingPointCounter(label: name, dimensions: dimensions, factory: registry).increment(by: 0.1)
            case 2: Gauge(label: name, dimensions: dimensions, factory: registry).record(Double.nan)
            case 3: Meter(label: name, dimensions: dimensions, factory: registry).set(1)
            case 4: Recorder(label: name, dimensions: dimensions, factory: registry).record(-1)
            case 5: Timer(label: name, dimensions: dimensions, factory: registry).recordNanoseconds(5)
            default: registry.declare(.gauge(name, help: text(), labels: [.closed(text(), [text()])]))
            }
        }
        let bytes = registry.render()
        let body = try Exposition(bytes)
        #expect(body.samples.count <= 300)
        #expect(body.samples.count == registry.seriesCount)
    }
}
