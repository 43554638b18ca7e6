import CloudEvents
import EventBus
import EventFilters
import JetStream
import ServerFixtures
import Testing

/// Two replicas change subscriptions while the server is killed again and again; afterwards everything fits together.
@Suite(.serialized) struct RegistryChaosTests {
    private static let names = ["a", "b", "c", "d"]

    @Test(arguments: NATSServer.available, [UInt64(1), 2])
    func `whatever is interrupted is completed`(binary: NATSServer.Binary, seed: UInt64) async throws {
        let adjust: (inout SubscriptionRegistry.Settings) -> Void = { $0.checkpointInterval = .milliseconds(100) }
        try await RegistryRun.with(binary, replicas: 2, adjust: adjust) { run in
            let isOver = Shared(false)
            let done = Shared(0)
            let failed = Shared(0)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (index, replica) in run.replicas.enumerated() {
                    group.addTask {
                        var random = SubscriptionGenerator(seed &* 100 &+ UInt64(index))
                        while !isOver.current {
                            let isDone = try await Self.change(replica.registry, &random)
                            (isDone ? done : failed).withLock { $0 += 1 }
                            if !isDone { await letPass(.milliseconds(20)) }
                        }
                    }
                }
                for round in 1...3 {
                    let target = done.current + 40
                    try #require(await eventually(timeout: .seconds(60)) { done.current >= target }, "round \(round)")
                    run.server.kill()
                    await letPass(.milliseconds(200))
                    try run.server.start()
                }
                let target = done.current + 40
                try #require(await eventually(timeout: .seconds(60)) { done.current >= target })
                isOver.withLock { $0 = true }
                try await group.waitForAll()
            }
            #expect(failed.current > 0)
            try await expectConsistency(run)
        }
    }

    /// One change or other; false if NATS was away.
    private static func change(
        _ registry: SubscriptionRegistry,
        _ random: inout SubscriptionGenerator
    ) async throws -> Bool {
        let name = names[Int(random.next() % UInt64(names.count))]
        let types = [["x"], ["x", "y"], ["y.*"], []][Int(random.next() % 4)]
        let subscription = try makeSubscription(name, types: types) {
            $0.config.ackWait = .seconds(Int64(random.next() % 3) + 10)
        }
        do throws(SubscriptionError) {
            switch random.next() % 6 {
            case 0: try await registry.delete(subscription.key)
            case 1: _ = try await registry.pause(subscription.key)
            case 2: _ = try await registry.resume(subscription.key)
            case 3: try await registry.ensureConsumer(subscription.key)
            default: _ = try await registry.upsert(subscription, consent: SinkConsent(.notNeeded))
            }
        } catch {
            switch error {
            case .notFound, .exists, .conflict: return true
            case .unavailable: return false
            case .invalid, .tooMany, .tooManyConsumers, .wrongProtocol: throw error
            }
        }
        return true
    }

    /// What a replica was told in the end, and whether every change began where the one before had ended.
    private static func told(
        _ replica: RegistryRun.Replica
    ) -> (records: [SubscriptionKey: SubscriptionRecord], isSeamless: Bool) {
        var records: [SubscriptionKey: SubscriptionRecord] = [:]
        var isSeamless = true
        for change in replica.changes.current {
            guard let key = (change.new ?? change.old)?.key else { continue }
            switch (change.old, records[key]) {
            case (nil, nil): break
            case (let old?, let known?): isSeamless = isSeamless && !known.differsInSubstance(from: old)
            default: isSeamless = false
            }
            records[key] = change.new
        }
        return (records, isSeamless)
    }

    /// Both replicas agree with the bucket, every record has its consumer, and no consumer is left over.
    private func expectConsistency(_ run: RegistryRun) async throws {
        let fresh = try RegistryRun.Replica(run.server) { _ in }
        try await fresh.start()
        let truth = fresh.registry.all(of: .default)
        for replica in run.replicas {
            #expect(await eventually(timeout: .seconds(30)) { replica.registry.all(of: .default) == truth })
            // Own changes show before the watch tells of them.
            let isTold = await eventually(timeout: .seconds(30)) {
                let told = Self.told(replica).records
                return told.count == truth.count
                    && truth.allSatisfy { told[$0.key]?.differsInSubstance(from: $0) == false }
            }
            #expect(isTold)
            #expect(Self.told(replica).isSeamless)
        }
        for record in truth {
            let found = try await fresh.registry.ensureConsumer(record.key).configuration
            #expect(found.start == .sequence(record.start) && found.ackWait == record.subscription.config.ackWait)
            #expect(found.filterSubjects.map(\.text).sorted() == record.filterSubjects)
        }
        await fresh.stop()
        let last = try RegistryRun.Replica(run.server) { _ in }
        try await last.start()
        let wanted = Set(truth.map(\.key.durableName))
        try await becomes {
            let stream = try #require(StreamName("EVENTS"))
            return Set(try await last.client.consumerNames(in: stream)) == wanted
        }
        await last.stop()
    }
}
