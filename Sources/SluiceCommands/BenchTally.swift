/// What one event loop of the load generator has counted.
package struct BenchTally: Sendable {
    /// Latencies of all answers, from the intended send time.
    package var latency = LatencyHistogram()
    /// Requests by the status of their answer.
    package var statuses: [Int: Int] = [:]
    /// Requests without an answer, by reason.
    package var errors: [String: Int] = [:]
    /// Requests that were due but never sent, because no connection was free in time.
    package var unsent = 0
    /// When the last answer came, in nanoseconds of the monotonic clock.
    package var lastAnswer: UInt64 = 0

    package init() {}

    /// Adds what another loop has counted.
    package mutating func merge(_ other: BenchTally) {
        latency.merge(other.latency)
        statuses.merge(other.statuses, uniquingKeysWith: +)
        errors.merge(other.errors, uniquingKeysWith: +)
        unsent += other.unsent
        lastAnswer = max(lastAnswer, other.lastAnswer)
    }
}

/// The outcome of a run, as it is printed.
struct BenchReport {
    let plan: BenchPlan
    let tally: BenchTally
    let seconds: Double
    let cpuSeconds: Double

    private var accepted: Int {
        tally.statuses.reduce(0) { $0 + ((200..<300).contains($1.key) ? $1.value : 0) } * plan.template.eventsPerRequest
    }
    private var requests: Int { tally.statuses.values.reduce(0, +) }
    private var failed: Int {
        let refused = tally.statuses.reduce(0) { $0 + ((200..<300).contains($1.key) ? 0 : $1.value) }
        return (refused + tally.errors.values.reduce(tally.unsent, +)) * plan.template.eventsPerRequest
    }
    private var rate: Double { seconds > 0 ? Double(accepted) / seconds : 0 }

    /// Whether every event was stored.
    var isClean: Bool { failed == 0 && accepted > 0 }

    private static let quantiles: [(name: String, share: Double)] = [
        ("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999),
    ]

    /// For people.
    var lines: [String] {
        let events = plan.template.eventsPerRequest
        var lines = [
            "\(plan.mode.rawValue), \(plan.connections) connections, "
                + (plan.rate.map { "open loop at \(Decimals.text($0, digits: 0)) events/s" } ?? "closed loop")
                + (events > 1 ? ", \(events) events per request" : ""),
            "accepted     \(Decimals.grouped(accepted)) events in \(Decimals.text(seconds, digits: 2)) s",
            "rate         \(Decimals.grouped(Int(rate))) events/s",
        ]
        let statuses = tally.statuses.sorted { $0.key < $1.key }.map { "\($0.key): \(Decimals.grouped($0.value))" }
        lines.append("answers      " + (statuses.isEmpty ? "none" : statuses.joined(separator: ", ")))
        for (reason, count) in tally.errors.sorted(by: { $0.key < $1.key }) {
            lines.append("errors       \(Decimals.grouped(count)): \(SafeText.escaped(reason))")
        }
        if tally.unsent > 0 { lines.append("unsent       \(Decimals.grouped(tally.unsent)) requests") }
        let times = Self.quantiles.map { "\($0.name) \(milliseconds(tally.latency.quantile($0.share)))" }
        lines.append("latency      " + times.joined(separator: ", ") + ", max \(milliseconds(tally.latency.max)) ms")
        lines.append("own CPU      \(Decimals.text(cpuSeconds, digits: 2)) s")
        return lines
    }

    /// For programs; latencies in milliseconds, `accepted` and `failed` in events.
    var json: String {
        var object = JSONWriter()
        object.add("mode", plan.mode.rawValue)
        object.add("connections", plan.connections)
        object.add("threads", plan.threads)
        object.add("events_per_request", plan.template.eventsPerRequest)
        object.add("rate", json: plan.rate.map { Decimals.text($0, digits: 3) } ?? "null")
        object.add("seconds", seconds, digits: 6)
        object.add("requests", requests)
        object.add("accepted", accepted)
        object.add("failed", failed)
        object.add("unsent", tally.unsent)
        object.add("events_per_s", rate, digits: 1)
        for (name, share) in Self.quantiles {
            object.add("\(name.filter { $0 != "." })_ms", json: milliseconds(tally.latency.quantile(share)))
        }
        object.add("max_ms", json: milliseconds(tally.latency.max))
        object.add("mean_ms", tally.latency.mean / 1e6, digits: 6)
        object.add("cpu_s", cpuSeconds, digits: 3)
        var statuses = JSONWriter()
        for (status, count) in tally.statuses.sorted(by: { $0.key < $1.key }) { statuses.add(String(status), count) }
        object.add("statuses", json: statuses.text)
        var errors = JSONWriter()
        for (reason, count) in tally.errors.sorted(by: { $0.key < $1.key }) { errors.add(reason, count) }
        object.add("errors", json: errors.text)
        return object.text
    }

    private func milliseconds(_ nanoseconds: UInt64) -> String {
        Decimals.text(Double(nanoseconds) / 1e6, digits: 3)
    }
}
