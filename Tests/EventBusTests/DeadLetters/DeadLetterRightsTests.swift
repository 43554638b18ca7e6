import DeliveryRules
import EventBus
import JetStream
import Logging
import ServerFixtures
import Testing

/// Dead letters need no more rights at the NATS server than these.
struct DeadLetterRightsTests {
    private static let rights = [
        "ce.>", "dl.>", "$JS.API.STREAM.INFO.*", "$JS.API.STREAM.CREATE.*",
        "$JS.API.STREAM.MSG.GET.SLUICE_EVENTS", "$JS.API.STREAM.MSG.GET.SLUICE_DEAD_LETTERS",
        "$JS.API.STREAM.MSG.DELETE.SLUICE_DEAD_LETTERS", "$JS.API.CONSUMER.CREATE.SLUICE_DEAD_LETTERS",
        "$JS.API.CONSUMER.MSG.NEXT.SLUICE_DEAD_LETTERS.*", "$JS.API.CONSUMER.DELETE.SLUICE_DEAD_LETTERS.*",
        "$JS.API.CONSUMER.INFO.SLUICE_ADVISORIES.sluice_advisories",
        "$JS.API.CONSUMER.DURABLE.CREATE.SLUICE_ADVISORIES.sluice_advisories",
        "$JS.API.CONSUMER.MSG.NEXT.SLUICE_ADVISORIES.sluice_advisories",
        "$JS.ACK.SLUICE_ADVISORIES.sluice_advisories.>",
        // From nats-server 2.12 on, where the account's hash may stand before the stream.
        "$JS.ACK.*.*.SLUICE_ADVISORIES.sluice_advisories.>",
    ]

    @Test(arguments: NATSServer.available)
    func `a user with these rights reads, puts back, deletes and follows advisories`(
        binary: NATSServer.Binary
    ) async throws {
        let list = Self.rights.map { "\"\($0)\"" }.joined(separator: ", ")
        let configuration = """
            accounts { A { jetstream: enabled, users: [
              { user: gateway, password: secret, permissions {
                publish { allow: [\(list)] }, subscribe { allow: ["_INBOX.sluice.>"] } } }
              { user: all, password: secret } ] } }
            no_auth_user: all
            """
        let server = try NATSServer(binary, extraConfiguration: configuration)
        let url = "nats://gateway:secret@127.0.0.1:\(server.port)"
        let setup = try await DeadLetterSetup(server) { _ in url }
        let key = try DeadLetterSetup.key("acme", "native")
        let probe = try NATSProbe(url: server.url)
        _ = probe.request("ce.acme.normal.a", payload: [1])
        let outcomes = Shared<[AdvisoryReader.Outcome]>([])
        let reader = AdvisoryReader(
            client: setup.client,
            plan: setup.plan,
            logger: Logger(label: "test"),
            owner: { $0 == key.durableName ? .subscription(key) : .nobody },
            observe: { outcome in outcomes.withLock { $0.append(outcome) } }
        )
        let running = Task { await reader.run() }
        let advisory =
            "{\"type\":\"io.nats.jetstream.advisory.v1.terminated\",\"stream\":\"SLUICE_EVENTS\","
            + "\"consumer\":\"acme_native\",\"stream_seq\":1,\"deliveries\":1}"
        let subject = "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.SLUICE_EVENTS.acme_native"
        _ = probe.request(subject, payload: Array(advisory.utf8))
        #expect(await eventually(timeout: .seconds(30)) { outcomes.current == [.deadLettered(key, sequence: 1)] })
        let isAcknowledged = await onThread {
            guard let probe = try? NATSProbe(url: server.url) else { return false }
            return waitUntil(timeout: .seconds(30)) {
                let info = probe.json("$JS.API.CONSUMER.INFO.SLUICE_ADVISORIES.sluice_advisories")
                let floor = info?["ack_floor"] as? [String: Any]
                return floor.map { "\($0["stream_seq"] ?? 0)" } == "1"
            }
        }
        #expect(isAcknowledged)
        running.cancel()
        await running.value
        #expect(try await setup.box.list(key.tenant).items.count == 1)
        #expect(try await setup.box.counts(key.tenant)[key.id] == 1)
        let request = RedriveRequest(tenant: key.tenant, selection: .filter(.init()))
        let report = await setup.box.redrive(request, into: setup.plan.events.name, prefix: setup.prefix) { _ in nil }
        #expect(report.redriven == 1, "\(report)")
        let letter = try await setup.store(setup.origin(9, tenant: "acme", payload: [9]), key)
        #expect(try await setup.box.delete(key.tenant, letter))
        #expect(
            try await setup.client.consumerInfo(
                try #require(ConsumerName("sluice_advisories")),
                in: setup.plan.advisories.name
            ) != nil
        )
        await setup.close()
    }
}
