import Glibc

/// The `Retry-After` field (RFC 9110 §10.2.3): seconds, or a date.
package enum RetryAfter {
    private static let secondsMax: Int64 = 86_400

    /// How long to wait, at most a day; nil if the field is neither; a date in the past is no wait.
    ///
    /// - Parameter now: Seconds since 1970.
    package static func delay(_ field: String, now: Int64) -> Duration? {
        if !field.isEmpty, field.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
            return .seconds(min(Int64(field) ?? .max, secondsMax))
        }
        return date(field).map { .seconds(min(max($0 - now, 0), secondsMax)) }
    }

    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// Seconds since 1970 of a date like `Sun, 06 Nov 1994 08:49:37 GMT`.
    private static func date(_ text: String) -> Int64? {
        let parts = text.split(separator: " ")
        guard parts.count == 6, parts[5] == "GMT", let month = months.firstIndex(of: String(parts[2])),
            let day = Int32(parts[1]), (1...31).contains(day), let year = Int32(parts[3]), (1970...9999).contains(year)
        else { return nil }
        let clock = parts[4].split(separator: ":").compactMap { Int32($0) }
        guard clock.count == 3, (0...23).contains(clock[0]), (0...59).contains(clock[1]), (0...60).contains(clock[2])
        else { return nil }
        var time = tm()
        time.tm_year = year - 1900
        time.tm_mon = Int32(month)
        time.tm_mday = day
        time.tm_hour = clock[0]
        time.tm_min = clock[1]
        time.tm_sec = clock[2]
        return Int64(timegm(&time))
    }
}
