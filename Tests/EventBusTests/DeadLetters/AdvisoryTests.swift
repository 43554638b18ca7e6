import CloudEvents
import DeliveryRules
import EventBus
import Foundation
import JetStream
import Logging
import ServerFixtures
import Testing

/// What native consumers give up becomes dead letters.
struct AdvisoryTests {
    private static let native = "acme_native"

    /// A server with a native consumer, and a reader's surroundings.
    private struct Stage {
        let setup: DeadLetterSetup
        let probe: NATSProbe
        let key: SubscriptionKey
        let outcomes = Shared<[AdvisoryReader.Outcome]>([])
        /// What the reader is told of the consumer.
        let isKnown = Shared(true)

        init(_ binary: NATSServer.Binary) async throws {
            setup = try await DeadLetterSetup(binary)
            probe = try NATSProbe(url: setup.server.url)
            key = try DeadLetterSetup.key("acme", "native")
            let configuration = """
                {"stream_name":"SLUICE_EVENTS","config":{"durable_name":"acme_native","ack_policy":"explicit",\
                "deliver_policy":"all","max_deliver":2,"ack_wait":300000000,"filter_subject":"ce.acme.>"}}
                """
            let answer = probe.json("$JS.API.CONSUMER.DURABLE.CREATE.SLUICE_EVENTS.acme_native", configuration)
            #expect(answer?["error"] == nil)
        }

        func reader(_ client: JetStreamClient? = nil) -> AdvisoryReader {
            let (key, isKnown, outcomes) = (key, isKnown, outcomes)
            return AdvisoryReader(
                client: client ?? setup.client,
                plan: setup.plan,
                logger: Logger(label: "test"),
                owner: { consumer in
                    guard consumer == key.durableName else { return .nobody }
                    return isKnown.current ? .subscription(key) : .unknown
                },
                observe: { outcome in outcomes.withLock { $0.append(outcome) } }
            )
        }

        func store(_ text: String, headers: [String] = []) {
            _ = probe.request("ce.acme.normal.com.example", headers: headers, payload: Array(text.utf8))
        }

        /// An advisory as the server writes it.
        func advise(
            _ sequence: Int,
            type: String = "max_deliver",
            stream: String = "SLUICE_EVENTS",
            consumer: String = native
        ) {
            let payload = """
                {"type":"io.nats.jetstream.advisory.v1.\(type)","id":"x","timestamp":"2026-01-02T03:04:05.678Z",\
                "stream":"\(stream)","consumer":"\(consumer)","stream_seq":\(sequence),"deliveries":2}
                """
            let subject = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.\(stream).\(consumer)"
            _ = probe.request(subject, payload: Array(payload.utf8))
        }

        /// Whether so many advisories have been dealt with and are acknowledged.
        func settled(_ count: Int) async -> Bool {
            let setup = setup
            return await onThread {
                guard let probe = try? NATSProbe(url: setup.server.url) else { return false }
                return waitUntil(timeout: .seconds(60)) {
                    let info = probe.json("$JS.API.CONSUMER.INFO.SLUICE_ADVISORIES.sluice_advisories")
                    let floor = (info?["ack_floor"] as? [String: Any])?["stream_seq"] as? NSNumber
                    return floor?.intValue == count
                }
            }
        }
    }

    private static let program = """
        import asyncio, sys, nats

        async def main():
            connection = await nats.connect(sys.argv[1])
            stream = connection.jetstream()
            subscription = await stream.pull_subscribe_bind("acme_native", stream="SLUICE_EVENTS")
            seen = 0
            for _ in range(600):
                try:
                    messages = await subscription.fetch(10, timeout=0.2)
                except (nats.errors.TimeoutError, asyncio.TimeoutError):
                    messages = []
                for message in messages:
                    seen += 1
                    if message.data.startswith(b"term"):
                        await message.term()
                    elif message.data.startswith(b"good"):
                        await message.ack()
                state = (await stream.stream_info("SLUICE_DEAD_LETTERS")).state
                if state.messages >= int(sys.argv[2]):
                    break
            print(seen)
            await connection.close()

        asyncio.run(main())
        """

    @Test(arguments: NATSServer.available)
    func `nats-py clients terminate some and never acknowledge others: all are dead letters, once`(
        binary: NATSServer.Binary
    ) async throws {
        let stage = try await Stage(binary)
        let second = try DeadLetterSetup.makeClient(stage.setup.server.url)
        let readers = [stage.reader(), stage.reader(second)].map { reader in Task { await reader.run() } }
        for number in 1...4 {
            stage.store("good \(number)")
            stage.store("term \(number)")
            stage.store("mute \(number)", headers: ["Content-Type: application/x-odd"])
        }
        let directory = TemporaryDirectory()
        let path = "\(directory.path)/native.py"
        try Self.program.write(toFile: path, atomically: true, encoding: .utf8)
        let url = stage.setup.server.url
        let printed = await onThread { Result { try PythonProgram.run(path, arguments: [url, "8"]) } }
        #expect(try printed.get().count == 1)
        #expect(await stage.settled(8))
        let letters = try await stage.setup.box.list(stage.key.tenant).items
        #expect(letters.count == 8, "one copy, though two read")
        for letter in letters {
            let text = String(decoding: letter.payload, as: UTF8.self)
            #expect(letter.subscription == stage.key)
            #expect(letter.knownReason == (text.hasPrefix("term") ? .terminated : .maxDeliveries))
            #expect(letter.attempts == (text.hasPrefix("term") ? 1 : 2))
            #expect(letter.lastTime != nil && letter.lastError != nil)
            #expect(letter.originalSubject == "ce.acme.normal.com.example")
        }
        let texts = Set(letters.map { String(decoding: $0.payload, as: UTF8.self) })
        #expect(texts == Set((1...4).flatMap { ["term \($0)", "mute \($0)"] }))
        for reader in readers { reader.cancel() }
        for reader in readers { await reader.value }
        await second.close(grace: .zero)
        await stage.setup.close()
    }

    @Test(arguments: NATSServer.available)
    func `advisories about others, broken ones and those of events that are gone stop nothing`(
        binary: NATSServer.Binary
    ) async throws {
        let stage = try await Stage(binary)
        for number in 1...3 { stage.store("event \(number)") }
        stage.store("for another", headers: ["Sluice-Target: other"])
        _ = stage.probe.json("$JS.API.STREAM.MSG.DELETE.SLUICE_EVENTS", "{\"seq\":2}")
        let subject = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.SLUICE_EVENTS.acme_native"
        let broken = [
            "", "{", "[]", "null", "{\"type\":\"io.nats.jetstream.advisory.v1.max_deliver\"}",
            "{\"type\":\"io.nats.jetstream.advisory.v1.max_deliver\",\"stream\":\"SLUICE_EVENTS\","
                + "\"consumer\":\"acme_native\",\"stream_seq\":-1}",
        ]
        for text in broken { _ = stage.probe.request(subject, payload: Array(text.utf8)) }
        stage.advise(1, stream: "SLUICE_AUDIT")
        stage.advise(1, consumer: "globex_x")
        stage.advise(4)
        stage.advise(2)
        stage.advise(99)
        stage.advise(1)
        stage.advise(1)
        stage.advise(3, type: "terminated")
        let running = Task { [reader = stage.reader()] in await reader.run() }
        #expect(await stage.settled(broken.count + 8))
        let outcomes = stage.outcomes.current
        func count(_ outcome: AdvisoryReader.Outcome) -> Int { outcomes.count { $0 == outcome } }
        #expect(count(.malformed) == broken.count)
        #expect(count(.ignored) == 3)
        #expect(count(.expiredUndelivered(stage.key, sequence: 2)) == 1)
        #expect(count(.expiredUndelivered(stage.key, sequence: 99)) == 1)
        let letters = try await stage.setup.box.list(stage.key.tenant).items
        #expect(Set(letters.compactMap(\.originalSequence)) == [1, 3])
        #expect(letters.count == 2)
        #expect(letters.first { $0.originalSequence == 1 }?.lastTime?.text == "2026-01-02T03:04:05.678Z")
        running.cancel()
        await running.value
        await stage.setup.close()
    }

    @Test(arguments: NATSServer.available)
    func `waits for the subscriptions, survives a deleted consumer and a killed server`(
        binary: NATSServer.Binary
    ) async throws {
        let stage = try await Stage(binary)
        let (server, box, key) = (stage.setup.server, stage.setup.box, stage.key)
        for number in 1...6 { stage.store("event \(number)") }
        stage.isKnown.withLock { $0 = false }
        stage.advise(1)
        let running = Task { [reader = stage.reader()] in await reader.run() }
        let outcomes = stage.outcomes
        #expect(await eventually(timeout: .seconds(30)) { outcomes.current.contains(.postponed) })
        #expect(try await box.list(key.tenant).items.isEmpty)
        stage.isKnown.withLock { $0 = true }
        #expect(await stage.settled(1))
        stage.advise(2)
        #expect(await stage.settled(2))
        for letter in try await box.list(key.tenant).items { try await box.delete(key.tenant, letter.sequence) }

        _ = stage.probe.json("$JS.API.CONSUMER.DELETE.SLUICE_ADVISORIES.sluice_advisories")
        stage.advise(3)
        let third = AdvisoryReader.Outcome.deadLettered(key, sequence: 3)
        #expect(await eventually(timeout: .seconds(60)) { outcomes.current.contains(third) })
        let letters = try await box.list(key.tenant).items
        #expect(letters.compactMap(\.originalSequence) == [3], "what was done before is not done again")

        await onThread { server.kill() }
        let restarted = await onThread { (try? server.start()) != nil }
        try #require(restarted)
        let probe = try NATSProbe(url: server.url)
        let text =
            "{\"type\":\"io.nats.jetstream.advisory.v1.terminated\",\"stream\":\"SLUICE_EVENTS\","
            + "\"consumer\":\"acme_native\",\"stream_seq\":5,\"deliveries\":1,\"reason\":\"no\\nuse\"}"
        let subject = "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.SLUICE_EVENTS.acme_native"
        _ = probe.request(subject, payload: Array(text.utf8))
        let fifth = AdvisoryReader.Outcome.deadLettered(key, sequence: 5)
        #expect(await eventually(timeout: .seconds(60)) { outcomes.current.contains(fifth) })
        let last = try await box.list(key.tenant).items.last
        #expect(last?.lastError == "terminated by a client: no use")
        running.cancel()
        await running.value
        await stage.setup.close()
    }
}
