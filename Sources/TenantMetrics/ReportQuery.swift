package import RedisStore

/// The commands that read one tenant, and what their replies mean.
///
/// Pure: a reply may hold anything.
package struct ReportQuery {
    /// Hours of the series that are kept and read, the current one included.
    package static let hourCount = 25
    /// Commands per tenant.
    package static let commandCount = 2 + hourCount
    private static let typesMax = 1000
    private static let fields =
        ["accepted", "duplicates", "bytes", "otherTypes", "lastEventTime"]
        + RejectReason.allCases.map { "rejected:\($0.rawValue)" } + DeliveryCounts.Field.allCases.map(\.rawValue)
    /// Where the counts of reasons begin in `fields`, and those of deliveries.
    private static let firstReason = 5
    private static let firstDelivery = firstReason + RejectReason.allCases.count
    /// Figures that are read of the totals.
    package static var figureCount: Int { fields.count }

    private let tenant: String
    private let keys: MetricKeys
    private let now: Int64
    private var firstHour: Int64 { now / 3600 - Int64(Self.hourCount) + 1 }

    package init(tenant: String, keys: MetricKeys, unixSeconds: Int64) {
        self.tenant = tenant
        self.keys = keys
        now = WallClock.bounded(unixSeconds)
    }

    package var commands: [RedisCommand] {
        let fields = Self.fields.map { Array($0.utf8) }
        let last = Array(String(Self.typesMax - 1).utf8)
        var commands = [
            RedisCommand("HMGET", [keys.totals(tenant)] + fields),
            RedisCommand("ZREVRANGE", [keys.types(tenant), Array("0".utf8), last, Array("WITHSCORES".utf8)]),
        ]
        for hour in firstHour...now / 3600 {
            commands.append(RedisCommand("HGETALL", [keys.series(tenant, hour: hour)]))
        }
        return commands
    }

    /// Reads the replies to `commands`, in their order.
    package func report(_ replies: some RandomAccessCollection<RedisReply>) throws(TenantMetricsError) -> TenantReport {
        guard replies.count == Self.commandCount else { throw .refused("fewer replies than commands") }
        var report = TenantReport(tenant: tenant)
        for (index, reply) in replies.enumerated() {
            let key = index == 0 ? keys.totals(tenant) : index == 1 ? keys.types(tenant) : seriesKey(index - 2)
            let isReadable: Bool
            if let items = try Self.items(reply) {
                switch index {
                case 0: isReadable = readTotals(items, into: &report)
                case 1: isReadable = readTypes(items, into: &report)
                default: isReadable = readHour(items, hour: firstHour + Int64(index - 2), into: &report)
                }
            } else {
                isReadable = false
            }
            if !isReadable { report.unreadable.append(String(decoding: key, as: UTF8.self)) }
        }
        return report
    }

    private func seriesKey(_ index: Int) -> [UInt8] { keys.series(tenant, hour: firstHour + Int64(index)) }

    /// The items of an array; `nil` where the key has another type.
    static func items(_ reply: RedisReply) throws(TenantMetricsError) -> [RedisReply]? {
        switch reply {
        case .array(let items): return items
        case .error(let text):
            guard text.hasPrefix("WRONGTYPE") else { throw .refused(text) }
            return nil
        default: return nil
        }
    }

    private func readTotals(_ items: [RedisReply], into report: inout TenantReport) -> Bool {
        guard items.count == Self.fields.count else { return false }
        var isReadable = true
        func number(_ index: Int) -> UInt64 {
            switch items[index] {
            case .null: return 0
            case .bytes(let text):
                if let value = UInt64(decimal: text) { return value }
                isReadable = false
                return 0
            default:
                isReadable = false
                return 0
            }
        }
        report.accepted = number(0)
        report.duplicates = number(1)
        report.bytes = number(2)
        report.otherTypes = number(3)
        let lastTime = Int64(clamping: number(4))
        report.lastEventTime = lastTime > 0 ? lastTime : nil
        for (index, reason) in RejectReason.allCases.enumerated() {
            let count = number(Self.firstReason + index)
            if count > 0 { report.rejected.append(.init(reason: reason, count: count)) }
        }
        for (index, field) in DeliveryCounts.Field.allCases.enumerated() {
            report.deliveries[field] = number(Self.firstDelivery + index)
        }
        return isReadable
    }

    private func readTypes(_ items: [RedisReply], into report: inout TenantReport) -> Bool {
        var isReadable = items.count.isMultiple(of: 2)
        for index in stride(from: 0, to: items.count - 1, by: 2) {
            guard case .bytes(let name) = items[index], case .bytes(let score) = items[index + 1],
                let type = String(validating: name, as: UTF8.self), let count = UInt64(score: score)
            else {
                isReadable = false
                continue
            }
            report.types.append(.init(type: type, count: count))
        }
        report.types.sort { ($1.count, $0.type) < ($0.count, $1.type) }
        return isReadable
    }

    private func readHour(_ items: [RedisReply], hour: Int64, into report: inout TenantReport) -> Bool {
        var isReadable = items.count.isMultiple(of: 2)
        var minutes: [Int64: TenantReport.Minute] = [:]
        for index in stride(from: 0, to: items.count - 1, by: 2) {
            guard case .bytes(let name) = items[index], case .bytes(let text) = items[index + 1],
                let (minute, field) = Self.seriesField(name), let count = UInt64(decimal: text)
            else {
                isReadable = false
                continue
            }
            let start = (hour * 60 + minute) * 60
            guard start > now - 86_400, count > 0 else { continue }
            minutes[start, default: .init(start: start)][field] = count
        }
        report.series += minutes.values.sorted { $0.start < $1.start }
        return isReadable
    }

    /// `17:a` is the accepted events of minute 17.
    private static func seriesField(_ name: [UInt8]) -> (minute: Int64, field: SeriesField)? {
        guard name.count >= 3, name[name.count - 2] == UInt8(ascii: ":"), let last = name.last,
            let field = SeriesField(rawValue: last), let minute = UInt64(decimal: Array(name.dropLast(2))), minute < 60
        else { return nil }
        return (Int64(minute), field)
    }
}

extension TenantReport.Minute {
    fileprivate subscript(_ field: SeriesField) -> UInt64 {
        get {
            switch field {
            case .accepted: accepted
            case .duplicates: duplicates
            case .bytes: bytes
            case .rejected: rejected
            }
        }
        set {
            switch field {
            case .accepted: accepted = newValue
            case .duplicates: duplicates = newValue
            case .bytes: bytes = newValue
            case .rejected: rejected = newValue
            }
        }
    }
}

extension UInt64 {
    /// A number of digits only, at most `Int64.max`, which is what Redis counts up to.
    package init?(decimal text: [UInt8]) {
        guard (1...19).contains(text.count), text.allSatisfy({ (0x30...0x39).contains($0) }),
            let value = Int64(String(decoding: text, as: UTF8.self))
        else { return nil }
        self.init(value)
    }

    /// A sorted set's score that is a count.
    package init?(score text: [UInt8]) {
        guard text.count <= 32, let value = Double(String(decoding: text, as: UTF8.self)), value >= 0, value < 0x1p63,
            value == value.rounded(.towardZero)
        else { return nil }
        self.init(value)
    }
}
