/// Spreads attempts over time (GCRA), so that no 60 seconds ever see more than the limit.
package struct RateLimiter: Sendable, Equatable {
    private static let minute: Int64 = 60 * Nanoseconds.second

    /// How many attempts may follow each other at once: a second's worth.
    package let burst: Int
    private let interval: Int64
    /// The moment at which the limiter is as fresh as new.
    private var fresh: Instant = .min

    /// At most `perMinute` (at least 1) attempts in any 60 seconds.
    package init(perMinute: Int) {
        let limit = max(1, perMinute)
        burst = max(1, limit / 60)
        // A burst and what follows it within the minute must stay within the limit together.
        let steady = Int64(limit - burst + 1)
        interval = (Self.minute + steady - 1) / steady
    }

    /// The first moment at which an attempt may be made; not after `now` if at once.
    package func next(_ now: Instant) -> Instant {
        fresh.adding(-interval * Int64(burst - 1))
    }

    /// Counts one attempt if it may be made now.
    package mutating func take(_ now: Instant) -> Bool {
        guard next(now) <= now else { return false }
        fresh = max(fresh, now).adding(interval)
        return true
    }
}
