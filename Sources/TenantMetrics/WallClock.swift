import Glibc

/// The wall clock, which may jump: it only chooses a minute of a series, never a deadline.
enum WallClock {
    /// Seconds since 1970.
    static func unixSeconds() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec)
    }

    /// A time that all arithmetic here can take: from 1970 to the year 9999.
    static func bounded(_ unixSeconds: Int64) -> Int64 {
        min(max(unixSeconds, 0), 253_402_300_799)
    }
}
