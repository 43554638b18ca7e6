import TenantMetrics
import Testing

@Suite struct TenantTallyTests {
    private func counts(_ delta: TenantDelta?, _ tenant: String) throws -> TenantDelta.Counts {
        try #require(delta?.tenants.first { $0.tenant == tenant })
    }

    @Test func `nothing happened, nothing taken`() {
        let tally = TenantTally()
        #expect(tally.take() == nil)
        tally.rejected(tenant: "a", reason: .invalid, count: 0)
        tally.rejected(tenant: "a", reason: .invalid, count: -3)
        #expect(tally.take() == nil)
    }

    @Test func `every figure is counted, and taken once`() throws {
        let tally = TenantTally()
        tally.accepted(tenant: "a", type: "t", bytes: 10, duplicate: false)
        tally.accepted(tenant: "a", type: "t", bytes: 10, duplicate: true)
        tally.accepted(tenant: "b", type: "t", bytes: 7, duplicate: false)
        tally.accepted(tenant: "a", type: "u", bytes: 5, duplicate: false)
        tally.accepted(tenant: "a", type: "t", bytes: -1, duplicate: false)
        tally.rejected(tenant: "a", reason: .invalid)
        tally.rejected(tenant: "a", reason: .tooLarge, count: 4)
        let delta = tally.take()
        let counts = try counts(delta, "a")
        #expect(counts.accepted == 4)
        #expect(counts.duplicates == 1)
        #expect(counts.bytes == 15)
        #expect(counts.rejected[.invalid] == 1)
        #expect(counts.rejected[.tooLarge] == 4)
        #expect(counts.rejected[.other] == 0)
        #expect(counts.rejected.total == 5)
        #expect(counts.types.map(\.type) == ["t", "u"])
        #expect(counts.types.map(\.count) == [3, 1])
        #expect(delta?.events == 10)
        #expect(tally.take() == nil)
        tally.accepted(tenant: "a", type: "t", bytes: 1, duplicate: false)
        let next = try self.counts(tally.take(), "a")
        #expect(next.types.map(\.type) == ["t"])
        #expect(next.events == 1)
        #expect(next.bytes == 1)
    }

    @Test func `types are told apart by their bytes, not by canonical equivalence`() throws {
        let tally = TenantTally()
        for type in ["\u{E9}", "e\u{301}", "\u{E9}", ""] {
            tally.accepted(tenant: "a", type: type, bytes: 0, duplicate: false)
        }
        let types = try counts(tally.take(), "a").types
        #expect(types.map { Array($0.type.utf8) } == [[0xC3, 0xA9], [0x65, 0xCC, 0x81], []])
        #expect(types.map(\.count) == [2, 1, 1])
    }

    @Test func `tenants over the bound and names that are none are dropped and counted`() throws {
        var bounds = TenantBounds()
        bounds.tenants = 2
        let tally = TenantTally(bounds: bounds)
        for tenant in ["a", "b", "c", "a", ""] {
            tally.accepted(tenant: tenant, type: "t", bytes: 0, duplicate: false)
        }
        tally.rejected(tenant: "c", reason: .invalid, count: 5)
        tally.rejected(tenant: String(repeating: "x", count: 64), reason: .invalid)
        let delta = try #require(tally.take())
        #expect(delta.tenants.map(\.tenant) == ["a", "b"])
        #expect(delta.dropped == 8)
        #expect(delta.events == 11)
    }

    @Test func `types over the bounds are counted as others`() throws {
        var bounds = TenantBounds()
        bounds.typesPerTenant = 3
        bounds.types = 4
        bounds.typeBytes = 8
        let tally = TenantTally(bounds: bounds)
        for type in ["a", "b", "c", "d", "e", "a", "much too long"] {
            tally.accepted(tenant: "one", type: type, bytes: 0, duplicate: false)
        }
        for type in ["a", "b"] { tally.accepted(tenant: "two", type: type, bytes: 0, duplicate: false) }
        let delta = tally.take()
        let one = try counts(delta, "one")
        #expect(one.types.map(\.type) == ["a", "b", "c"])
        #expect(one.types.map(\.count) == [2, 1, 1])
        #expect(one.otherTypes == 3)
        let two = try counts(delta, "two")
        #expect(two.types.map(\.type) == ["a"])
        #expect(two.otherTypes == 1)
        for type in ["c", "d"] { tally.accepted(tenant: "two", type: type, bytes: 0, duplicate: false) }
        #expect(try counts(tally.take(), "two").types.count == 2, "the bound is one of a delta")
    }

    @Test func `sums beyond any count stay at the largest`() throws {
        let tally = TenantTally()
        for _ in 0..<3 {
            tally.accepted(tenant: "a", type: "t", bytes: .max, duplicate: false)
            tally.rejected(tenant: "a", reason: .other, count: .max)
        }
        let counts = try counts(tally.take(), "a")
        #expect(counts.bytes == .max)
        #expect(counts.events == .max)
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `random traffic is counted as by dictionaries`(seed: UInt64) throws {
        var traffic = Traffic(seed: seed, tenants: 7)
        let tally = TenantTally()
        var found: [String: Expected] = [:]
        for _ in 0..<20 {
            traffic.count(traffic.random(0...200), at: 0, in: tally)
            for counts in tally.take()?.tenants ?? [] {
                var sum = found[counts.tenant] ?? Expected()
                sum.accepted += counts.accepted
                sum.duplicates += counts.duplicates
                sum.bytes += counts.bytes
                sum.deliveries.delivered += counts.deliveries.delivered
                sum.deliveries.failed += counts.deliveries.failed
                sum.deliveries.retried += counts.deliveries.retried
                sum.deliveries.deadLettered += counts.deliveries.deadLettered
                for type in counts.types { sum.types[type.type, default: 0] += type.count }
                for (reason, count) in counts.rejected.nonzero { sum.rejected[reason.rawValue, default: 0] += count }
                #expect(counts.types.reduce(counts.otherTypes) { $0 + $1.count } == counts.accepted)
                found[counts.tenant] = sum
            }
        }
        #expect(
            found
                == traffic.expected.mapValues { expected in
                    var withoutSeries = expected
                    withoutSeries.series = [:]
                    return withoutSeries
                }
        )
    }
}

@Suite struct RejectReasonTests {
    @Test func `labels are snake_case and as many as reasons`() {
        let labels = RejectReason.allCases.map(\.label)
        #expect(Set(labels).count == RejectReason.allCases.count)
        #expect(labels.allSatisfy { $0.allSatisfy { $0.isLowercase || $0 == "_" } })
        #expect(labels.contains("outcome_unknown"))
    }

    @Test(arguments: RejectReason.allCases)
    func `each reason has a count of its own`(reason: RejectReason) throws {
        let tally = TenantTally()
        tally.rejected(tenant: "a", reason: reason, count: 3)
        let rejected = try #require(tally.take()?.tenants.first).rejected
        #expect(rejected.nonzero.map(\.reason) == [reason])
        #expect(rejected[reason] == 3)
    }
}
