import CloudEvents
import EventBus
import EventFilters
import JetStream
import ServerFixtures
import Testing

/// What the registry does when things are taken away from under it.
@Suite(.serialized) struct RegistryRecoveryTests {
    private static let none = SinkConsent(.notNeeded)

    private func remove(_ key: SubscriptionKey, _ run: RegistryRun) throws {
        let answer = try #require(run.probe.json("$JS.API.CONSUMER.DELETE.EVENTS.\(key.durableName)"))
        #expect(answer["success"] as? Bool == true)
    }

    @Test(arguments: NATSServer.available)
    func `R-43: a consumer deleted under us begins again at the noted floor`(binary: NATSServer.Binary) async throws {
        try await RegistryRun.with(binary, replicas: 2, adjust: { $0.checkpointInterval = .milliseconds(50) }) { run in
            let record = try await run.registry.create(makeSubscription("s", types: ["a"]), consent: Self.none)
            let key = record.key
            try await run.publish("a", "a", "a", "a")
            try await run.settle(key, 1...3)

            // Nothing was noted: everything from the start comes again, and nothing is skipped.
            try remove(key, run)
            #expect(try await run.registry.ensureConsumer(key).configuration.start == .sequence(1))

            let told = run.replicas[1].changes.current.count
            for replica in run.replicas { replica.registry.report(floor: 3, start: 1, of: key) }
            for replica in run.replicas { #expect(await replica.sees(key) { $0?.cursor == 4 }) }
            #expect(run.replicas[1].changes.current.count == told)
            try remove(key, run)
            try await run.publish("a")
            let made = try await run.replicas[1].registry.ensureConsumer(key)
            #expect(made.configuration.start == .sequence(4) && made.pending == 2)
            #expect(await run.replicas[0].sees(key) { $0?.start == 4 })
            #expect(run.registry.record(key)?.updated == record.updated)

            // What is known of the consumer before says nothing of this one.
            run.registry.report(floor: 1000, start: 1, of: key)
            await letPass(.milliseconds(300))
            await run.registry.checkpoint()
            #expect(run.registry.record(key)?.cursor == 4)
            #expect(try await run.registry.ensureConsumer(key).created == made.created)
        }
    }

    @Test(arguments: NATSServer.available)
    func `both replicas may find the loss at once`(binary: NATSServer.Binary) async throws {
        try await RegistryRun.with(binary, replicas: 2) { run in
            let key = try await run.registry.create(makeSubscription("s", types: ["a"]), consent: Self.none).key
            try await run.publish("a", "a", "a")
            for round in 1...5 {
                try remove(key, run)
                try await withThrowingTaskGroup(of: ConsumerConfiguration.Start.self) { group in
                    for replica in run.replicas {
                        group.addTask { try await replica.registry.ensureConsumer(key).configuration.start }
                    }
                    for try await start in group { #expect(start == .sequence(1), "round \(round)") }
                }
                // A server may answer the second of them before it has counted.
                try await becomes { try await run.registry.info(key)?.pending == 3 }
            }
        }
    }

    @Test(arguments: NATSServer.available)
    func `a stream that was made anew is delivered from its first event`(binary: NATSServer.Binary) async throws {
        try await RegistryRun.with(binary, adjust: { $0.checkpointInterval = .milliseconds(50) }) { run in
            let key = try await run.registry.create(makeSubscription("s"), consent: Self.none).key
            try await run.publish("a", "a", "a")
            run.registry.report(floor: 3, start: 1, of: key)
            #expect(await run.replicas[0].sees(key) { $0?.cursor == 4 })
            _ = run.probe.json("$JS.API.STREAM.DELETE.EVENTS")
            run.probe.createStream("EVENTS", subjects: ["ce.>"])
            try await run.publish("a", "a")
            let made = try await run.registry.ensureConsumer(key)
            #expect(made.pending == 2 && made.configuration.start == .sequence(1))
        }
    }

    @Test(arguments: NATSServer.available)
    func `everything is there again after the server was killed`(binary: NATSServer.Binary) async throws {
        try await RegistryRun.with(binary) { run in
            let replica = run.replicas[0]
            let gone = try await run.registry.create(makeSubscription("gone"), consent: Self.none).key
            let kept = try await run.registry.create(makeSubscription("kept"), consent: Self.none).key
            run.server.kill()
            #expect(await eventually(timeout: .seconds(30)) { !replica.client.state.isConnected })
            #expect(run.registry.record(kept) != nil)
            await #expect(throws: SubscriptionError.self) { try await run.registry.pause(kept) }
            try run.server.start()
            let second = try RegistryRun.Replica(run.server) { _ in }
            try await second.start()
            #expect(second.registry.all.count == 2)
            _ = try await second.registry.pause(kept)
            try await second.registry.delete(gone)
            #expect(await replica.sees(kept) { $0?.state == .paused })
            #expect(await replica.sees(gone) { $0 == nil })
            await second.stop()
        }
    }

    @Test(arguments: NATSServer.available)
    func `consumers without a subscription go, and those of others stay`(binary: NATSServer.Binary) async throws {
        try await RegistryRun.with(binary) { run in
            let orphan = try await run.registry.create(makeSubscription("orphan"), consent: Self.none).key
            let kept = try await run.registry.create(makeSubscription("kept"), consent: Self.none).key
            let config = #"{"durable_name":"default_theirs","ack_policy":"explicit","filter_subject":"ce.>"}"#
            let request = "{\"stream_name\":\"EVENTS\",\"config\":\(config)}"
            let made = run.probe.json("$JS.API.CONSUMER.DURABLE.CREATE.EVENTS.default_theirs", request)
            #expect(made?["error"] == nil)
            // A crash between the two halves of a deletion.
            run.probe.publish(
                "$KV.SLUICE_SUBSCRIPTIONS.default.orphan",
                headers: ["KV-Operation: DEL"],
                payload: []
            )
            #expect(await run.replicas[0].sees(orphan) { $0 == nil })
            let second = try RegistryRun.Replica(run.server) { _ in }
            try await second.start()
            try await becomes { try await run.registry.info(orphan) == nil }
            #expect(try await run.registry.info(kept) != nil)
            let theirs = SubscriptionKey(tenant: .default, id: try #require(SubscriptionName("theirs")))
            #expect(try await run.registry.info(theirs) != nil)
            let clash = try makeSubscription("theirs")
            let record = try await run.registry.create(clash, consent: Self.none)
            await #expect(throws: SubscriptionError.self) { try await run.registry.ensureConsumer(record.key) }
            try await run.registry.delete(record.key)
            #expect(try await run.registry.info(theirs) != nil)
            await second.stop()
        }
    }

    @Test(arguments: NATSServer.available)
    func `a record that cannot be read harms no other`(binary: NATSServer.Binary) async throws {
        try await RegistryRun.with(binary) { run in
            for (key, value) in [("default.bad", "{}"), ("default.bad2", "\u{1}"), ("x", "{}"), ("A.b", "{}")] {
                run.probe.publish("$KV.SLUICE_SUBSCRIPTIONS.\(key)", payload: Array(value.utf8))
            }
            let good = try await run.registry.create(makeSubscription("good"), consent: Self.none)
            let second = try RegistryRun.Replica(run.server) { _ in }
            try await second.start()
            #expect(second.registry.all == [good])
            await second.stop()
        }
    }

    @Test(arguments: NATSServer.available, [UInt64(1), 2, 3])
    func `the server takes every filter and counts what it lets through`(
        binary: NATSServer.Binary,
        seed: UInt64
    ) async throws {
        try await RegistryRun.with(binary) { run in
            var random = SubscriptionGenerator(seed)
            var events: [CloudEvent] = []
            for _ in 0..<60 {
                let event = try random.event()
                events.append(event)
                try await run.publish(event.type, lane: Lane(of: event))
            }
            var wanted = 0
            for index in 0..<40 {
                var subscription = try random.subscription()
                if subscription.deliveryProtocol == .nats { subscription.deliveryProtocol = .pull }
                subscription.id = try #require(SubscriptionName("s\(index)"))
                subscription.config.startAt = .earliest
                let record = try await run.registry.create(subscription, consent: Self.none)
                let pending = Int(try #require(try await run.registry.info(record.key)).pending)
                let count = events.count { subscription.matches($0) }
                #expect(pending >= count, "\(subscription.types) \(record.filterSubjects)")
                let kind: ServerFilter.Kind =
                    run.replicas[0].client.serverInfo?.isAtLeast(2, 10) == true ? .several : .single
                let filter = ServerFilter(subscription, prefix: try #require(SubjectPrefix("ce")), kind: kind)
                #expect(filter.subjects.map(\.text) == record.filterSubjects)
                if filter.isExact { #expect(pending == count, "\(subscription.types) \(record.filterSubjects)") }
                wanted += count
            }
            #expect(wanted > 20)
        }
    }
}
