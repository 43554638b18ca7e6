import Foundation
import RedisStore
import ServerFixtures
import TenantMetrics
import Testing

/// Redis away, hung, full, emptied: the counts are kept, and each is counted once.
@Suite(.serialized) struct RedisFaultTests {
    @Test func `a reply lost after the script ran counts once`() async throws {
        let redis = try RedisServer()
        let proxy = TCPProxy(target: redis.port)
        let replica = try Replica(port: proxy.port, commandTimeout: .milliseconds(300))
        var traffic = Traffic(seed: 11, tenants: 5)
        replica.count(20, of: &traffic, at: recently)
        await replica.settle()
        for _ in 0..<15 {
            let before = (replica.status.recordedEvents, replica.status.recordedDeliveries)
            proxy.set { $0.dropsServerBytes = true }
            replica.count(20, of: &traffic, at: recently)
            await replica.failsAgain()
            // Redis has counted them; only the gateway does not know.
            let accepted = traffic.expected.values.reduce(0) { $0 + $1.accepted }
            let counted = await eventually {
                let totals = (0..<5).compactMap { redis.command("HGET", "sluice:tenant:tenant-\($0)", "accepted") }
                return totals.compactMap { UInt64($0) }.reduce(0, +) == accepted
            }
            #expect(counted)
            #expect(replica.status.recordedEvents == before.0)
            #expect(replica.status.recordedDeliveries == before.1)
            replica.count(20, of: &traffic, at: recently)
            proxy.set { $0.dropsServerBytes = false }
            proxy.cut()
            await replica.settle()
        }
        #expect(replica.status.retries >= 15)
        try await replica.expectReports(traffic, at: recently)
        await replica.stop()
        proxy.stop()
    }

    @Test func `connections killed by the server lose and double nothing`() async throws {
        let redis = try RedisServer()
        let replica = try Replica(port: redis.port)
        var traffic = Traffic(seed: 12, tenants: 300)
        for round in 0..<40 {
            replica.count(400, of: &traffic, at: recently)
            redis.command("CLIENT", "KILL", "TYPE", "normal")
            if round % 3 == 0 { redis.command("SCRIPT", "FLUSH") }
            await letPass(.milliseconds(Int64(traffic.random(0...90))))
        }
        await replica.settle()
        try await replica.expectReports(traffic, at: recently)
        await replica.stop()
    }

    @Test func `a hung Redis holds nobody up, and goes on where it was`() async throws {
        let redis = try RedisServer()
        let replica = try Replica(port: redis.port, commandTimeout: .milliseconds(300))
        var traffic = Traffic(seed: 13, tenants: 50)
        for _ in 0..<4 {
            replica.count(100, of: &traffic, at: recently)
            redis.pause()
            for _ in 0..<200 { replica.count(5, of: &traffic, at: recently) }
            await replica.failsAgain(2)
            #expect(replica.status.foldedEvents == traffic.events)
            redis.resume()
            await replica.settle()
        }
        try await replica.expectReports(traffic, at: recently)
        await replica.stop()
    }

    @Test(arguments: [
        ("OOM", ["CONFIG", "SET", "maxmemory", "1mb"], ["CONFIG", "SET", "maxmemory", "0"]),
        ("READONLY", ["REPLICAOF", "127.0.0.1", "1"], ["REPLICAOF", "NO", "ONE"]),
    ])
    func `what Redis refuses is kept and sent again`(kind: String, refuse: [String], accept: [String]) async throws {
        let redis = try RedisServer()
        let replica = try Replica(port: redis.port)
        var traffic = Traffic(seed: 14, tenants: 250)
        let probe = try #require(RedisProbe(port: redis.port))
        for _ in 0..<3 {
            replica.count(500, of: &traffic, at: recently)
            await replica.settle()
            #expect(probe.command(refuse) == "OK")
            let recorded = replica.status.recordedEvents
            replica.count(500, of: &traffic, at: recently)
            await replica.failsAgain(2)
            #expect(replica.status.lastFailure?.hasPrefix(kind) == true, "\(replica.status)")
            #expect(replica.status.recordedEvents == recorded)
            #expect(probe.command(accept) == "OK")
            await replica.settle()
        }
        try await replica.expectReports(traffic, at: recently)
        #expect(replica.events.current.count == 6, "one line when it stops, one when it goes on")
        await replica.stop()
    }

    @Test func `a failed snapshot that stops writes (MISCONF) is waited for`() async throws {
        let redis = try RedisServer(extraConfiguration: "save 3600 1\nstop-writes-on-bgsave-error yes")
        let replica = try Replica(port: redis.port)
        var traffic = Traffic(seed: 15, tenants: 20)
        replica.count(100, of: &traffic, at: recently)
        await replica.settle()
        // The temporary file of a snapshot cannot be renamed over a directory.
        let blocker = "\(redis.directory.path)/dump.rdb"
        try FileManager.default.createDirectory(atPath: blocker, withIntermediateDirectories: true)
        redis.command("BGSAVE")
        #expect(
            await eventually { redis.command("INFO", "persistence")?.contains("rdb_last_bgsave_status:err") == true }
        )
        replica.count(100, of: &traffic, at: recently)
        await replica.failsAgain()
        #expect(replica.status.lastFailure?.hasPrefix("MISCONF") == true, "\(replica.status)")
        try FileManager.default.removeItem(atPath: blocker)
        redis.command("BGSAVE")
        await replica.settle()
        try await replica.expectReports(traffic, at: recently)
        await replica.stop()
    }

    @Test func `a Redis that still loads its data is waited for`() async throws {
        let slow = "key-load-delay 15000\nloading-process-events-interval-bytes 1024"
        let redis = try RedisServer(extraConfiguration: slow)
        let replica = try Replica(port: redis.port, commandTimeout: .milliseconds(500))
        var traffic = Traffic(seed: 16, tenants: 60)
        replica.count(600, of: &traffic, at: recently)
        await replica.settle()
        #expect(redis.command("SAVE") == "OK")
        await onThread { redis.kill() }
        replica.count(600, of: &traffic, at: recently)
        try await onThread { Result { try redis.start() } }.get()
        let metrics = replica.metrics
        #expect(
            await eventually(timeout: .seconds(20)) {
                let reason = metrics.status.lastFailure ?? ""
                return reason.contains("LOADING")
            },
            "\(replica.status)"
        )
        await replica.settle()
        try await replica.expectReports(traffic, at: recently)
        await replica.stop()
    }

    @Test func `killed and restarted with its log, Redis has every count once`() async throws {
        let redis = try RedisServer(extraConfiguration: "appendonly yes\nappendfsync always")
        let replica = try Replica(port: redis.port)
        var traffic = Traffic(seed: 17, tenants: 200)
        for _ in 0..<5 {
            for _ in 0..<8 {
                replica.count(100, of: &traffic, at: recently)
                await letPass(.milliseconds(Int64(traffic.random(0...80))))
            }
            await onThread { redis.kill() }
            replica.count(100, of: &traffic, at: recently)
            try await onThread { Result { try redis.start() } }.get()
        }
        await replica.settle()
        try await replica.expectReports(traffic, at: recently)
        await replica.stop()
    }

    @Test(arguments: [true, false])
    func `emptied, Redis starts from zero and harms nothing else (R-31)`(byRestart: Bool) async throws {
        let redis = try RedisServer()
        let replica = try Replica(port: redis.port)
        var traffic = Traffic(seed: 18, tenants: 100)
        for _ in 0..<4 {
            replica.count(300, of: &traffic, at: recently)
            await replica.settle()
            if byRestart {
                await onThread { redis.kill() }
                try await onThread { Result { try redis.start() } }.get()
            } else {
                redis.command("FLUSHALL")
            }
            traffic.forget()
            replica.count(300, of: &traffic, at: recently)
            await replica.settle()
            try await replica.expectReports(traffic, at: recently)
        }
        #expect(replica.status.droppedEvents == 0)
        await replica.stop()
    }

    @Test func `emptied in the middle of a run, Redis never counts above the truth (R-31)`() async throws {
        let redis = try RedisServer()
        let replica = try Replica(port: redis.port)
        var traffic = Traffic(seed: 19, tenants: 150)
        for round in 0..<40 {
            replica.count(200, of: &traffic, at: recently)
            if round % 4 == 3 { redis.command("FLUSHALL") }
            await letPass(.milliseconds(Int64(traffic.random(0...60))))
        }
        await replica.settle()
        for report in try await replica.metrics.reports(after: nil, limit: 1000, at: recently).items {
            let expected = try #require(traffic.expected[report.tenant])
            #expect(report.accepted <= expected.accepted)
            #expect(report.bytes <= expected.bytes)
            #expect(report.deliveries.delivered <= expected.deliveries.delivered)
            #expect(report.deliveries.failed <= expected.deliveries.failed)
            #expect(report.types.reduce(report.otherTypes) { $0 + $1.count } == report.accepted)
        }
        await replica.stop()
    }

    @Test func `while Redis is away memory is bounded and the rest is counted as dropped (R-30)`() async throws {
        let redis = try RedisServer()
        var bounds = TenantBounds()
        bounds.tenants = 30
        bounds.minutes = 70
        let replica = try Replica(port: redis.port, bounds: bounds)
        var traffic = Traffic(seed: 20, tenants: 50)
        await onThread { redis.kill() }
        for minute in 0..<60 as Range<Int64> { replica.count(100, of: &traffic, at: recently - minute * 60) }
        let status = replica.status
        #expect(status.pendingTenants == 30)
        #expect(status.pendingMinutes == 70)
        #expect(status.pendingEvents + status.droppedEvents == traffic.events)
        #expect(status.pendingSeriesEvents + status.droppedSeriesEvents == traffic.events)
        #expect(status.pendingDeliveries + status.droppedDeliveries == traffic.deliveries)
        await replica.failsAgain()
        #expect(await replica.isUnavailable())
        try await onThread { Result { try redis.start() } }.get()
        await replica.settle()
        let reports = try await replica.metrics.reports(after: nil, limit: 1000, at: recently).items
        #expect(reports.count == 30)
        for report in reports {
            #expect(report.accepted == traffic.expected[report.tenant]?.accepted)
            #expect(report.deliveries == traffic.expected[report.tenant]?.deliveries)
        }
        #expect(reports.reduce(0) { $0 + $1.series.count } == 70)
        await replica.stop()
    }

    @Test func `the last flush gives up when its time is over`() async throws {
        let redis = try RedisServer()
        let replica = try Replica(port: redis.port)
        let client = replica.client
        #expect(await eventually { client.state.isConnected })
        redis.pause()
        var traffic = Traffic(seed: 21, tenants: 5)
        replica.count(100, of: &traffic, at: recently)
        await replica.metrics.flush(within: .milliseconds(100))
        #expect(replica.status.pendingEvents == traffic.events)
        redis.resume()
        await replica.metrics.flush(within: .seconds(60))
        try await replica.expectReports(traffic, at: recently)
        await replica.stop()
    }
}

extension Replica {
    /// Whether a report says that Redis is away.
    func isUnavailable(of tenant: String = "tenant-0") async -> Bool {
        do throws(TenantMetricsError) {
            _ = try await metrics.report(of: tenant)
            return false
        } catch {
            if case .unavailable = error { return true }
            return false
        }
    }
}
