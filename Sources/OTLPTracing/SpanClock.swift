import Glibc

/// The two clocks of a span, in nanoseconds.
package enum SpanClock {
    /// Time since 1970, UTC; can jump either way.
    @inline(__always)
    package static func wall() -> UInt64 { read(CLOCK_REALTIME) }

    /// Time since some point in the past; never goes back.
    @inline(__always)
    package static func monotonic() -> UInt64 { read(CLOCK_MONOTONIC) }

    @inline(__always)
    private static func read(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return UInt64(truncatingIfNeeded: time.tv_sec) &* 1_000_000_000 &+ UInt64(truncatingIfNeeded: time.tv_nsec)
    }
}
