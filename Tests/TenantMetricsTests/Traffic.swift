import ServerFixtures
import TenantMetrics

/// What a tenant's report must say, counted by a dictionary per figure.
struct Expected: Equatable {
    struct Minute: Equatable {
        var accepted: UInt64 = 0
        var duplicates: UInt64 = 0
        var bytes: UInt64 = 0
        var rejected: UInt64 = 0
    }

    var accepted: UInt64 = 0
    var duplicates: UInt64 = 0
    var bytes: UInt64 = 0
    var rejected: [String: UInt64] = [:]
    var types: [String: UInt64] = [:]
    var series: [Int64: Minute] = [:]
    var deliveries = DeliveryCounts()

    init() {}

    init(_ report: TenantReport) {
        accepted = report.accepted
        duplicates = report.duplicates
        bytes = report.bytes
        deliveries = report.deliveries
        for rejection in report.rejected { rejected[rejection.reason.rawValue] = rejection.count }
        for type in report.types { types[type.type] = type.count }
        for minute in report.series {
            series[minute.start] = Minute(
                accepted: minute.accepted,
                duplicates: minute.duplicates,
                bytes: minute.bytes,
                rejected: minute.rejected
            )
        }
    }
}

/// Random events, put into tallies and counted beside them.
struct Traffic {
    static let types = ["com.example.order.created", "a", "grüße", "x.y", "com.example.order.cancelled", ""]

    var generator: SeededGenerator
    private let tenants: [String]
    private(set) var expected: [String: Expected] = [:]

    init(seed: UInt64, tenants: Int) {
        generator = SeededGenerator(seed: seed)
        self.tenants = (0..<tenants).map { "tenant-\($0)" }
    }

    mutating func random(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &generator) }

    /// All events so far, accepted or rejected.
    var events: UInt64 {
        expected.values.reduce(0) { $0 + $1.accepted + $1.rejected.values.reduce(0, +) }
    }

    /// All counts of deliveries so far.
    var deliveries: UInt64 {
        expected.values.reduce(0) { sum, tenant in
            let counts = tenant.deliveries
            return sum + counts.delivered + counts.failed + counts.retried + counts.deadLettered
        }
    }

    /// Counts some events of the second `time` in both books, and what became of some deliveries.
    mutating func count(_ events: Int, at time: Int64, in tally: TenantTally) {
        let minute = time / 60 * 60
        for _ in 0..<events {
            let tenant = tenants[random(0...tenants.count - 1)]
            if random(0...9) < 8 {
                let type = Self.types[random(0...Self.types.count - 1)]
                let isDuplicate = random(0...9) == 0
                let bytes = random(0...5000)
                tally.accepted(tenant: tenant, type: type, bytes: bytes, duplicate: isDuplicate)
                expected[tenant, default: .init()].accepted += 1
                expected[tenant, default: .init()].duplicates += isDuplicate ? 1 : 0
                expected[tenant, default: .init()].bytes += isDuplicate ? 0 : UInt64(bytes)
                expected[tenant, default: .init()].types[type, default: 0] += 1
                expected[tenant, default: .init()].series[minute, default: .init()].accepted += 1
                expected[tenant, default: .init()].series[minute, default: .init()].duplicates += isDuplicate ? 1 : 0
                expected[tenant, default: .init()].series[minute, default: .init()].bytes +=
                    isDuplicate ? 0 : UInt64(bytes)
            } else {
                let reason = RejectReason.allCases[random(0...RejectReason.allCases.count - 1)]
                let count = random(1...3)
                tally.rejected(tenant: tenant, reason: reason, count: count)
                expected[tenant, default: .init()].rejected[reason.rawValue, default: 0] += UInt64(count)
                expected[tenant, default: .init()].series[minute, default: .init()].rejected += UInt64(count)
            }
            if random(0...2) == 0 { countDeliveries(in: tally) }
        }
    }

    /// One in four is of a tenant that publishes nothing.
    private mutating func countDeliveries(in tally: TenantTally) {
        let tenant = random(0...3) == 0 ? "quiet-\(random(0...4))" : tenants[random(0...tenants.count - 1)]
        var counts = DeliveryCounts()
        counts.delivered = UInt64(random(1...9))
        counts.failed = UInt64(random(0...3))
        counts.retried = UInt64(random(0...Int(counts.failed)))
        counts.deadLettered = UInt64(random(0...1))
        tally.delivered(tenant: tenant, counts)
        expected[tenant, default: .init()].deliveries.delivered += counts.delivered
        expected[tenant, default: .init()].deliveries.failed += counts.failed
        expected[tenant, default: .init()].deliveries.retried += counts.retried
        expected[tenant, default: .init()].deliveries.deadLettered += counts.deadLettered
    }

    /// Starts from zero, as an emptied Redis does.
    mutating func forget() { expected = [:] }
}
