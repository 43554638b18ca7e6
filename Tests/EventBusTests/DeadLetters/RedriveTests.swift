import DeliveryRules
import EventBus
import JetStream
import ServerFixtures
import Testing

/// Putting dead letters back: which ones, how many, and which not.
struct RedriveTests {
    private func redrive(
        _ setup: DeadLetterSetup,
        _ request: RedriveRequest,
        refusal: @escaping @Sendable (DeadLetter) async -> String? = { _ in nil },
        progress: @escaping @Sendable (RedriveReport) -> Void = { _ in }
    ) async -> RedriveReport {
        await setup.box.redrive(
            request,
            into: setup.plan.events.name,
            prefix: setup.prefix,
            refusal: refusal,
            progress: progress
        )
    }

    /// `count` dead letters of `acme/s1` and `acme/s2` in turn, and as many of `globex/s1` between them.
    private func filled(_ binary: NATSServer.Binary, _ count: UInt64 = 20) async throws -> DeadLetterSetup {
        let setup = try await DeadLetterSetup(binary)
        let keys = [
            try DeadLetterSetup.key("acme", "s1"), try DeadLetterSetup.key("globex", "s1"),
            try DeadLetterSetup.key("acme", "s2"), try DeadLetterSetup.key("globex", "s1"),
        ]
        for number in 1...(2 * count) {
            let key = keys[Int(number - 1) % 4]
            let payload = DeadLetterSetup.eventText("e\(number)")
            let reason: DeadLetterReason = number <= count ? .retriesExhausted : .rejected
            let origin = setup.origin(number, tenant: key.tenant.text, payload: payload)
            try await setup.store(origin, key, .init(reason: reason, attempts: 1))
        }
        return setup
    }

    @Test(arguments: NATSServer.available)
    func `a list is put back, each for its own subscription, and what is not there is told`(
        binary: NATSServer.Binary
    ) async throws {
        let setup = try await filled(binary)
        let tenant = try #require(TenantName("acme"))
        let request = RedriveRequest(tenant: tenant, selection: .sequences([3, 1, 3, 2, 999]))
        let told = Shared<[Int]>([])
        let report = await redrive(setup, request) { _ in
            nil
        } progress: { report in
            told.withLock { $0.append(report.matched) }
        }
        #expect(report.matched == 4 && report.redriven == 2 && report.failed == 2)
        #expect(Set(report.failures.map(\.sequence)) == [2, 999])
        #expect(report.failures.allSatisfy { $0.failure == .notFound })
        #expect(report.stopped == nil)
        #expect(told.current == [1, 2, 3, 4])
        let back = try await setup.messages(setup.plan.events.name)
        #expect(Set(back.map(\.payload)) == [DeadLetterSetup.eventText("e1"), DeadLetterSetup.eventText("e3")])
        for message in back {
            #expect(
                message.header("Sluice-Target") == (message.payload == DeadLetterSetup.eventText("e1") ? "s1" : "s2")
            )
            #expect(message.header("Content-Type") == "application/cloudevents+json")
        }
        #expect(try await setup.messages(setup.plan.deadLetters.name).map(\.sequence) == [2] + Array(4...40))
        await setup.close()
    }

    @Test(arguments: NATSServer.available)
    func `a filter takes what it names, up to the limit; a dry run takes nothing`(
        binary: NATSServer.Binary
    ) async throws {
        let setup = try await filled(binary)
        let tenant = try #require(TenantName("acme"))
        let s1 = try #require(SubscriptionName("s1"))
        let filter = DeadLetterBox.Filter(subscription: s1, reason: .retriesExhausted)
        var request = RedriveRequest(tenant: tenant, selection: .filter(filter))
        request.isDryRun = true
        let dry = await redrive(setup, request)
        #expect(dry.matched == 5 && dry.redriven == 0 && dry.failed == 0)
        #expect(try await setup.messages(setup.plan.events.name).isEmpty)
        request.isDryRun = false
        request.limit = 2
        let some = await redrive(setup, request)
        #expect(some.matched == 2 && some.redriven == 2 && some.stopped == nil)
        request.limit = .max
        let rest = await redrive(setup, request)
        #expect(rest.matched == 3 && rest.redriven == 3)
        let back = try await setup.messages(setup.plan.events.name)
        #expect(Set(back.map(\.payload)) == Set([1, 5, 9, 13, 17].map { DeadLetterSetup.eventText("e\($0)") }))
        #expect(back.allSatisfy { $0.header("Sluice-Target") == "s1" })
        request.limit = 0
        #expect(await redrive(setup, request).matched == 0)
        let all = await redrive(setup, RedriveRequest(tenant: tenant, selection: .filter(.init())))
        #expect(all.redriven == 15)
        #expect(try await setup.messages(setup.plan.deadLetters.name).count == 20, "the other tenant's stay")
        await setup.close()
    }

    @Test func `no more than the rate allows is published`() async throws {
        let setup = try await filled(NATSServer.standard)
        var request = RedriveRequest(tenant: try #require(TenantName("acme")), selection: .filter(.init()))
        request.ratePerSecond = 20
        request.limit = 10
        let start = ContinuousClock.now
        let report = await redrive(setup, request)
        #expect(report.redriven == 10)
        #expect(ContinuousClock.now - start >= .milliseconds(450), "nine intervals of 50 ms, however slow the machine")
        await setup.close()
    }

    @Test(arguments: NATSServer.available)
    func `what goes round in circles is refused after the tenth time, unless forced`(
        binary: NATSServer.Binary
    ) async throws {
        let setup = try await DeadLetterSetup(binary)
        let key = try DeadLetterSetup.key("acme", "s")
        let events = setup.plan.events.name
        let payload = DeadLetterSetup.eventText("loop")
        // Of a stream that has gone on since: further than what comes back.
        var letter = try await setup.store(setup.origin(1000, tenant: "acme", payload: payload), key)
        for round in 1...10 {
            let request = RedriveRequest(tenant: key.tenant, selection: .sequences([letter]))
            #expect(await redrive(setup, request).redriven == 1)
            let back = try #require(try await setup.client.nextMessage(in: events, from: UInt64(round)))
            #expect(back.header("Sluice-Redrive-Count") == "\(round)")
            letter = try await setup.store(DeadLetterOrigin(back, stream: events), key)
            #expect(try await setup.box.get(key.tenant, letter)?.redriveCount == round)
        }
        var request = RedriveRequest(tenant: key.tenant, selection: .filter(.init()))
        let refused = await redrive(setup, request)
        #expect(refused.failures == [.init(sequence: letter, failure: .loop(count: 10))])
        #expect(try await setup.messages(events).count == 10)
        request.isForced = true
        #expect(await redrive(setup, request).redriven == 1)
        #expect(try await setup.messages(events).last?.header("Sluice-Redrive-Count") == "11")
        await setup.close()
    }

    @Test func `a redrive by filter does not take up what comes back while it runs`() async throws {
        let setup = try await filled(NATSServer.standard)
        let key = try DeadLetterSetup.key("acme", "s1")
        let numbers = Shared<UInt64>(1000)
        var request = RedriveRequest(tenant: key.tenant, selection: .filter(.init()))
        request.ratePerSecond = 200
        let report = await redrive(setup, request) { letter in
            // The subscription fails at once: each one that is put back becomes a new dead letter.
            let number = numbers.withLock { number in
                number += 1
                return number
            }
            _ = try? await setup.store(setup.origin(number, tenant: "acme", payload: letter.payload), key)
            return nil
        }
        #expect(report.redriven == 20)
        #expect(try await setup.box.counts(key.tenant)[key.id] == 20)
        await setup.close()
    }

    @Test func `refused, too large, stream full: it stays, and the reason is told`() async throws {
        var limits = StreamPlan.Limits()
        limits.messagesMax = 3
        let setup = try await DeadLetterSetup(NATSServer.standard, limits: limits)
        let key = try DeadLetterSetup.key("acme", "s")
        let gone = try DeadLetterSetup.key("acme", "gone")
        try await setup.store(setup.origin(1, tenant: "acme", payload: [1]), gone)
        for number in 2...9 as ClosedRange<UInt64> {
            try await setup.store(setup.origin(number, tenant: "acme", payload: [UInt8(number)]), key)
        }
        var request = RedriveRequest(tenant: key.tenant, selection: .filter(.init()))
        let words = "the subscription does not exist any more"
        let refusal: @Sendable (DeadLetter) async -> String? = { $0.subscription == gone ? words : nil }
        request.isDryRun = true
        let dry = await redrive(setup, request, refusal: refusal)
        #expect(dry.matched == 9 && dry.failures == [.init(sequence: 1, failure: .refused(words))])
        request.isDryRun = false
        let report = await redrive(setup, request, refusal: refusal)
        #expect(report.redriven == 3)
        #expect(report.failed >= 2 && report.matched == report.redriven + report.failed)
        #expect(report.stopped != nil, "a full stream ends it: nothing more can succeed")
        let left = try await setup.messages(setup.plan.deadLetters.name)
        let stored = try await setup.messages(setup.plan.events.name)
        #expect(left.count == 6)
        #expect(Set((left + stored).map(\.payload)) == Set((1...9).map { [UInt8($0)] }))
        await setup.close()
    }

    @Test(arguments: NATSServer.available)
    func `an event too large for the event stream stays, and the others go`(binary: NATSServer.Binary) async throws {
        let setup = try await DeadLetterSetup(binary)
        let key = try DeadLetterSetup.key("acme", "s")
        let large = [UInt8](repeating: 1, count: 9000)
        try await setup.store(setup.origin(1, tenant: "acme", payload: large), key)
        try await setup.store(setup.origin(2, tenant: "acme", payload: [2]), key)
        var small = setup.plan.events
        small.maxMessageSize = 4096
        _ = try await setup.client.updateStream(small)
        let report = await redrive(setup, RedriveRequest(tenant: key.tenant, selection: .filter(.init())))
        #expect(report.redriven == 1 && report.failed == 1 && report.stopped == nil, "\(report)")
        guard case .tooLarge? = report.failures.first?.failure else { throw Unexpected(report: report) }
        #expect(try await setup.box.get(key.tenant, 1)?.payload == large)
        await setup.close()
    }

    private struct Unexpected: Error {
        let report: RedriveReport
    }

    @Test(arguments: NATSServer.available)
    func `a message id that another message took is no proof that the event was stored`(
        binary: NATSServer.Binary
    ) async throws {
        let setup = try await DeadLetterSetup(binary)
        let key = try DeadLetterSetup.key("acme", "s")
        let probe = try NATSProbe(url: setup.server.url)
        let sequence = try await setup.store(setup.origin(1, tenant: "acme", payload: [1]), key)
        _ = probe.request("ce.acme.normal.a", headers: ["Nats-Msg-Id: redrive:\(sequence):1"], payload: [9])
        let report = await redrive(setup, RedriveRequest(tenant: key.tenant, selection: .sequences([sequence])))
        #expect(report.redriven == 0 && report.failed == 1)
        #expect(try await setup.box.get(key.tenant, sequence)?.payload == [1])
        await setup.close()
    }
}
