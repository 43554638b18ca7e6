import CloudEvents
import EventBus
import EventFilters
import JetStream
import ServerFixtures
import Testing

/// The registry against real servers.
@Suite(.serialized) struct SubscriptionRegistryTests {
    private static let none = SinkConsent(.notNeeded)

    @Test(arguments: NATSServer.available)
    func `what one replica does all replicas know`(binary: NATSServer.Binary) async throws {
        try await RegistryRun.with(binary, replicas: 2) { run in
            let (here, there) = (run.replicas[0], run.replicas[1])
            let made = try await here.registry.create(makeSubscription("s", types: ["a"]), consent: Self.none)
            #expect(here.registry.record(made.key) == made)
            #expect(await there.sees(made.key) { $0 == made })

            let paused = try await there.registry.pause(made.key)
            #expect(paused.state == .paused && paused.updated >= made.updated && paused.created == made.created)
            #expect(await here.sees(made.key) { $0?.state == .paused })
            #expect(try await here.registry.resume(made.key).state == .active)
            #expect(await there.sees(made.key) { $0?.state == .active })

            try await there.registry.delete(made.key)
            #expect(await here.sees(made.key) { $0 == nil })
            #expect(try await here.registry.info(made.key) == nil)
            #expect(await eventually { here.changes.current.count == 4 && there.changes.current.count == 4 })
            let states = here.changes.current.map { ($0.old?.state.name ?? "-") + " " + ($0.new?.state.name ?? "-") }
            #expect(states == ["- active", "active paused", "paused active", "active -"])
        }
    }

    @Test(arguments: NATSServer.available)
    func `a consumer is as the definition asks`(binary: NATSServer.Binary) async throws {
        try await RegistryRun.with(binary) { run in
            try await run.publish("x", "y")
            let subscription = try makeSubscription("s", types: ["a.b"]) {
                $0.config.ackWait = .milliseconds(1500)
                $0.config.maxAttempts = 7
            }
            let record = try await run.registry.create(subscription, consent: Self.none)
            #expect(record.start == 3 && record.cursor == 3 && record.state == .active)
            let found = try #require(try await run.registry.info(record.key))
            #expect(found.name.text == "default_s" && found.configuration.isDurable)
            #expect(found.configuration.filterSubjects.map(\.text) == ["ce.default.*.a.b"])
            #expect(found.configuration.ackWait == .milliseconds(1500) && found.configuration.maxDeliver == -1)
            #expect(found.configuration.maxAckPending == 100_000 && found.configuration.acknowledges)
            #expect(found.configuration.start == .sequence(3))

            let native = try makeSubscription("n", types: ["a.>"], deliveryProtocol: .nats) {
                $0.config.maxAttempts = 7
            }
            let other = try await run.registry.create(native, consent: Self.none)
            let its = try #require(try await run.registry.info(other.key))
            #expect(its.configuration.maxDeliver == 7)
            #expect(its.configuration.filterSubjects.map(\.text) == ["ce.default.*.a.>"])
        }
    }

    @Test(arguments: NATSServer.available)
    func `delivery begins where startAt says`(binary: NATSServer.Binary) async throws {
        try await RegistryRun.with(binary) { run in
            try await run.publish("a", "a")
            await letPass(.milliseconds(20))
            let between = Timestamp.now()
            await letPass(.milliseconds(20))
            try await run.publish("a", "a", "a")
            let cases: [(SubscriptionConfig.Start, UInt64, UInt64)] = [
                (.new, 6, 0), (.earliest, 1, 5), (.sequence(4), 4, 2), (.sequence(6), 6, 0), (.time(between), 3, 3),
            ]
            for (index, (start, sequence, pending)) in cases.enumerated() {
                let subscription = try makeSubscription("s\(index)") { $0.config.startAt = start }
                let record = try await run.registry.create(subscription, consent: Self.none)
                #expect(record.start == sequence, "\(start)")
                #expect(try await run.registry.info(record.key)?.pending == pending, "\(start)")
            }
            await #expect(throws: SubscriptionError.self) {
                let late = try makeSubscription("late") { $0.config.startAt = .sequence(7) }
                return try await run.registry.create(late, consent: Self.none)
            }
        }
    }

    @Test(arguments: NATSServer.available)
    func `errors say what is the matter`(binary: NATSServer.Binary) async throws {
        try await RegistryRun.with(binary, adjust: { $0.perTenantMax = 2 }) { run in
            let registry = run.registry
            let first = try await registry.create(makeSubscription("a"), consent: Self.none)
            await #expect(throws: SubscriptionError.exists) {
                try await registry.create(makeSubscription("a"), consent: Self.none)
            }
            _ = try await registry.create(makeSubscription("b"), consent: Self.none)
            await #expect(throws: SubscriptionError.tooMany(limit: 2)) {
                try await registry.create(makeSubscription("c"), consent: Self.none)
            }
            await #expect(throws: SubscriptionError.tooMany(limit: 2)) {
                try await registry.upsert(makeSubscription("c"), consent: Self.none)
            }
            _ = try await registry.upsert(makeSubscription("b", types: ["x"]), consent: Self.none)
            await #expect(throws: SubscriptionError.self) {
                try await registry.upsert(makeSubscription("b") { $0.config.maxInFlight = 0 }, consent: Self.none)
            }
            await #expect(throws: SubscriptionError.self) {
                try await registry.upsert(makeSubscription("b", deliveryProtocol: .http), consent: Self.none)
            }
            #expect(throws: SubscriptionError.wrongProtocol(.pull)) { try registry.record(first.key, speaking: .nats) }
            #expect(try registry.record(first.key, speaking: .pull).key == first.key)
            let missing = SubscriptionKey(tenant: .default, id: .random())
            await #expect(throws: SubscriptionError.notFound) { try await registry.pause(missing) }
            await #expect(throws: SubscriptionError.notFound) { try await registry.delete(missing) }
            await #expect(throws: SubscriptionError.notFound) { try await registry.ensureConsumer(missing) }
            try await registry.delete(first.key)
            let again = try await registry.create(makeSubscription("a"), consent: Self.none)
            #expect(again.revision > first.revision)
            #expect(registry.all(of: .default).map(\.key.id.text) == ["a", "b"])
        }
    }

    @Test(arguments: NATSServer.available)
    func `a native subscription that the server cannot decide is refused`(binary: NATSServer.Binary) async throws {
        try await RegistryRun.with(binary) { run in
            let several = try makeSubscription("s", types: ["a.b", "c"], deliveryProtocol: .nats)
            if run.replicas[0].client.serverInfo?.isAtLeast(2, 10) == true {
                let record = try await run.registry.create(several, consent: Self.none)
                #expect(try await run.registry.info(record.key)?.configuration.filterSubjects.count == 2)
            } else {
                await #expect(throws: SubscriptionError.self) {
                    try await run.registry.create(several, consent: Self.none)
                }
                #expect(run.registry.all.isEmpty)
            }
        }
    }

    @Test(arguments: NATSServer.available)
    func `N-05: another filter is another consumer from the old floor`(binary: NATSServer.Binary) async throws {
        try await RegistryRun.with(binary) { run in
            let record = try await run.registry.create(makeSubscription("s", types: ["a"]), consent: Self.none)
            try await run.publish("a", "a", "a", "b", "a")
            try await run.settle(record.key, 1...2)
            let before = try #require(try await run.registry.info(record.key)).created

            let same = try await run.registry.upsert(
                makeSubscription("s", types: ["a"]) {
                    $0.config.ackWait = .seconds(77)
                    $0.source = "/s"
                },
                consent: Self.none
            )
            #expect(!same.isNew && same.restartedAt == nil && same.record.start == record.start)
            let kept = try #require(try await run.registry.info(record.key))
            #expect(kept.created == before && kept.configuration.ackWait == .seconds(77))

            let other = try await run.registry.upsert(makeSubscription("s", types: ["b"]), consent: Self.none)
            #expect(!other.isNew && other.restartedAt == 3 && other.record.cursor == 3)
            let made = try #require(try await run.registry.info(record.key))
            #expect(made.configuration.start == .sequence(3) && made.pending == 1)
            #expect(made.configuration.filterSubjects.map(\.text) == ["ce.default.*.b"])
        }
    }

    @Test(arguments: NATSServer.available)
    func `delivery can begin again at an earlier event`(binary: NATSServer.Binary) async throws {
        try await RegistryRun.with(binary) { run in
            let key = try await run.registry.create(makeSubscription("s"), consent: Self.none).key
            try await run.publish("a", "a", "a")
            try await run.settle(key, 1...3)
            #expect(try await run.registry.info(key)?.pending == 0)
            try await run.registry.restart(key, at: .earliest)
            #expect(try await run.registry.info(key)?.pending == 3)
            try await run.registry.restart(key, at: .sequence(3))
            #expect(try await run.registry.info(key)?.pending == 1)
            #expect(run.registry.record(key)?.start == 3)
        }
    }

    @Test(arguments: NATSServer.available)
    func `PUT makes what is not there and keeps a pause`(binary: NATSServer.Binary) async throws {
        try await RegistryRun.with(binary) { run in
            let made = try await run.registry.upsert(makeSubscription("s"), consent: SinkConsent(.awaited))
            #expect(made.isNew && made.record.state == .awaitingConsent)
            let granted = try await run.registry.setConsent(made.record.key, SinkConsent(.granted, ratePerMinute: 60))
            #expect(granted.state == .active && granted.consent.ratePerMinute == 60)
            _ = try await run.registry.pause(made.record.key)
            let paused = try await run.registry.upsert(makeSubscription("s"), consent: SinkConsent(.awaited))
            #expect(paused.record.state == .paused)
            #expect(try await run.registry.resume(made.record.key).state == .awaitingConsent)
            let disabled = SubscriptionState.disabled(reason: "gone")
            #expect(try await run.registry.setState(made.record.key, to: disabled, from: .active).state != disabled)
            #expect(try await run.registry.setState(made.record.key, to: disabled).state == disabled)
            let again = try await run.registry.upsert(makeSubscription("s"), consent: Self.none)
            #expect(again.record.state == .active)
        }
    }

    @Test(arguments: NATSServer.available)
    func `of several who make the same one wins`(binary: NATSServer.Binary) async throws {
        try await RegistryRun.with(binary, replicas: 2) { run in
            for round in 0..<5 {
                let results = await withTaskGroup(of: SubscriptionError?.self) { group in
                    for index in 0..<6 {
                        group.addTask {
                            do throws(SubscriptionError) {
                                let registry = run.replicas[index % 2].registry
                                let subscription = Subscription(id: SubscriptionName("s\(round)") ?? .random())
                                _ = try await registry.create(subscription, consent: Self.none)
                                return nil
                            } catch {
                                return error
                            }
                        }
                    }
                    return await group.reduce(into: []) { $0.append($1) }
                }
                #expect(results.count { $0 == nil } == 1)
                #expect(results.count { $0 == .exists } == 5)
            }
        }
    }

    @Test func `S-28: a thousand subscriptions are the limit, and a new replica has them all`() async throws {
        try await RegistryRun.with(NATSServer.standard, replicas: 2) { run in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for replica in run.replicas.indices {
                    for lane in 0..<8 {
                        group.addTask {
                            for index in stride(from: lane, to: 500, by: 8) {
                                let subscription = try makeSubscription("s\(replica)-\(index)", types: ["t\(index)"])
                                _ = try await run.replicas[replica].registry.create(subscription, consent: Self.none)
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            for replica in run.replicas {
                #expect(await eventually(timeout: .seconds(60)) { replica.registry.all.count == 1000 })
                #expect(await eventually(timeout: .seconds(60)) { replica.changes.current.count == 1000 })
                await #expect(throws: SubscriptionError.tooMany(limit: 1000)) {
                    try await replica.registry.create(Subscription(), consent: Self.none)
                }
            }
            let fresh = try RegistryRun.Replica(run.server) { _ in }
            try await fresh.start()
            #expect(fresh.registry.all(of: .default) == run.registry.all(of: .default))
            let stream = try #require(StreamName("EVENTS"))
            #expect(try await fresh.client.consumerNames(in: stream).count == 1000)
            await fresh.stop()
        }
    }

    @Test(arguments: NATSServer.available)
    func `changes of two replicas at once are all kept`(binary: NATSServer.Binary) async throws {
        try await RegistryRun.with(binary, replicas: 2) { run in
            let key = try await run.registry.create(makeSubscription("s"), consent: Self.none).key
            let each = 25
            await withTaskGroup(of: Void.self) { group in
                for replica in run.replicas {
                    group.addTask {
                        var done = 0
                        while done < each {
                            let changed = try? await replica.registry.update(key) { record in
                                record.consent.ratePerMinute = (record.consent.ratePerMinute ?? 0) + 1
                                return true
                            }
                            if changed != nil { done += 1 }
                        }
                    }
                }
            }
            for replica in run.replicas {
                #expect(await replica.sees(key) { $0?.consent.ratePerMinute == 2 * each })
            }
        }
    }
}
