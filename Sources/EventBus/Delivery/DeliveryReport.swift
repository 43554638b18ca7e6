package import DeliveryRules

/// What one replica knows of the delivery to one subscription, since it began with it.
package struct DeliveryReport: Sendable {
    /// Which subscription.
    package let key: SubscriptionKey
    /// Attempts, deliveries, retries, dead letters.
    package var counters = DeliveryCounters()
    /// Attempts that failed.
    package var failed: UInt64 = 0
    /// Events that came and were not wanted.
    package var skipped: UInt64 = 0
    /// Tries to store a dead letter that failed; the event stays unsettled and the try is made again.
    package var lettersFailed: UInt64 = 0
    /// Events being tried, or locked by a client, now.
    package var inFlight = 0
    /// Whether attempts are made: `closed`, `open` or `half-open`; nil where there is no breaker.
    package var breaker: String?
    /// The last error and its time in milliseconds of Unix time.
    package var lastError: (text: String, time: UInt64)?
    /// How long attempts took together, from start to result, in seconds.
    package var attemptSeconds = 0.0

    package init(key: SubscriptionKey) {
        self.key = key
    }

    /// What remains of it when its worker is gone.
    var past: DeliveryReport {
        var past = self
        past.inFlight = 0
        past.breaker = nil
        return past
    }

    /// Adds what another worker of the same subscription did before, or does beside.
    mutating func add(_ other: DeliveryReport) {
        counters.add(other.counters)
        failed += other.failed
        skipped += other.skipped
        lettersFailed += other.lettersFailed
        inFlight += other.inFlight
        attemptSeconds += other.attemptSeconds
        breaker = breaker ?? other.breaker
        if (other.lastError?.time ?? 0) > (lastError?.time ?? 0) { lastError = other.lastError }
    }
}

extension CircuitBreaker.State {
    /// The word for people and for the API.
    var word: String {
        switch self {
        case .closed: "closed"
        case .open: "open"
        case .halfOpen: "half-open"
        }
    }
}
