/// Keeps a failing or flapping server from filling the log.
struct EventLimiter {
    /// Events that may come at once, and how often one more may come.
    private static let burst = 20
    private static let interval: Nanoseconds = 5_000_000_000
    /// The same failure again only after so long.
    private static let repetition: Nanoseconds = 30_000_000_000

    private var left = burst
    private var refilledAt: Nanoseconds = 0
    private var lastFailure: (reason: String, at: Nanoseconds)?

    /// Whether the event may be told now.
    mutating func allows(_ event: RedisEvent, now: Nanoseconds) -> Bool {
        if case .connectFailed(_, let reason, let attempts) = event {
            if attempts > 1, let last = lastFailure, last.reason == reason, now - last.at < Self.repetition {
                return false
            }
            lastFailure = (reason, now)
        }
        let earned = (now - refilledAt) / Self.interval
        if earned > 0 {
            left = Int(min(Nanoseconds(Self.burst), Nanoseconds(left) + earned))
            refilledAt = now
        }
        guard left > 0 else { return false }
        left -= 1
        return true
    }
}
