import DeliveryRules
import EventBus
import JetStream
import Logging
import ServerFixtures
import Testing

/// Dead letters in a cluster of three servers that loses the leader of its streams.
struct DeadLetterClusterTests {
    @Test func `a node is killed during a redrive: all come back once, lists and advisories go on`() async throws {
        let cluster = try await onThread { Result { try NATSCluster() } }.get()
        var limits = StreamPlan.Limits()
        limits.replicas = 3
        let setup = try await DeadLetterSetup(cluster.nodes[0], limits: limits) { _ in cluster.url }
        let key = try DeadLetterSetup.key("acme", "s")
        try await setup.store(5001...6000) { _ in (key, .rejected) }
        let plan = setup.plan
        #expect(await onThread { cluster.waitUntilCurrent(plan.deadLetters.name.description) })
        #expect(try await setup.box.list(key.tenant, limit: 1000).items.count == 1000)

        let outcomes = Shared<[AdvisoryReader.Outcome]>([])
        let reader = AdvisoryReader(
            client: setup.client,
            plan: plan,
            logger: Logger(label: "test"),
            owner: { $0 == key.durableName ? .subscription(key) : .nobody },
            observe: { outcome in outcomes.withLock { $0.append(outcome) } }
        )
        let running = Task { await reader.run() }
        let reached = Shared(false)
        async let killed = onThread { () -> Int? in
            guard waitUntil(timeout: .seconds(60), { reached.current }),
                let leader = cluster.leader(of: plan.events.name.description)
            else { return nil }
            cluster.kill(leader)
            return leader
        }
        var redriven = 0
        for _ in 1...10 {
            let request = RedriveRequest(tenant: key.tenant, selection: .filter(.init()))
            let report = await setup.box.redrive(
                request,
                into: plan.events.name,
                prefix: setup.prefix,
                patience: .seconds(60),
                refusal: { _ in nil },
                progress: { if $0.matched >= 200 { reached.withLock { $0 = true } } }
            )
            redriven += report.redriven
            if report.stopped == nil { break }
        }
        #expect(await killed != nil)
        #expect(redriven == 1000)
        #expect(try await setup.box.counts(key.tenant).isEmpty)
        let back = try await setup.messages(plan.events.name)
        #expect(back.count == 1000 && Set(back.map(\.payload)).count == 1000)

        let advisory =
            "{\"type\":\"io.nats.jetstream.advisory.v1.terminated\",\"stream\":\"SLUICE_EVENTS\","
            + "\"consumer\":\"acme_s\",\"stream_seq\":7,\"deliveries\":1}"
        let subject = "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.SLUICE_EVENTS.acme_s"
        let isStored = await onThread {
            waitUntil(timeout: .seconds(60)) {
                let probe = cluster.nodes.lazy.compactMap { try? NATSProbe(url: $0.url) }.first
                let answer = probe?.request(subject, payload: Array(advisory.utf8), timeoutMilliseconds: 1000)
                return answer?.text.contains("\"seq\"") ?? false
            }
        }
        #expect(isStored)
        let expected = AdvisoryReader.Outcome.deadLettered(key, sequence: 7)
        #expect(await eventually(timeout: .seconds(60)) { outcomes.current.contains(expected) })
        let letters = try await setup.box.list(key.tenant).items
        #expect(letters.map(\.originalSequence) == [7])
        #expect(letters.first?.redriveCount == 1, "what the redriven event has behind it stays with it")
        running.cancel()
        await running.value
        await setup.close()
    }
}
