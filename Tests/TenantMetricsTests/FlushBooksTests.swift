import TenantMetrics
import Testing

/// Pure tests of what waits, what is on its way and what becomes of it.
@Suite struct FlushBooksTests {
    private let keys = MetricKeys(prefix: "p")
    private let now = ContinuousClock.now

    private func books(_ change: (inout TenantBounds) -> Void = { _ in }) -> FlushBooks {
        var bounds = TenantBounds()
        change(&bounds)
        return FlushBooks(bounds: bounds, keys: keys, flushKey: keys.flush("r", run: 1))
    }

    private func delta(_ tenants: [String], type: String = "t") throws -> TenantDelta {
        let tally = TenantTally()
        for tenant in tenants { tally.accepted(tenant: tenant, type: type, bytes: 1, duplicate: false) }
        return try #require(tally.take())
    }

    private func claim(_ books: inout FlushBooks, _ now: ContinuousClock.Instant) throws -> FlushChunk {
        let chunk = books.claim(now: now)
        return try #require(chunk)
    }

    private let applied = FlushBooks.Outcome.applied(
        droppedEvents: 0,
        droppedSeriesEvents: 0,
        failedWrites: 0,
        droppedDeliveries: 0
    )

    @Test func `a chunk whose outcome is unknown comes again, unchanged, before anything newer`() throws {
        var books = books()
        books.ledger.fold(try delta(["a", "b"]), at: 100)
        let first = try claim(&books, now)
        #expect(books.claim(now: now) == nil, "one at a time")
        #expect(books.settle(.failed("why"), now: now) == [.waiting(reason: "why")])
        #expect(books.claim(now: now) == nil, "not before the pause is over")
        books.ledger.fold(try delta(["a", "c"]), at: 100)
        var later = now
        for _ in 0..<10 {
            later += .seconds(5)
            let again = try claim(&books, later)
            #expect(again.number == first.number)
            #expect(again.keys == first.keys)
            #expect(again.arguments == first.arguments)
            #expect(books.settle(.failed("why"), now: later) == [], "told once")
        }
        later += .seconds(5)
        _ = try claim(&books, later)
        #expect(books.settle(applied, now: later) == [.resumed(failedAttempts: 11)])
        let second = try claim(&books, later)
        #expect(second.number == first.number + 1)
        #expect(second.events == 2)
        #expect(books.settle(applied, now: later) == [])
        #expect(books.claim(now: later) == nil)
        #expect(books.isDone)
        #expect(books.status.flushes == 2)
        #expect(books.status.failures == 11)
        #expect(books.status.retries == 11)
        #expect(books.status.recordedEvents == 4)
        #expect(books.status.lastSuccess == later)
        #expect(books.status.lastFailure == nil)
    }

    @Test func `the pause grows to about two seconds and can be ended`() throws {
        var books = books()
        books.ledger.fold(try delta(["a"]), at: 100)
        var later = now
        for _ in 0..<70 {
            _ = try claim(&books, later)
            _ = books.settle(.failed("why"), now: later)
            #expect(books.claim(now: later + .milliseconds(149)) == nil)
            later += .milliseconds(2501)
        }
        _ = try claim(&books, later)
        _ = books.settle(.failed("why"), now: later)
        #expect(books.claim(now: later + .milliseconds(1499)) == nil)
        books.endPause()
        #expect(books.claim(now: later) != nil)
    }

    @Test func `what Redis drops is counted as dropped, and told at most once a minute`() throws {
        var books = books()
        var told: [TenantMetricsEvent] = []
        for minute in 0..<3 {
            for _ in 0..<2 {
                books.ledger.fold(try delta(["a", "b"]), at: 100)
                let later = now + .seconds(61 * minute)
                _ = try claim(&books, later)
                let outcome = FlushBooks.Outcome.applied(
                    droppedEvents: 1,
                    droppedSeriesEvents: 2,
                    failedWrites: 3,
                    droppedDeliveries: 0
                )
                told += books.settle(outcome, now: later)
            }
        }
        #expect(
            told == [
                .dropped(events: 1, seriesEvents: 2), .dropped(events: 2, seriesEvents: 4),
                .dropped(events: 2, seriesEvents: 4),
            ]
        )
        #expect(books.status.droppedEvents == 6)
        #expect(books.status.recordedEvents == 6)
        #expect(books.status.droppedSeriesEvents == 12)
        #expect(books.status.recordedSeriesEvents == 0)
        #expect(books.status.failedWrites == 18)
    }

    @Test func `chunks are small, and all of them together hold everything`() throws {
        var books = books()
        var traffic = Traffic(seed: 5, tenants: 1234)
        let tally = TenantTally()
        for minute in 0..<300 as Range<Int64> {
            traffic.count(200, at: minute * 60, in: tally)
            if let delta = tally.take() { books.ledger.fold(delta, at: minute * 60) }
        }
        #expect(books.status.pendingEvents == traffic.events)
        var events: UInt64 = 0
        var seriesEvents: UInt64 = 0
        var deliveries: UInt64 = 0
        var tenants: Set<[UInt8]> = []
        while let chunk = books.claim(now: now) {
            #expect(chunk.tenantCount <= FlushChunk.tenantsMax)
            #expect(chunk.arguments.count <= FlushChunk.argumentsMax + 1000)
            #expect(chunk.keys.count <= 2 + FlushChunk.tenantsMax * 8)
            events += chunk.events
            seriesEvents += chunk.seriesEvents
            deliveries += chunk.deliveries
            tenants.formUnion(chunk.keys.filter { $0.starts(with: Array("p:tenant:".utf8)) })
            #expect(books.status.pendingEvents + books.status.recordedEvents == traffic.events)
            _ = books.settle(applied, now: now)
        }
        #expect(events == traffic.events)
        #expect(seriesEvents == traffic.events)
        #expect(deliveries == traffic.deliveries)
        #expect(tenants.count == traffic.expected.count)
        #expect(books.status.pendingTenants == 0)
        #expect(books.status.pendingTypes == 0)
        #expect(books.status.pendingMinutes == 0)
        #expect(books.isDone)
    }

    /// Every folded event is in exactly one place, whatever happens in whatever order.
    @Test(arguments: 1...30 as ClosedRange<UInt64>)
    func `nothing is lost between folding and Redis`(seed: UInt64) throws {
        var traffic = Traffic(seed: seed, tenants: 60)
        var books = books {
            $0.tenants = 40
            $0.minutes = 100
            $0.types = 90
            $0.typesPerTenant = 3
        }
        let tally = TenantTally()
        var later = now
        for _ in 0..<300 {
            later += .milliseconds(traffic.random(0...1000))
            switch traffic.random(0...3) {
            case 0, 1:
                traffic.count(traffic.random(0...50), at: 0, in: tally)
                let time = [0, 59, 60, 7200, -5, .max, .min, 1_700_000_000][traffic.random(0...7)] as Int64
                if let delta = tally.take() { books.ledger.fold(delta, at: time) }
            default:
                guard let chunk = books.claim(now: later) else { continue }
                let lost = UInt64(traffic.random(0...2))
                let outcome = FlushBooks.Outcome.applied(
                    droppedEvents: min(lost, chunk.events),
                    droppedSeriesEvents: min(lost, chunk.seriesEvents),
                    failedWrites: lost,
                    droppedDeliveries: min(lost, chunk.deliveries)
                )
                _ = books.settle(traffic.random(0...1) == 0 ? .failed("why") : outcome, now: later)
            }
            let status = books.status
            #expect(status.foldedEvents == traffic.events)
            #expect(status.pendingEvents + status.recordedEvents + status.droppedEvents == traffic.events)
            let series = status.pendingSeriesEvents + status.recordedSeriesEvents + status.droppedSeriesEvents
            #expect(series == traffic.events)
            #expect(status.foldedDeliveries == traffic.deliveries)
            let deliveries = status.pendingDeliveries + status.recordedDeliveries + status.droppedDeliveries
            #expect(deliveries == traffic.deliveries)
            #expect(status.pendingTenants <= 40 + FlushChunk.tenantsMax)
            #expect(books.ledger.tenantCount <= 40)
            #expect(books.ledger.typeCount <= 90)
            #expect(books.ledger.minuteCount <= 100)
        }
        #expect(books.status.droppedEvents > 0)
        #expect(books.status.droppedDeliveries > 0)
    }
}
