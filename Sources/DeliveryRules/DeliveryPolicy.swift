/// What a subscription's configuration says about its delivery.
package struct DeliveryPolicy: Sendable, Equatable {
    /// After so many attempts an event becomes a dead letter; at least 1.
    package let maxAttempts: Int
    /// The waits between attempts.
    package let schedule: RetrySchedule
    /// How long the server waits for news of a delivery before it delivers again; at least one second.
    package let ackWait: Duration
    /// How many events one replica may have in hand; at least 1.
    package let maxInFlight: Int
    /// How many attempts a minute one replica may make; nil is no limit.
    package let ratePerMinute: Int?
    /// When to leave a failing endpoint alone; nil is never, as for handlers in the same process.
    package let breaker: CircuitBreaker.Policy?
    /// A subscription whose attempts fail for so long without one success is disabled; nil is never.
    package let disableAfter: Duration?
    /// The longest `Retry-After` that is obeyed in full.
    package let retryAfterMax: Duration

    package init(
        maxAttempts: Int = 5,
        schedule: RetrySchedule = .standard,
        ackWait: Duration = .seconds(30),
        maxInFlight: Int = 64,
        ratePerMinute: Int? = nil,
        breaker: CircuitBreaker.Policy? = CircuitBreaker.Policy(),
        disableAfter: Duration? = .seconds(5 * 86_400),
        retryAfterMax: Duration = .seconds(3600)
    ) {
        self.maxAttempts = max(1, maxAttempts)
        self.schedule = schedule
        self.ackWait = min(max(ackWait, .seconds(1)), .seconds(86_400))
        self.maxInFlight = min(max(maxInFlight, 1), 1_000_000)
        self.ratePerMinute = ratePerMinute.map { max($0, 1) }
        self.breaker = breaker
        self.disableAfter = disableAfter
        self.retryAfterMax = max(retryAfterMax, .zero)
    }
}
