import RedisStore
import ServerFixtures
import TenantMetrics
import Testing

/// What arrives in a real Redis when nothing goes wrong.
@Suite(.serialized) struct RedisTotalsTests {
    @Test func `every figure arrives, in the hour and minute in which it was folded`() async throws {
        let redis = try RedisServer()
        let replica = try Replica(port: redis.port)
        var traffic = Traffic(seed: 1, tenants: 130)
        for minutesAgo in [0, 1, 59, 61, 600, 1380] as [Int64] {
            replica.count(400, of: &traffic, at: recently - minutesAgo * 60 + 7)
        }
        await replica.settle()
        try await replica.expectReports(traffic, at: recently)
        #expect(try await replica.metrics.report(of: "tenant-1", at: recently).lastEventTime == (recently + 7) * 1000)
        #expect(Expected(try await replica.metrics.report(of: "never-seen")) == Expected())
        #expect(replica.status.failures == 0)
        #expect(replica.status.droppedEvents == 0)
        for key in redis.command("KEYS", "sluice:series:*")?.split(separator: "\n") ?? [] {
            let lifetime = Int(redis.command("TTL", String(key)) ?? "") ?? 0
            #expect((1...25 * 3600).contains(lifetime))
        }
        await replica.stop()
    }

    @Test func `a restarted gateway goes on from the totals (R-32)`() async throws {
        let redis = try RedisServer()
        var traffic = Traffic(seed: 2, tenants: 10)
        for _ in 0..<4 {
            let replica = try Replica(port: redis.port)
            replica.count(100, of: &traffic, at: recently)
            await replica.settle()
            try await replica.expectReports(traffic, at: recently)
            await replica.stop()
        }
    }

    @Test(arguments: [["one", "two"], ["same", "same"]])
    func `two gateways at once sum up, even with one name`(names: [String]) async throws {
        let redis = try RedisServer()
        var traffic = Traffic(seed: 3, tenants: 20)
        let replicas = try names.map { try Replica(port: redis.port, name: $0) }
        for round in 0..<60 {
            replicas[round % 2].count(50, of: &traffic, at: recently + Int64(round))
            if round % 10 == 0 { await letPass(.milliseconds(150)) }
        }
        for replica in replicas { await replica.settle() }
        for replica in replicas {
            try await replica.expectReports(traffic, at: recently)
            await replica.stop()
        }
    }

    @Test func `a late and an early clock only choose other minutes (R-38)`() async throws {
        let redis = try RedisServer()
        let replica = try Replica(port: redis.port)
        var traffic = Traffic(seed: 4, tenants: 3)
        for time in [recently, 0, .max, .min, recently + 30 * 86_400, recently - 3600] as [Int64] {
            replica.count(100, of: &traffic, at: time)
        }
        await replica.settle()
        let expected = try #require(traffic.expected["tenant-0"])
        let report = try await replica.metrics.report(of: "tenant-0", at: recently)
        #expect(report.accepted == expected.accepted)
        #expect(report.series.map(\.start) == [recently - 3600, recently])
        for minute in report.series {
            #expect(minute.accepted == expected.series[minute.start]?.accepted)
        }
        let later = try await replica.metrics.report(of: "tenant-0", at: recently + 30 * 86_400)
        #expect(later.series.map(\.start) == [recently + 30 * 86_400])
        let lastTime = try #require(report.lastEventTime)
        #expect(lastTime < (recently + 86_400) * 1000, "a time in the future is not believed")
        replica.count(100, of: &traffic, at: recently)
        await replica.settle()
        #expect(try await replica.metrics.report(of: "tenant-0").lastEventTime ?? 0 >= lastTime)
        await replica.stop()
    }

    @Test func `types in Redis are capped, and with the others they sum to the accepted`() async throws {
        let redis = try RedisServer()
        var bounds = TenantBounds()
        bounds.storedTypesPerTenant = 10
        let replica = try Replica(port: redis.port, bounds: bounds)
        let tally = TenantTally()
        var generator = SeededGenerator(seed: 6)
        for round in 0..<12 as Range<UInt64> {
            for _ in 0..<500 {
                let type = "type-\(Int.random(in: 0...40, using: &generator))"
                tally.accepted(tenant: "a", type: type, bytes: 0, duplicate: false)
                tally.accepted(tenant: "a", type: "frequent", bytes: 0, duplicate: false)
            }
            replica.metrics.fold(try #require(tally.take()), at: recently)
            await replica.settle()
            let report = try await replica.metrics.report(of: "a", at: recently)
            #expect(report.types.count == 10)
            #expect(report.types.first?.type == "frequent")
            #expect(report.types.first?.count == 500 * (round + 1))
            #expect(report.types.reduce(report.otherTypes) { $0 + $1.count } == report.accepted)
            #expect(report.accepted == 1000 * (round + 1))
        }
        await replica.stop()
    }

    @Test func `tenants in Redis are capped, and what is left out is counted`() async throws {
        let redis = try RedisServer()
        var bounds = TenantBounds()
        bounds.storedTenants = 5
        let replica = try Replica(port: redis.port, bounds: bounds)
        let tally = TenantTally()
        for round in 1...3 as ClosedRange<UInt64> {
            for tenant in 0..<12 {
                tally.accepted(tenant: "tenant-\(tenant)", type: "t", bytes: 1, duplicate: false)
                tally.rejected(tenant: "tenant-\(tenant)", reason: .invalid, count: 2)
            }
            replica.metrics.fold(try #require(tally.take()), at: recently)
            await replica.settle()
            #expect(replica.status.droppedEvents == 7 * 3 * round)
            #expect(replica.status.droppedSeriesEvents == 7 * 3 * round)
            let reports = try await replica.metrics.reports(after: nil, limit: 100, at: recently).items
            #expect(reports.map(\.accepted) == Array(repeating: round, count: 5))
            #expect(redis.command("DBSIZE") == "17", "5 tenants with 3 keys each, the index and the flush key")
        }
        #expect(replica.events.current == [.dropped(events: 21, seriesEvents: 21)])
        await replica.stop()
    }

    @Test func `a list comes in pages, in the order of names`() async throws {
        let redis = try RedisServer()
        let replica = try Replica(port: redis.port)
        var traffic = Traffic(seed: 7, tenants: 53)
        replica.count(2000, of: &traffic, at: recently)
        await replica.settle()
        for member in ["\u{FFFD}", String(repeating: "z", count: 64), ""] {
            redis.command("ZADD", "sluice:tenants", "0", member)
        }
        for limit in [1, 7, 52, 53, 54, 1000] {
            var found: [String] = []
            var after: String?
            repeat {
                let page = try await replica.metrics.reports(after: after, limit: limit, at: recently)
                #expect(page.items.count <= limit)
                found += page.items.map(\.tenant)
                after = page.next
            } while after != nil
            #expect(
                found == (traffic.expected.keys + ["\u{FFFD}"]).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
            )
        }
        let page = try await replica.metrics.reports(after: "zzz", limit: 0, at: recently)
        #expect(page.items.map(\.tenant) == ["\u{FFFD}"])
        await replica.stop()
    }

    @Test func `the last flush writes what waits, also from a cancelled task`() async throws {
        let redis = try RedisServer()
        var traffic = Traffic(seed: 8, tenants: 500)
        let replica = try Replica(port: redis.port)
        let client = replica.client
        #expect(await eventually { client.state.isConnected })
        replica.count(3000, of: &traffic, at: recently)
        let metrics = replica.metrics
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            await metrics.flush(within: .seconds(30))
        }
        await task.value
        #expect(replica.status.recordedEvents == traffic.events)
        #expect(replica.status.recordedDeliveries == traffic.deliveries)
        try await replica.expectReports(traffic, at: recently)
        await replica.stop()
    }
}
