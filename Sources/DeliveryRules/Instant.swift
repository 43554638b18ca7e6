/// A moment on the monotonic clock, in nanoseconds from an unknown start (R-38: never the wall clock).
package typealias Instant = Int64

extension Instant {
    /// The moment that is `nanoseconds` later; the ends of the range are kept, never wrapped.
    func adding(_ nanoseconds: Int64) -> Instant {
        let (sum, overflow) = addingReportingOverflow(nanoseconds)
        if !overflow { return sum }
        return nanoseconds > 0 ? .max : .min
    }

    /// How many nanoseconds this moment is after `other`; the ends of the range are kept.
    func elapsed(since other: Instant) -> Int64 {
        let (difference, overflow) = subtractingReportingOverflow(other)
        if !overflow { return difference }
        return other < 0 ? .max : .min
    }
}

extension Duration {
    /// Whole nanoseconds, at most what an `Int64` holds.
    var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        if overflow { return seconds > 0 ? .max : .min }
        return scaled.adding(attoseconds / 1_000_000_000)
    }
}

/// Round figures in nanoseconds.
enum Nanoseconds {
    static let millisecond: Int64 = 1_000_000
    static let second: Int64 = 1_000_000_000
}
