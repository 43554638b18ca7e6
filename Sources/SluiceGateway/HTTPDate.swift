#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// The time as an HTTP date (RFC 9110 §5.6.7), formatted at most once a second.
///
/// Not safe for concurrent use: one for each event loop.
struct HTTPDate {
    private var second: time_t = -1
    private var cached = ""

    /// The current time, `Sun, 06 Nov 1994 08:49:37 GMT`.
    mutating func text() -> String {
        var now = time_t()
        time(&now)
        if now != second {
            second = now
            cached = Self.format(now)
        }
        return cached
    }

    private static let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// Formats seconds since 1970.
    static func format(_ seconds: time_t) -> String {
        var seconds = seconds
        var parts = tm()
        gmtime_r(&seconds, &parts)
        let clock = [parts.tm_hour, parts.tm_min, parts.tm_sec].map(twoDigits).joined(separator: ":")
        return "\(days[Int(parts.tm_wday)]), \(twoDigits(parts.tm_mday)) \(months[Int(parts.tm_mon)]) "
            + "\(parts.tm_year + 1900) \(clock) GMT"
    }

    private static func twoDigits(_ value: Int32) -> String {
        value < 10 ? "0\(value)" : "\(value)"
    }
}
