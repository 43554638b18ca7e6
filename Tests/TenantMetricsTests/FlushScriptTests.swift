import RedisStore
import ServerFixtures
import TenantMetrics
import Testing

/// The script alone, sent in orders in which only a broken connection would send it.
@Suite(.serialized) struct FlushScriptTests {
    private let redis: RedisServer
    private let client: RedisClient
    private let script = RedisScript(FlushScript.source)
    private let chunks: [FlushChunk]

    init() throws {
        redis = try RedisServer()
        client = RedisClient(configuration: try RedisConfiguration(url: redis.url))
        client.start()
        let keys = MetricKeys(prefix: "sluice")
        var books = FlushBooks(bounds: .init(), keys: keys, flushKey: keys.flush("r", run: 1))
        let tally = TenantTally()
        var chunks: [FlushChunk] = []
        for count in [1, 10, 100] {
            for _ in 0..<count { tally.accepted(tenant: "a", type: "t", bytes: 1, duplicate: false) }
            var deliveries = DeliveryCounts()
            deliveries.delivered = UInt64(count)
            deliveries.failed = UInt64(2 * count)
            tally.delivered(tenant: "a", deliveries)
            if let delta = tally.take() { books.ledger.fold(delta, at: recently) }
            if let chunk = books.claim(now: .now) { chunks.append(chunk) }
            _ = books.settle(
                .applied(droppedEvents: 0, droppedSeriesEvents: 0, failedWrites: 0, droppedDeliveries: 0),
                now: .now
            )
        }
        self.chunks = chunks
    }

    private func apply(_ index: Int) async throws -> [Int64] {
        let chunk = chunks[index]
        let reply = try await client.run(script, keys: chunk.keys, arguments: chunk.arguments)
        return (reply.elements ?? []).compactMap(\.integer)
    }

    private func start() async {
        let client = client
        #expect(await eventually { client.state.isConnected })
        #expect(chunks.map(\.number) == [1, 2, 3])
    }

    private var accepted: String? { redis.command("HGET", "sluice:tenant:a", "accepted") }

    @Test func `a chunk counts once, however often and late it comes`() async throws {
        await start()
        #expect(try await apply(0) == [1, 0, 0, 0, 0])
        #expect(try await apply(0) == [0, 0, 0, 0, 0])
        #expect(try await apply(1) == [1, 0, 0, 0, 0])
        #expect(try await apply(0) == [0, 0, 0, 0, 0])
        #expect(try await apply(1) == [0, 0, 0, 0, 0])
        #expect(try await apply(2) == [1, 0, 0, 0, 0])
        for index in 0..<3 { #expect(try await apply(index) == [0, 0, 0, 0, 0]) }
        #expect(accepted == "111")
        #expect(redis.command("ZSCORE", "sluice:types:a", "t") == "111")
        #expect(redis.command("HGET", "sluice:tenant:a", "deliveries:delivered") == "111")
        #expect(redis.command("HGET", "sluice:tenant:a", "deliveries:failed") == "222")
        #expect(
            redis.command("HEXISTS", "sluice:tenant:a", "deliveries:retried") == "0",
            "nothing to add, nothing written"
        )
        #expect(redis.command("HGET", "sluice:series:a:\(recently / 3600)", "\(recently / 60 % 60):a") == "111")
        await client.close()
    }

    @Test func `the number of the last chunk is kept for a week from its last use`() async throws {
        await start()
        _ = try await apply(0)
        let lifetime = Int(redis.command("TTL", "sluice:flush:r:1") ?? "") ?? 0
        #expect((6 * 86_400...7 * 86_400).contains(lifetime))
        await client.close()
    }

    @Test(arguments: ["", "x", "9", "9 0 0 0", "inf 0 0 0 0", "-5 0 0 0 0", "1e300 0 0 0 0", "9 0 0 0 0 0"])
    func `a flush key that is not ours stops nothing`(value: String) async throws {
        await start()
        redis.command("SET", "sluice:flush:r:1", value)
        #expect(try await apply(0) == [1, 0, 0, 0, 0])
        #expect(redis.command("GET", "sluice:flush:r:1") == "1 0 0 0 0")
        redis.command("DEL", "sluice:flush:r:1")
        redis.command("LPUSH", "sluice:flush:r:1", "1")
        #expect(try await apply(1) == [1, 0, 0, 0, 0])
        #expect(accepted == "11")
        await client.close()
    }

    @Test func `refused for want of memory, nothing of it is done`() async throws {
        await start()
        #expect(try await apply(0) == [1, 0, 0, 0, 0])
        redis.command("CONFIG", "SET", "maxmemory", "1mb")
        #expect(try await apply(1) == [])
        #expect(accepted == "1")
        #expect(redis.command("GET", "sluice:flush:r:1") == "1 0 0 0 0")
        redis.command("CONFIG", "SET", "maxmemory", "0")
        #expect(try await apply(1) == [1, 0, 0, 0, 0])
        #expect(accepted == "11")
        await client.close()
    }
}
