import NIOCore
import Synchronization

/// What has arrived of the events of a measurement; safe to use from several threads.
final class DeliverBenchTally: Sendable {
    /// The state of the count at one moment.
    struct Count: Sendable {
        /// Different events that arrived.
        var delivered = 0
        /// Arrivals of events that had arrived before.
        var duplicates = 0
        /// When the last new one arrived, in nanoseconds of the monotonic clock.
        var lastArrival: UInt64 = 0
    }

    private struct State {
        /// When each event was to be sent; 0 for those whose delay is not measured.
        var sendTimes: [UInt64]
        var hasArrived: [Bool]
        var count = Count()
        var delays = LatencyHistogram()
        var fault: String?
    }

    private let state: Mutex<State>

    /// - Parameter events: How many events there are, numbered from 0.
    init(events: Int) {
        state = Mutex(
            State(
                sendTimes: Array(repeating: 0, count: events),
                hasArrived: Array(repeating: false, count: events)
            )
        )
    }

    /// The event of that number is to be sent at that time.
    func sent(_ number: Int, at time: UInt64) {
        state.withLock { $0.sendTimes[number] = time }
    }

    /// The event of that number counts as delivered now.
    ///
    /// - Parameter arrival: When it was here, if that was before.
    func arrived(_ number: Int, at arrival: UInt64? = nil) {
        let now = NIODeadline.now().uptimeNanoseconds
        let arrival = arrival ?? now
        state.withLock { state in
            guard state.hasArrived.indices.contains(number) else { return }
            guard !state.hasArrived[number] else {
                state.count.duplicates += 1
                return
            }
            state.hasArrived[number] = true
            state.count.delivered += 1
            state.count.lastArrival = now
            let sent = state.sendTimes[number]
            if sent > 0 { state.delays.record(arrival > sent ? arrival - sent : 0) }
        }
    }

    /// Nothing more can arrive, for this reason; the first one counts.
    func fail(_ reason: String) {
        state.withLock { $0.fault = $0.fault ?? reason }
    }

    /// What came so far.
    var count: Count { state.withLock { $0.count } }

    /// Why nothing more can arrive.
    var fault: String? { state.withLock { $0.fault } }

    /// How long events took from when they were to be sent to their arrival.
    var delays: LatencyHistogram { state.withLock { $0.delays } }

    /// Waits until so many events have arrived, or until nothing has arrived for a time.
    ///
    /// - Returns: Whether they have.
    func wait(for events: Int, patience: Duration) async throws -> Bool {
        var last = -1
        var deadline = ContinuousClock.now + patience
        while true {
            let delivered = count.delivered
            if delivered >= events { return true }
            if fault != nil { return false }
            if delivered != last { deadline = .now + patience }
            last = delivered
            guard ContinuousClock.now < deadline else { return false }
            try await Task.sleep(for: .milliseconds(10))
        }
    }
}

/// The outcome of `bench deliver`, as it is printed.
package struct DeliverBenchReport: Sendable {
    /// How fast a backlog was delivered.
    package struct Backlog: Sendable {
        package var events: Int
        package var delivered: Int
        package var seconds: Double
        package var cpuSeconds: Double

        package init(events: Int, delivered: Int, seconds: Double, cpuSeconds: Double) {
            self.events = events
            self.delivered = delivered
            self.seconds = seconds
            self.cpuSeconds = cpuSeconds
        }

        var rate: Double { seconds > 0 ? Double(delivered) / seconds : 0 }
    }

    /// How long events took that were published at a steady rate.
    package struct Paced: Sendable {
        package var rate: Double
        package var events: Int
        package var delivered: Int
        package var delays: LatencyHistogram
        package var cpuSeconds: Double

        package init(rate: Double, events: Int, delivered: Int, delays: LatencyHistogram, cpuSeconds: Double) {
            self.rate = rate
            self.events = events
            self.delivered = delivered
            self.delays = delays
            self.cpuSeconds = cpuSeconds
        }
    }

    let mode: String
    package var backlog: Backlog?
    package var paced: Paced?
    package var duplicates = 0
    /// Why not everything arrived.
    package var fault: String?

    package init(mode: String) {
        self.mode = mode
    }

    /// How many events did not arrive.
    package var missing: Int {
        (backlog.map { $0.events - $0.delivered } ?? 0) + (paced.map { $0.events - $0.delivered } ?? 0)
    }

    private static let quantiles: [(name: String, share: Double)] = [
        ("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999),
    ]

    /// For people.
    package var lines: [String] {
        var lines: [String] = []
        if let backlog {
            lines += [
                "\(mode), a backlog of \(Decimals.grouped(backlog.events)) events",
                "delivered    \(Decimals.grouped(backlog.delivered)) in \(Decimals.text(backlog.seconds, digits: 2)) s",
                "rate         \(Decimals.grouped(Int(backlog.rate))) deliveries/s",
                "own CPU      \(Decimals.text(backlog.cpuSeconds, digits: 2)) s",
            ]
        }
        if let paced {
            let times = Self.quantiles.map { "\($0.name) \(Self.milliseconds(paced.delays.quantile($0.share)))" }
            lines += [
                "\(mode), \(Decimals.text(paced.rate, digits: 0)) events/s published",
                "delivered    \(Decimals.grouped(paced.delivered)) of \(Decimals.grouped(paced.events))",
                "delay        \(times.joined(separator: ", ")), max \(Self.milliseconds(paced.delays.max)) ms",
                "own CPU      \(Decimals.text(paced.cpuSeconds, digits: 2)) s, publishing included",
            ]
        }
        if duplicates > 0 { lines.append("duplicates   \(Decimals.grouped(duplicates))") }
        if missing > 0 {
            lines.append("MISSING      \(Decimals.grouped(missing))\(fault.map { ": \(SafeText.escaped($0))" } ?? "")")
        }
        return lines
    }

    /// For programs; times in milliseconds and seconds as the names say, `null` for what was not measured.
    package var json: String {
        var object = JSONWriter()
        object.add("mode", mode)
        object.add("events", backlog?.events ?? 0)
        object.add("delivered", backlog?.delivered ?? 0)
        Self.add("seconds", backlog?.seconds, 6, to: &object)
        Self.add("deliveries_per_s", backlog?.rate, 1, to: &object)
        Self.add("cpu_s", backlog?.cpuSeconds, 3, to: &object)
        Self.add("paced_rate", paced?.rate, 1, to: &object)
        object.add("paced_events", paced?.events ?? 0)
        object.add("paced_delivered", paced?.delivered ?? 0)
        for (name, share) in Self.quantiles {
            object.add("delay_\(name)_ms", json: paced.map { Self.milliseconds($0.delays.quantile(share)) } ?? "null")
        }
        object.add("delay_max_ms", json: paced.map { Self.milliseconds($0.delays.max) } ?? "null")
        Self.add("paced_cpu_s", paced?.cpuSeconds, 3, to: &object)
        object.add("duplicates", duplicates)
        object.add("missing", missing)
        return object.text
    }

    private static func add(_ name: String, _ value: Double?, _ digits: Int, to object: inout JSONWriter) {
        if let value { object.add(name, value, digits: digits) } else { object.add(name, json: "null") }
    }

    private static func milliseconds(_ nanoseconds: UInt64) -> String {
        Decimals.text(Double(nanoseconds) / 1e6, digits: 3)
    }
}
