import ServerFixtures
import TenantMetrics
import Testing

extension DeliveryCounts {
    /// All four figures.
    init(_ delivered: UInt64, _ failed: UInt64, _ retried: UInt64, _ deadLettered: UInt64) {
        self.init()
        (self.delivered, self.failed, self.retried, self.deadLettered) = (delivered, failed, retried, deadLettered)
    }
}

/// Counts of deliveries before they reach Redis.
@Suite struct DeliveryCountsTests {
    @Test func `what has grown is told once, whatever comes after`() {
        var counts = DeliveryCounts()
        #expect(counts.raise(to: DeliveryCounts(4, 3, 2, 1)) == DeliveryCounts(4, 3, 2, 1))
        #expect(counts.raise(to: DeliveryCounts(4, 3, 2, 1)) == DeliveryCounts())
        #expect(counts.raise(to: DeliveryCounts(5, 3, 9, 1)) == DeliveryCounts(1, 0, 7, 0))
        #expect(counts.raise(to: DeliveryCounts(0, 4, 0, 0)) == DeliveryCounts(0, 1, 0, 0), "a worker is gone")
        #expect(counts.raise(to: DeliveryCounts(6, 4, 9, 2)) == DeliveryCounts(1, 0, 0, 1), "and is counted again")
        #expect(counts == DeliveryCounts(6, 4, 9, 2))
    }

    /// However the counts that are read jump about, the sum of what is told is the highest that was ever read.
    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `the sum of what is told is the highest that was read`(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var counts = DeliveryCounts()
        var told = DeliveryCounts()
        var highest = DeliveryCounts()
        for _ in 0..<100 {
            let read = DeliveryCounts(
                .random(in: 0...1000, using: &generator),
                .random(in: 0...1000, using: &generator),
                .random(in: 0...1000, using: &generator),
                .random(in: 0...1000, using: &generator)
            )
            let growth = counts.raise(to: read)
            told.delivered += growth.delivered
            told.failed += growth.failed
            told.retried += growth.retried
            told.deadLettered += growth.deadLettered
            highest.delivered = max(highest.delivered, read.delivered)
            highest.failed = max(highest.failed, read.failed)
            highest.retried = max(highest.retried, read.retried)
            highest.deadLettered = max(highest.deadLettered, read.deadLettered)
            #expect(told == highest)
        }
    }

    @Test func `a sum beyond any count stays at the largest`() throws {
        #expect(DeliveryCounts(.max, .max, 1, 0).total == .max)
        let tally = TenantTally()
        for _ in 0..<2 { tally.delivered(tenant: "a", DeliveryCounts(.max, 1, 0, 0)) }
        let counts = try #require(tally.take()?.tenants.first)
        #expect(counts.deliveries == DeliveryCounts(.max, 2, 0, 0))
    }

    @Test func `deliveries are counted beside events, and taken once`() throws {
        let tally = TenantTally()
        tally.delivered(tenant: "a", DeliveryCounts())
        #expect(tally.take() == nil, "nothing became of nothing")
        tally.accepted(tenant: "a", type: "t", bytes: 1, duplicate: false)
        tally.delivered(tenant: "a", DeliveryCounts(4, 3, 2, 1))
        tally.delivered(tenant: "b", DeliveryCounts(0, 0, 0, 7))
        tally.delivered(tenant: "a", DeliveryCounts(1, 0, 0, 0))
        let delta = try #require(tally.take())
        #expect(delta.tenants.map(\.tenant) == ["a", "b"])
        #expect(delta.tenants.map(\.deliveries) == [DeliveryCounts(5, 3, 2, 1), DeliveryCounts(0, 0, 0, 7)])
        #expect(delta.tenants.map(\.events) == [1, 0])
        #expect(delta.events == 1)
        #expect(delta.deliveries == 18)
        #expect(tally.take() == nil)
    }

    @Test func `deliveries of tenants over the bound, and of names that are none, are dropped and counted`() throws {
        var bounds = TenantBounds()
        bounds.tenants = 1
        let tally = TenantTally(bounds: bounds)
        tally.delivered(tenant: "", DeliveryCounts(1, 0, 0, 0))
        let first = try #require(tally.take())
        #expect(first.tenants.isEmpty && first.dropped == 0 && first.droppedDeliveries == 1)
        tally.delivered(tenant: "a", DeliveryCounts(1, 0, 0, 0))
        tally.delivered(tenant: "b", DeliveryCounts(1, 2, 3, 4))
        let second = try #require(tally.take())
        #expect(second.tenants.map(\.tenant) == ["a"])
        #expect(second.droppedDeliveries == 10)
        #expect(second.deliveries == 11)
    }
}
