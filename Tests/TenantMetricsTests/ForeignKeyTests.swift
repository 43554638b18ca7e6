import RedisStore
import ServerFixtures
import TenantMetrics
import Testing

/// Keys of ours that somebody else has written.
@Suite(.serialized) struct ForeignKeyTests {
    /// Two events accepted, one of them of type `t`, and three rejected, for tenants `a` and `b`.
    private func fold(into replica: Replica, rounds: Int = 1) async throws {
        for _ in 0..<rounds {
            let tally = TenantTally()
            for tenant in ["a", "b"] {
                tally.accepted(tenant: tenant, type: "t", bytes: 5, duplicate: false)
                tally.accepted(tenant: tenant, type: "u", bytes: 5, duplicate: true)
                tally.rejected(tenant: tenant, reason: .invalid, count: 3)
            }
            replica.metrics.fold(try #require(tally.take()), at: recently)
            await replica.settle()
        }
    }

    private func expectComplete(_ report: TenantReport, rounds: UInt64) {
        #expect(report.accepted == 2 * rounds)
        #expect(report.duplicates == rounds)
        #expect(report.bytes == 5 * rounds)
        #expect(report.rejected.map(\.count) == [3 * rounds])
        #expect(report.types.map(\.count) == [rounds, rounds])
        #expect(report.series.map(\.accepted) == [2 * rounds])
        #expect(report.series.map(\.rejected) == [3 * rounds])
        #expect(report.unreadable == [])
    }

    @Test(arguments: [["SET", "text"], ["LPUSH", "item"], ["SADD", "member"]])
    func `totals of a foreign type drop that tenant's totals only`(write: [String]) async throws {
        let redis = try RedisServer()
        let replica = try Replica(port: redis.port)
        let probe = try #require(RedisProbe(port: redis.port))
        _ = probe.command([write[0], "sluice:tenant:a", write[1]])
        let before = probe.command(["DUMP", "sluice:tenant:a"])
        try await fold(into: replica, rounds: 2)
        #expect(replica.status.droppedEvents == 10)
        #expect(replica.status.droppedSeriesEvents == 0)
        #expect(replica.status.failedWrites == 2)
        #expect(replica.status.failures == 0)
        expectComplete(try await replica.metrics.report(of: "b", at: recently), rounds: 2)
        let broken = try await replica.metrics.report(of: "a", at: recently)
        #expect(broken.accepted == 0)
        #expect(broken.types == [])
        #expect(broken.unreadable == ["sluice:tenant:a"])
        #expect(broken.series.map(\.accepted) == [4])
        #expect(probe.command(["DUMP", "sluice:tenant:a"]) == before, "what is not ours is left as it was")
        #expect(try await replica.metrics.reports(after: nil, limit: 10).items.count == 2)
        await replica.stop()
    }

    @Test func `types of a foreign type become other types`() async throws {
        let redis = try RedisServer()
        let replica = try Replica(port: redis.port)
        redis.command("SET", "sluice:types:a", "text")
        try await fold(into: replica, rounds: 2)
        let report = try await replica.metrics.report(of: "a", at: recently)
        #expect(report.accepted == 4)
        #expect(report.otherTypes == 4)
        #expect(report.unreadable == ["sluice:types:a"])
        #expect(replica.status.droppedEvents == 0)
        #expect(replica.status.failedWrites == 4)
        expectComplete(try await replica.metrics.report(of: "b", at: recently), rounds: 2)
        #expect(redis.command("GET", "sluice:types:a") == "text")
        await replica.stop()
    }

    @Test func `a series of a foreign type drops that hour only, and never expires it`() async throws {
        let redis = try RedisServer()
        let replica = try Replica(port: redis.port)
        let key = "sluice:series:a:\(recently / 3600)"
        redis.command("SET", key, "text")
        try await fold(into: replica, rounds: 2)
        #expect(replica.status.droppedEvents == 0)
        #expect(replica.status.droppedSeriesEvents == 10)
        let report = try await replica.metrics.report(of: "a", at: recently)
        #expect(report.accepted == 4)
        #expect(report.series == [])
        #expect(report.unreadable == [key])
        expectComplete(try await replica.metrics.report(of: "b", at: recently), rounds: 2)
        #expect(redis.command("TTL", key) == "-1")
        await replica.stop()
    }

    @Test func `an index of a foreign type keeps known tenants going`() async throws {
        let redis = try RedisServer()
        let replica = try Replica(port: redis.port)
        try await fold(into: replica)
        redis.command("SET", "sluice:tenants", "text")
        try await fold(into: replica)
        expectComplete(try await replica.metrics.report(of: "a", at: recently), rounds: 2)
        let tally = TenantTally()
        tally.accepted(tenant: "new", type: "t", bytes: 0, duplicate: false)
        replica.metrics.fold(try #require(tally.take()), at: recently)
        await replica.settle()
        #expect(replica.status.droppedEvents == 1)
        await #expect(throws: TenantMetricsError.self) { try await replica.metrics.reports(after: nil, limit: 10) }
        redis.command("DEL", "sluice:tenants")
        try await fold(into: replica)
        #expect(try await replica.metrics.reports(after: nil, limit: 10).items.map(\.tenant) == ["a", "b"])
        await replica.stop()
    }

    @Test func `fields that are no numbers, or full, lose only themselves`() async throws {
        let redis = try RedisServer()
        let replica = try Replica(port: redis.port)
        for (field, value) in [
            ("bytes", "9223372036854775807"), ("duplicates", "many"), ("rejected:invalid", ""),
            ("lastEventTime", "nan"),
            ("foreign", "x"),
        ] {
            redis.command("HSET", "sluice:tenant:a", field, value)
        }
        redis.command("ZADD", "sluice:types:a", "inf", "t")
        redis.command("ZADD", "sluice:types:a", "2.5", "v")
        try await fold(into: replica, rounds: 2)
        #expect(replica.status.droppedEvents == 6, "the rejected ones, which have no other place")
        #expect(replica.status.failedWrites == 6)
        let report = try await replica.metrics.report(of: "a", at: recently)
        #expect(report.accepted == 4)
        #expect(report.bytes == UInt64(Int64.max))
        #expect(report.duplicates == 0)
        #expect(report.types.map(\.type) == ["u"])
        #expect(report.lastEventTime == recently * 1000)
        #expect(report.unreadable == ["sluice:tenant:a", "sluice:types:a"])
        expectComplete(try await replica.metrics.report(of: "b", at: recently), rounds: 2)
        await replica.stop()
    }

    @Test func `what a chunk dropped is told again if its reply was lost`() async throws {
        let redis = try RedisServer()
        let proxy = TCPProxy(target: redis.port)
        let replica = try Replica(port: proxy.port, commandTimeout: .milliseconds(200))
        redis.command("SET", "sluice:tenant:a", "text")
        try await fold(into: replica)
        proxy.set { $0.dropsServerBytes = true }
        let tally = TenantTally()
        tally.accepted(tenant: "a", type: "t", bytes: 5, duplicate: false)
        replica.metrics.fold(try #require(tally.take()), at: recently)
        await replica.failsAgain()
        proxy.set { $0.dropsServerBytes = false }
        proxy.cut()
        await replica.settle()
        #expect(replica.status.droppedEvents == 6)
        #expect(replica.status.failedWrites == 2)
        await replica.stop()
        proxy.stop()
    }

    @Test func `a value beyond all bounds is an error, not a crash (H-08)`() async throws {
        let redis = try RedisServer()
        let replica = try Replica(port: redis.port)
        try await fold(into: replica)
        redis.command("HSET", "sluice:tenant:a", "accepted", String(repeating: "9", count: 12 << 20))
        #expect(await replica.isUnavailable(of: "a"))
        let client = replica.client
        #expect(await eventually { client.state.isConnected })
        expectComplete(try await replica.metrics.report(of: "b", at: recently), rounds: 1)
        await replica.stop()
    }
}
