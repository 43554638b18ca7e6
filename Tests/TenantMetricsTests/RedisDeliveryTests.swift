import RedisStore
import ServerFixtures
import TenantMetrics
import Testing

/// Counts of deliveries in a real Redis.
@Suite(.serialized) struct RedisDeliveryTests {
    private func fold(_ counts: [String: DeliveryCounts], into replica: Replica) async throws {
        let tally = TenantTally()
        for (tenant, counts) in counts { tally.delivered(tenant: tenant, counts) }
        replica.metrics.fold(try #require(tally.take()), at: recently)
        await replica.settle()
    }

    @Test func `a tenant that only receives takes a place, and no minute`() async throws {
        let redis = try RedisServer()
        let replica = try Replica(port: redis.port)
        try await fold(["quiet": DeliveryCounts(4, 3, 2, 1)], into: replica)
        try await fold(["quiet": DeliveryCounts(10, 0, 0, 0)], into: replica)
        let page = try await replica.metrics.reports(after: nil, limit: 10, at: recently)
        #expect(page.items.map(\.tenant) == ["quiet"])
        var expected = Expected()
        expected.deliveries = DeliveryCounts(14, 3, 2, 1)
        #expect(page.items.map { Expected($0) } == [expected])
        #expect(page.items.map(\.lastEventTime) == [nil], "a delivery is no event of the tenant")
        #expect(redis.command("KEYS", "sluice:series:*") == "")
        #expect(replica.status.recordedDeliveries == 20)
        #expect(replica.status.foldedEvents == 0)
        await replica.stop()
    }

    @Test func `totals from before deliveries were counted read as none, and go on`() async throws {
        let redis = try RedisServer()
        let replica = try Replica(port: redis.port)
        redis.command("ZADD", "sluice:tenants", "0", "old")
        redis.command("HSET", "sluice:tenant:old", "accepted", "7")
        redis.command("HSET", "sluice:tenant:old", "rejected:other", "2")
        let client = replica.client
        #expect(await eventually { client.state.isConnected })
        let before = try await replica.metrics.report(of: "old", at: recently)
        #expect(before.accepted == 7)
        #expect(before.deliveries == DeliveryCounts())
        #expect(before.unreadable == [])
        try await fold(["old": DeliveryCounts(1, 0, 0, 5)], into: replica)
        let after = try await replica.metrics.report(of: "old", at: recently)
        #expect(after.accepted == 7)
        #expect(after.rejected.map(\.count) == [2])
        #expect(after.deliveries == DeliveryCounts(1, 0, 0, 5))
        await replica.stop()
    }

    @Test func `deliveries of tenants for which there is no room in Redis are dropped and counted`() async throws {
        let redis = try RedisServer()
        var bounds = TenantBounds()
        bounds.storedTenants = 1
        let replica = try Replica(port: redis.port, bounds: bounds)
        try await fold(["a": DeliveryCounts(1, 0, 0, 0)], into: replica)
        try await fold(["a": DeliveryCounts(1, 0, 0, 0), "b": DeliveryCounts(2, 3, 4, 5)], into: replica)
        #expect(replica.status.droppedDeliveries == 14)
        #expect(replica.status.recordedDeliveries == 2)
        #expect(replica.status.droppedEvents == 0)
        let reports = try await replica.metrics.reports(after: nil, limit: 10).items
        #expect(reports.map(\.tenant) == ["a"] && reports.map(\.deliveries.delivered) == [2])
        await replica.stop()
    }

    @Test func `a field that is no number loses only itself, told again if the reply was lost`() async throws {
        let redis = try RedisServer()
        let proxy = TCPProxy(target: redis.port)
        let replica = try Replica(port: proxy.port, commandTimeout: .milliseconds(200))
        redis.command("HSET", "sluice:tenant:a", "deliveries:failed", "many")
        try await fold(["a": DeliveryCounts(1, 20, 3, 4)], into: replica)
        #expect(replica.status.droppedDeliveries == 20)
        proxy.set { $0.dropsServerBytes = true }
        let tally = TenantTally()
        tally.delivered(tenant: "a", DeliveryCounts(1, 20, 3, 4))
        replica.metrics.fold(try #require(tally.take()), at: recently)
        await replica.failsAgain()
        #expect(await eventually { redis.command("HGET", "sluice:tenant:a", "deliveries:delivered") == "2" })
        proxy.set { $0.dropsServerBytes = false }
        proxy.cut()
        await replica.settle()
        #expect(replica.status.droppedDeliveries == 40)
        #expect(replica.status.recordedDeliveries == 16)
        #expect(replica.status.failedWrites == 2)
        let report = try await replica.metrics.report(of: "a", at: recently)
        #expect(report.deliveries == DeliveryCounts(2, 0, 6, 8))
        #expect(report.unreadable == ["sluice:tenant:a"])
        #expect(redis.command("HGET", "sluice:tenant:a", "deliveries:failed") == "many")
        await replica.stop()
        proxy.stop()
    }
}
