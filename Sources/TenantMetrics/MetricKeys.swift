/// The names of what is kept in Redis.
///
/// | key | type | holds |
/// |---|---|---|
/// | `<prefix>:tenants` | sorted set | the names of all tenants, score 0 |
/// | `<prefix>:tenant:<tenant>` | hash | `accepted`, `duplicates`, `bytes`, `otherTypes`, `lastEventTime` (Unix ms), `rejected:<reason>`, `deliveries:<count>` |
/// | `<prefix>:types:<tenant>` | sorted set | types, scored by accepted events |
/// | `<prefix>:series:<tenant>:<hour>` | hash | `<minute>:a`, `:d`, `:b`, `:r`: accepted, duplicates, bytes, rejected; expires |
/// | `<prefix>:flush:<replica>:<run>` | string | the number of the last chunk applied, and what of it was dropped; expires |
///
/// `<hour>` is the Unix time in hours, `<minute>` 0 to 59, `<run>` a random number of one process; `<count>` is
/// `delivered`, `failed`, `retried` or `deadLettered`.
package struct MetricKeys: Sendable {
    package let prefix: String

    package init(prefix: String) { self.prefix = prefix }

    package var tenants: [UInt8] { Array("\(prefix):tenants".utf8) }
    package func totals(_ tenant: String) -> [UInt8] { Array("\(prefix):tenant:\(tenant)".utf8) }
    package func types(_ tenant: String) -> [UInt8] { Array("\(prefix):types:\(tenant)".utf8) }
    package func series(_ tenant: String, hour: Int64) -> [UInt8] { Array("\(prefix):series:\(tenant):\(hour)".utf8) }
    package func flush(_ replica: String, run: UInt64) -> [UInt8] {
        Array("\(prefix):flush:\(replica):\(String(run, radix: 16))".utf8)
    }

    /// Seconds that a flush key is kept after its last use: a chunk retried later than that could count twice.
    static let flushLifetime = 7 * 86_400
    /// Seconds that an hour of a series is kept after its last write.
    static let seriesLifetime = 25 * 3600
}

/// The letters of a series' fields.
enum SeriesField: UInt8, CaseIterable {
    case accepted = 0x61
    case duplicates = 0x64
    case bytes = 0x62
    case rejected = 0x72

    /// Whether the count is one of events, each of which is in exactly one such field.
    var countsEvents: Bool { self == .accepted || self == .rejected }
}
