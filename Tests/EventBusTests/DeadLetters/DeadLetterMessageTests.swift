import CloudEvents
import DeliveryRules
import EventBus
import JetStream
import ServerFixtures
import Testing

/// What a dead letter keeps of its event, and what of its history.
struct DeadLetterMessageTests {
    private static let history = DeadLetterHistory(
        reason: .rejected,
        attempts: 3,
        lastStatus: 422,
        lastError: "grün 100% \"no\"\r\nNats-Rollup: all",
        firstTime: 1_700_000_000_123,
        lastTime: 1_700_000_060_000
    )

    @Test(arguments: NATSServer.available)
    func `a structured event comes back byte for byte, with all that is known`(
        binary: NATSServer.Binary
    ) async throws {
        let setup = try await DeadLetterSetup(binary)
        let key = try DeadLetterSetup.key("acme", "Orders_1-x")
        let payload = Array(
            " {\"specversion\":\"1.0\",\"id\":\"é\\u00e9\",\"source\":\"/s\",\"type\":\"t\",\n\"data\":1.10 }".utf8
        )
        let sequence = try await setup.store(setup.origin(77, tenant: "acme", payload: payload), key, Self.history)
        let letter = try #require(try await setup.box.get(key.tenant, sequence))
        #expect(letter.sequence == sequence)
        #expect(letter.subscription == key)
        #expect(letter.payload == payload)
        #expect(letter.form == .structured)
        #expect(letter.eventText.map { Array($0) } == payload)
        #expect(letter.reason == "rejected")
        #expect(letter.attempts == 3)
        #expect(letter.lastStatus == 422)
        #expect(letter.lastError == "grün 100% \"no\" Nats-Rollup: all")
        #expect(letter.firstTime?.text == "2023-11-14T22:13:20.123Z")
        #expect(letter.lastTime?.text == "2023-11-14T22:14:20Z")
        #expect(letter.storedTime != nil)
        #expect(letter.originalStream == "SLUICE_EVENTS")
        #expect(letter.originalSequence == 77)
        #expect(letter.originalSubject == "ce.acme.normal.com.example.made")
        #expect(letter.redriveCount == 0)
        let again = try await setup.store(setup.origin(77, tenant: "acme", payload: payload), key, Self.history)
        #expect(again == sequence, "the same end written twice is one dead letter (R-22)")
        let other = try DeadLetterSetup.key("acme", "Orders_2")
        #expect(try await setup.store(setup.origin(77, tenant: "acme", payload: payload), other) != sequence)
        await setup.close()
    }

    @Test(arguments: NATSServer.available)
    func `binary events of native producers keep their attributes and data through letter and redrive`(
        binary: NATSServer.Binary
    ) async throws {
        let setup = try await DeadLetterSetup(binary)
        let probe = try NATSProbe(url: setup.server.url)
        let data: [UInt8] = (0...255).map { UInt8($0) } + Array("\r\n\r\nNATS/1.0".utf8)
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        let headers = [
            "ce-specversion: 1.0", "CE-Id: 1", "ce-source: /native", "ce-type: com.exämple.x", "ce-empty: ",
            "ce-comment: caf\u{E9} 100%", "ce-quoted: \"a \\\" b\"", "Content-Type: image/png", "Nats-Msg-Id: mine",
            "X-Other: 1", "traceparent: \(trace)", "tracestate: a=1",
        ]
        let subject = "ce.acme.normal.com.exämple.x:y"
        _ = probe.request(subject, headers: headers, payload: data)
        let original = try #require(try await setup.client.message(in: setup.plan.events.name, sequence: 1))
        let expected = try NATSBinding.decode(headers: original.headers, payload: original.payload[...])
        let key = try DeadLetterSetup.key("acme", "native")
        let sequence = try await setup.store(DeadLetterOrigin(original, stream: setup.plan.events.name), key)
        let letter = try #require(try await setup.box.get(key.tenant, sequence))
        #expect(letter.payload == data)
        #expect(letter.form == .binary)
        #expect(try letter.decodeEvent() == expected)
        #expect(letter.originalSubject == subject)
        #expect(!letter.headers.contains { $0.name.lowercased() == "x-other" })
        let text = try #require(letter.eventText)
        #expect(try JSONFormat.decode(text).data?.bytes == expected.data?.bytes)

        let request = RedriveRequest(tenant: key.tenant, selection: .sequences([sequence]))
        let report = await setup.box.redrive(request, into: setup.plan.events.name, prefix: setup.prefix) { _ in nil }
        #expect(report.redriven == 1, "\(report)")
        let back = try #require(try await setup.client.message(in: setup.plan.events.name, sequence: 2))
        #expect(back.payload == data)
        #expect(try NATSBinding.decode(headers: back.headers, payload: back.payload[...]) == expected)
        #expect(back.header("traceparent") == trace)
        #expect(back.header("tracestate") == "a=1")
        #expect(back.header("Sluice-Target") == "native")
        #expect(back.header("Sluice-Redrive-Count") == "1")
        #expect(back.header("Nats-Msg-Id") == "redrive:\(sequence):1")
        #expect(back.header("X-Other") == nil)
        #expect(back.header("Sluice-Reason") == nil)
        #expect(back.subject == "ce.acme.normal.com.ex=C3=A4mple.x=3Ay", "one token stays one token")
        #expect(try await setup.box.get(key.tenant, sequence) == nil)
        await setup.close()
    }

    @Test(arguments: NATSServer.available)
    func `what is no event is kept and put back untouched`(binary: NATSServer.Binary) async throws {
        let setup = try await DeadLetterSetup(binary)
        let key = try DeadLetterSetup.key("acme", "s")
        let payloads: [[UInt8]] = [
            [], [0, 0xFF, 0xC3, 13, 10, 0x80], Array("{\"id\":".utf8), Array(repeating: 0, count: 70_000),
        ]
        for (index, payload) in payloads.enumerated() {
            let origin = DeadLetterOrigin(
                stream: setup.plan.events.name,
                sequence: UInt64(index + 1),
                subject: "ce.acme.low.=sha256-\(String(repeating: "0f", count: 32))",
                headers: [("ce-bad_name", "x"), ("Content-Type", "application/cloudevents+avro")],
                payload: payload[...]
            )
            let sequence = try await setup.store(origin, key, .init(reason: .undeliverable, attempts: 0))
            let letter = try #require(try await setup.box.get(key.tenant, sequence))
            #expect(letter.payload == payload)
            #expect(letter.form == .undecodable)
            #expect(letter.eventText == nil)
            #expect(letter.lastError == "headers left out: ce-bad_name")
        }
        let request = RedriveRequest(tenant: key.tenant, selection: .filter(.init()))
        let report = await setup.box.redrive(request, into: setup.plan.events.name, prefix: setup.prefix) { _ in nil }
        #expect(report.redriven == payloads.count, "\(report)")
        let back = try await setup.messages(setup.plan.events.name)
        #expect(back.count == payloads.count)
        #expect(payloads.allSatisfy { payload in back.contains { $0.payload == payload } })
        #expect(back.allSatisfy { $0.subject == "ce.acme.low.=sha256-\(String(repeating: "0f", count: 32))" })
        await setup.close()
    }

    @Test func `no error text breaks a header or its bound`() async throws {
        let setup = try await DeadLetterSetup(NATSServer.standard)
        let key = try DeadLetterSetup.key("acme", "s")
        let texts = [
            "", "   ", "\r\n", "a\r\nNats-Msg-Id: other\r\n\r\nbody", "\u{0}\u{1}x\u{7F}\u{85}\u{2028}y\u{202E}z",
            String(repeating: "é", count: 100_000), String(repeating: "%", count: 5000),
            "x" + String(repeating: " ", count: 100_000) + "y",
            String(repeating: "\u{1F469}\u{200D}\u{1F680}", count: 300),
            "%0D%0A%", "plain words", ": : :", "\u{FEFF}bom",
        ]
        for (index, text) in texts.enumerated() {
            let origin = setup.origin(UInt64(index + 1), tenant: "acme", payload: [1, 2, 3])
            let history = DeadLetterHistory(reason: .gone, attempts: 1, lastStatus: 410, lastError: text)
            let message = DeadLetterMessage.make(origin, of: key, history, stream: setup.plan.deadLetters.name)
            let value = message.headers.own.first { $0.name == .lastError }?.value.description
            #expect((value ?? "").utf8.count <= 1024)
            let sequence = try await setup.store(origin, key, history)
            let letter = try #require(try await setup.box.get(key.tenant, sequence))
            let stored = try #require(
                try await setup.client.message(in: setup.plan.deadLetters.name, sequence: sequence)
            )
            #expect(Set(stored.headers.map(\.name)).isSubset(of: Self.headerNames), "\(stored.headers)")
            #expect(stored.header("Nats-Msg-Id") == "dlq:SLUICE_EVENTS:\(index + 1):acme_s")
            #expect(letter.payload == [1, 2, 3])
            #expect(letter.reason == "gone" && letter.attempts == 1 && letter.lastStatus == 410)
            let error = letter.lastError ?? ""
            #expect(error.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control })
            #expect(error.unicodeScalars.allSatisfy { text.unicodeScalars.contains($0) || $0 == " " })
            if text == "plain words" || text == "%0D%0A%" || text == ": : :" { #expect(error == text) }
        }
        await setup.close()
    }

    private static let headerNames: Set<String> = [
        "Nats-Msg-Id", "Nats-Expected-Stream", "Content-Type", "Sluice-Reason", "Sluice-Attempts", "Sluice-Last-Status",
        "Sluice-Last-Error", "Sluice-Tenant", "Sluice-Subscription", "Sluice-Stream", "Sluice-Sequence",
        "Sluice-Subject",
    ]

    @Test(arguments: NATSServer.available)
    func `a dead letter with missing or broken headers can be read`(binary: NATSServer.Binary) async throws {
        let setup = try await DeadLetterSetup(binary)
        let probe = try NATSProbe(url: setup.server.url)
        _ = probe.request("dl.acme.s", payload: [7])
        let broken = [
            "Sluice-Reason: odd%0Areason", "Sluice-Attempts: -4", "Sluice-Last-Status: 99999999999999999999",
            "Sluice-Last-Error: %ff%zz%", "Sluice-First-Time: yesterday", "Sluice-Sequence: 0x1",
            "Sluice-Stream: a b", "Sluice-Redrive-Count: many", "Sluice-Tenant: other", "Sluice-Subscription: other",
        ]
        _ = probe.request("dl.acme.s", headers: broken, payload: [8])
        _ = probe.request("dl.acme.s.more", payload: [9])
        _ = probe.request("dl.ACME.s", payload: [9])
        let tenant = try #require(TenantName("acme"))
        let page = try await setup.box.list(tenant)
        #expect(page.items.map(\.payload) == [[7], [8]])
        let (bare, odd) = (page.items[0], page.items[1])
        #expect(bare.reason == "unknown" && bare.attempts == 0 && bare.lastError == nil && bare.firstTime == nil)
        #expect(odd.reason == "odd reason" && odd.attempts == 0 && odd.lastStatus == nil && odd.firstTime == nil)
        #expect(odd.lastError == "\u{FFFD}%zz%")
        #expect(odd.originalSequence == nil && odd.originalStream == nil && odd.redriveCount == 0)
        #expect(odd.subscription.description == "acme/s", "the subject decides, no header")
        let request = RedriveRequest(tenant: tenant, selection: .filter(.init()))
        let report = await setup.box.redrive(request, into: setup.plan.events.name, prefix: setup.prefix) { _ in nil }
        #expect(report.failures.map(\.failure) == [.subject, .subject])
        #expect(try await setup.box.list(tenant).items.count == 2)
        await setup.close()
    }

    @Test func `headers give way where the payload leaves no room`() throws {
        let key = try DeadLetterSetup.key("acme", "s")
        let stream = try #require(StreamName("DL"))
        let origin = DeadLetterOrigin(
            stream: stream,
            sequence: 1,
            subject: "ce.acme.normal.a",
            headers: [("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")],
            payload: [UInt8](repeating: 1, count: 1000)[...]
        )
        let history = DeadLetterHistory(reason: .gone, attempts: 1, lastError: String(repeating: "x", count: 1000))
        func make(_ bytesMax: Int) -> MessageHeaders {
            DeadLetterMessage.make(origin, of: key, history, stream: stream, bytesMax: bytesMax).headers
        }
        #expect(make(3000).own.contains { $0.name == .lastError })
        #expect(!make(2000).own.contains { $0.name == .lastError } && make(2000).traceparent != nil)
        #expect(make(1100).traceparent == nil)
        #expect(make(1).own.contains { $0.name == .reason }, "what makes it a dead letter stays")
    }
}
