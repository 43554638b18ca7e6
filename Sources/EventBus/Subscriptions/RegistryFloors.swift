import JetStream

/// How far subscriptions are, as those who deliver say, until it is noted in the records.
struct FloorBook: Sendable {
    private struct Floor {
        var start: UInt64
        var floor: UInt64
    }

    private let interval: Duration
    private var reported: [SubscriptionKey: Floor] = [:]
    private var noted: [SubscriptionKey: ContinuousClock.Instant] = [:]

    init(interval: Duration) {
        self.interval = interval
    }

    /// Takes a report; of several consumers of a subscription the last one counts.
    mutating func report(_ key: SubscriptionKey, start: UInt64, floor: UInt64) {
        if let known = reported[key], known.start == start, known.floor >= floor { return }
        reported[key] = Floor(start: start, floor: floor)
    }

    mutating func forget(_ key: SubscriptionKey) {
        reported[key] = nil
        noted[key] = nil
    }

    /// Takes out what is to be noted now.
    mutating func due(_ now: ContinuousClock.Instant) -> [(key: SubscriptionKey, start: UInt64, floor: UInt64)] {
        var due: [(key: SubscriptionKey, start: UInt64, floor: UInt64)] = []
        for (key, report) in reported where noted[key].map({ now - $0 >= interval }) ?? true {
            due.append((key, report.start, report.floor))
            reported[key] = nil
            noted[key] = now
        }
        return due
    }
}

extension SubscriptionRegistry {
    /// Takes how far the consumer that was made from `start` is: everything up to the sequence `floor` is settled.
    ///
    /// Costs a short lock; the record has it within the interval of the settings. Call it as often as it is known.
    package func report(floor: UInt64, start: UInt64, of key: SubscriptionKey) {
        floors.withLock { $0.report(key, start: start, floor: floor) }
    }

    /// Notes reported floors, each at most once in the interval.
    func checkpointForEver() async {
        let step = min(settings.checkpointInterval, .seconds(1))
        while !Task.isCancelled {
            try? await Task.sleep(for: step)
            await checkpoint()
        }
    }

    /// Notes the floors that are due.
    package func checkpoint() async {
        for (key, start, floor) in floors.withLock({ $0.due(.now) }) {
            // What others noted already is known here, and costs nothing.
            guard let known = record(key), known.start == start, known.cursor <= floor else { continue }
            // Whoever is faster knows as much: a conflict is left for the next report.
            guard var next = try? await load(key), next.start == start, next.cursor <= floor else { continue }
            let revision = next.revision
            next.cursor = floor + 1
            _ = try? await store(next, expecting: revision)
        }
    }
}
