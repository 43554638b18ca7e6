import Foundation
import RedisStore
import ServerFixtures
import TenantMetrics
import Testing

/// Two gateways count at random while a random sequence of faults goes on; at the end every figure is right.
///
/// `SLUICE_TEST_SEED` replays a run's choices, and `SLUICE_TEST_FAULT_SECONDS` makes it longer than ten seconds.
@Suite(.serialized) struct RandomFaultTests {
    private enum Fault: CaseIterable {
        case lostReplies
        case cut
        case stall
        case latency
        case hang
        case killedConnections
        case forgottenScripts
        case full
        case readOnly
        case crash
    }

    private let redis: RedisServer
    private let proxy: TCPProxy

    init() throws {
        redis = try RedisServer(extraConfiguration: "appendonly yes\nappendfsync always")
        proxy = TCPProxy(target: redis.port)
    }

    @Test func `after any faults every event and every delivery is counted once`() async throws {
        let environment = ProcessInfo.processInfo.environment
        let seed = environment["SLUICE_TEST_SEED"].flatMap { UInt64($0) } ?? .random(in: 0..<1_000_000)
        let seconds = environment["SLUICE_TEST_FAULT_SECONDS"].flatMap { Int($0) } ?? 10
        print("seed of the tenant metrics' fault run: \(seed)")
        var traffic = Traffic(seed: seed, tenants: 120)
        let replicas = [
            try Replica(port: proxy.port, name: "proxied", commandTimeout: .milliseconds(500)),
            try Replica(port: redis.port, name: "direct", commandTimeout: .milliseconds(500)),
        ]
        var faults: [Fault: Int] = [:]
        let end = ContinuousClock.now + .seconds(seconds)
        var step: Int64 = 0
        while ContinuousClock.now < end {
            for replica in replicas {
                step += 1
                replica.count(traffic.random(1...150), of: &traffic, at: recently - step % 7000)
            }
            if let fault = Fault.allCases.randomElement(using: &traffic.generator) {
                faults[fault, default: 0] += 1
                try await inject(fault, for: .milliseconds(traffic.random(0...300)))
            }
            await letPass(.milliseconds(traffic.random(0...200)))
        }
        for replica in replicas { await replica.settle() }
        let statuses = replicas.map(\.status)
        print("faults: \(faults.values.reduce(0, +)), events: \(traffic.events), retries: \(statuses.map(\.retries))")
        for replica in replicas { try await replica.expectReports(traffic, at: recently) }
        #expect(statuses.map(\.droppedEvents) == [0, 0], "seed \(seed)")
        #expect(statuses.reduce(0) { $0 + $1.recordedEvents } == traffic.events, "seed \(seed)")
        #expect(statuses.map(\.droppedDeliveries) == [0, 0], "seed \(seed)")
        #expect(statuses.reduce(0) { $0 + $1.recordedDeliveries } == traffic.deliveries, "seed \(seed)")
        for replica in replicas { await replica.stop() }
        proxy.stop()
    }

    private func inject(_ fault: Fault, for duration: Duration) async throws {
        switch fault {
        case .lostReplies:
            proxy.set { $0.dropsServerBytes = true }
            await letPass(duration)
            proxy.set { $0.dropsServerBytes = false }
            proxy.cut()
        case .cut: proxy.cut()
        case .stall:
            proxy.set { $0.stalls = true }
            await letPass(duration)
            proxy.set { $0.stalls = false }
        case .latency:
            proxy.set { $0.latency = .milliseconds(80) }
            await letPass(duration)
            proxy.set { $0.latency = .zero }
        case .hang:
            redis.pause()
            await letPass(duration + .milliseconds(400))
            redis.resume()
        case .killedConnections: redis.command("CLIENT", "KILL", "TYPE", "normal")
        case .forgottenScripts: redis.command("SCRIPT", "FLUSH")
        case .full:
            redis.command("CONFIG", "SET", "maxmemory", "1mb")
            await letPass(duration)
            redis.command("CONFIG", "SET", "maxmemory", "0")
        case .readOnly:
            redis.command("REPLICAOF", "127.0.0.1", "1")
            await letPass(duration)
            redis.command("REPLICAOF", "NO", "ONE")
        case .crash:
            await onThread { [redis] in redis.kill() }
            await letPass(duration)
            try await onThread { [redis] in Result { try redis.start() } }.get()
        }
    }
}
