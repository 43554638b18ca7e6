import CoreMetrics
import PrometheusMetrics
import ServerFixtures
import Testing

@Suite struct ConcurrencyTests {
    private static let threads = 6
    private static let rounds = 60_000

    @Test func `many threads record while others render, make and read: nothing is lost or torn`() async throws {
        let registry = PrometheusRegistry()
        registry.declare(.histogram("h_seconds", help: "H.", buckets: [0.001, 0.01]))
        let running = Shared(Self.threads)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<Self.threads {
                group.addTask {
                    await onThread { Self.record(in: registry) }
                    running.withLock { $0 -= 1 }
                }
            }
            group.addTask { await onThread { Self.watch(registry, while: { running.current > 0 }) } }
        }
        let body = try Exposition(registry)
        let total = Self.threads * Self.rounds
        #expect(body.value("c_total") == String(total * 3))
        #expect(Double(body.value("f_total") ?? "") == Double(total) * 0.5)
        #expect(body.value("m") == String(total))
        #expect(body.value("h_seconds_count") == String(total))
        #expect(body.value("h_seconds_bucket", ["le": "0.001"]) == String(total / 2))
        #expect(body.value("h_seconds_sum") == String(total / 2 / 1000 + total / 2 / 250))
        #expect(Double(body.value("r_sum") ?? "") == Double(total) * 0.25)
        let made = body.samples.filter { $0.name == "made_total" }
        #expect(made.count == 100)
        #expect(made.compactMap { Int($0.value) }.reduce(0, +) == total / 100)
    }

    private static func record(in registry: PrometheusRegistry) {
        // Each thread makes its own handles: they lead to the same series.
        let counter = Counter(label: "c", factory: registry)
        let amounts = FloatingPointCounter(label: "f", factory: registry)
        let meter = Meter(label: "m", factory: registry)
        let timer = Timer(label: "h_seconds", factory: registry)
        let recorder = Recorder(label: "r", factory: registry)
        for round in 0..<rounds {
            counter.increment(by: 3)
            // Not an integer, so that it goes through the retry loop.
            amounts.increment(by: 0.5)
            meter.increment()
            timer.recordNanoseconds(round.isMultiple(of: 2) ? 1_000_000 : 4_000_000)
            recorder.record(0.25)
            if round.isMultiple(of: 100) {
                let value = [("n", String(round / 100 % 100))]
                Counter(label: "made", dimensions: value, factory: registry).increment()
            }
        }
    }

    /// Reads body after body: each is valid, agrees with itself, and never shows less than the one before.
    private static func watch(_ registry: PrometheusRegistry, while goesOn: () -> Bool) {
        var (counted, observed) = (0, 0)
        repeat {
            guard let body = try? Exposition(registry) else {
                Issue.record("a body that is not valid")
                return
            }
            let now = body.value("c_total").flatMap(Int.init) ?? 0
            #expect(now >= counted)
            counted = now
            let buckets = body.samples.filter { $0.name == "h_seconds_bucket" }.compactMap { Int($0.value) }
            #expect(buckets == buckets.sorted())
            #expect(buckets.last == body.value("h_seconds_count").flatMap(Int.init))
            #expect(buckets.last ?? 0 >= observed)
            observed = buckets.last ?? 0
        } while goesOn()
    }
}
