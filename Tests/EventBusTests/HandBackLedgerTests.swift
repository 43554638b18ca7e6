import EventBus
import JetStream
import ServerFixtures
import Testing

/// The ledger of deliveries without an attempt, on real servers.
@Suite(.serialized) struct HandBackLedgerTests {
    private static let bucket = "KV_SLUICE_HANDBACKS"

    /// Runs `body` with a ledger for events and one for dead letters, whose bucket has another key as well.
    private func withLedgers(
        _ binary: NATSServer.Binary,
        _ body: (NATSProbe, HandBackLedger, HandBackLedger) async throws -> Void
    ) async throws {
        let server = try NATSServer(binary)
        let client = JetStreamClient(
            configuration: JetStreamConfiguration(servers: [try ServerURL(server.url)], name: "ledger-test")
        )
        client.start()
        #expect(await eventually { client.state.isConnected })
        let name = try #require(BucketName("SLUICE_HANDBACKS"))
        let bucket = KeyValueBucket(client: client, name: name, replicas: 1)
        try await bucket.open()
        #expect(await bucket.put(KeyValueBucket.Key(tokens: ["_secrets", "locks"]), [1], expecting: 0) == .stored(1))
        do {
            try await body(
                try NATSProbe(port: server.port),
                HandBackLedger(bucket: bucket),
                HandBackLedger(bucket: bucket, isForDeadLetters: true)
            )
        } catch {
            await client.close(grace: .zero)
            throw error
        }
        await client.close(grace: .zero)
    }

    private func record(_ ledger: HandBackLedger, _ consumer: ConsumerName, _ sequence: UInt64, _ total: Int) async {
        await withCheckedContinuation { done in ledger.record(consumer, sequence, total: total) { done.resume() } }
    }

    private func lookUp(_ ledger: HandBackLedger, _ consumer: ConsumerName, _ sequence: UInt64) async -> Int {
        await withCheckedContinuation { done in ledger.lookUp(consumer, sequence) { done.resume(returning: $0) } }
    }

    @Test(arguments: NATSServer.available)
    func `what is settled leaves nothing, and letters are no events`(binary: NATSServer.Binary) async throws {
        try await withLedgers(binary) { probe, events, letters in
            let consumer = try #require(ConsumerName("acme_orders"))
            for sequence in 1...200 { await record(events, consumer, UInt64(sequence), 2) }
            await record(letters, consumer, 7, 5)
            #expect(await lookUp(events, consumer, 7) == 2)
            #expect(await lookUp(letters, consumer, 7) == 5)
            #expect(await lookUp(letters, consumer, 8) == 0)
            #expect(probe.count(Self.bucket) == 202)
            for sequence in 1...200 { events.forget(consumer, UInt64(sequence)) }
            #expect(await eventually(timeout: .seconds(60)) { probe.count(Self.bucket) == 2 })
            #expect(await lookUp(events, consumer, 7) == 0)
            #expect(await lookUp(letters, consumer, 7) == 5)
            let secret = probe.json(
                "$JS.API.STREAM.MSG.GET.\(Self.bucket)",
                #"{"last_by_subj":"$KV.SLUICE_HANDBACKS._secrets.locks"}"#
            )
            #expect((secret?["message"] as? [String: Any])?["data"] as? String == "AQ==", "\(secret ?? [:])")
            // The same event may come again after all.
            await record(events, consumer, 7, 1)
            #expect(await lookUp(events, consumer, 7) == 1)
        }
    }

    @Test(arguments: NATSServer.available)
    func `a sweep takes what is older than the streams, or of nobody`(binary: NATSServer.Binary) async throws {
        try await withLedgers(binary) { probe, events, letters in
            let (kept, gone) = (try #require(ConsumerName("acme_kept")), try #require(ConsumerName("acme_gone")))
            for sequence in UInt64(1)...10 {
                for consumer in [kept, gone] {
                    await record(events, consumer, sequence, 1)
                    await record(letters, consumer, sequence, 1)
                }
            }
            // A mark that an older version left.
            probe.publish("$KV.SLUICE_HANDBACKS.acme_kept.2", headers: ["KV-Operation: DEL"], payload: [])
            let removed = try await events.sweep(events: 6, letters: 3) { $0.durableName == "acme_gone" }
            #expect(removed == 20 + 5 + 2)
            #expect(probe.count(Self.bucket) == 1 + 5 + 8)
            for sequence in UInt64(1)...10 {
                #expect(await lookUp(events, kept, sequence) == (sequence < 6 ? 0 : 1))
                #expect(await lookUp(letters, kept, sequence) == (sequence < 3 ? 0 : 1))
                #expect(await lookUp(events, gone, sequence) == 0)
                #expect(await lookUp(letters, gone, sequence) == 0)
            }
            #expect(try await events.sweep(events: 6, letters: 3) { _ in false } == 0)
        }
    }
}
