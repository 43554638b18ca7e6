#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

extension Timestamp {
    /// The current time of the system's clock in UTC, to the millisecond.
    public static func now() -> Timestamp {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let milliseconds = Int32(clamping: now.tv_nsec / 1_000_000)
        // A clock outside the years 0000–9999 is broken: the epoch says so as well as anything.
        return Timestamp(secondsSinceEpoch: Int64(now.tv_sec), nanoseconds: milliseconds * 1_000_000)
            ?? Timestamp(epoch: ())
    }

    private init(epoch: ()) {
        guard let epoch = Timestamp("1970-01-01T00:00:00Z") else { preconditionFailure("the epoch is a timestamp") }
        self = epoch
    }
}
