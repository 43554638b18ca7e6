import Glibc

/// Nanoseconds of the monotonic clock: wall-clock jumps move no deadline.
package typealias Nanoseconds = Int64

/// The time of the monotonic clock.
package func monotonicNow() -> Nanoseconds {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Nanoseconds(time.tv_sec) &* 1_000_000_000 &+ Nanoseconds(time.tv_nsec)
}

extension Duration {
    /// Whole nanoseconds between 0 and about a century.
    var nanoseconds: Nanoseconds {
        let (seconds, attoseconds) = components
        let bounded = min(max(seconds, 0), 3_000_000_000)
        return seconds < 0 ? 0 : bounded * 1_000_000_000 + attoseconds / 1_000_000_000
    }
}
