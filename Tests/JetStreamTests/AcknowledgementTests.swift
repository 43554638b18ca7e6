import JetStream
import ServerFixtures
import Testing

/// What a message's outcome is, for everything a server may answer: against a scripted one.
@Suite struct AcknowledgementTests {
    typealias Reaction = ScriptedBroker.Reaction

    @Test(arguments: [
        (
            "an acknowledgement of another stream", Reaction.reply(#"{"stream":"OTHER","seq":5}"#),
            UnknownReason.wrongStream
        ),
        ("sequence 0", .reply(#"{"stream":"EVENTS","seq":0}"#), .sequenceZero),
        ("an empty answer", .reply(""), .badAcknowledgement),
        ("JSON cut short", .reply(#"{"stream":"EVENTS","seq":1"#), .badAcknowledgement),
        ("no JSON", .reply("+OK"), .badAcknowledgement), ("nothing", .silence, .timeout),
        ("an acknowledgement after the deadline", .after(.milliseconds(2500), .acknowledge), .timeout),
        ("error 10158 each time", .reply(#"{"error":{"code":400,"err_code":10158}}"#), .duplicateInProcess),
        (
            "duplicate with sequence 0 each time", .reply(#"{"stream":"EVENTS","seq":0,"duplicate":true}"#),
            .duplicateInProcess
        ),
        ("the end of the connection", .close, .connectionLost),
    ])
    func `R-01: a thousand messages are unknown, none stored, when the answer is`(
        name: String,
        reaction: Reaction,
        reason: UnknownReason
    ) async throws {
        let broker = try ScriptedBroker { _ in reaction }
        try await withClient(
            broker.url,
            adjust: { $0.publishTimeout = reason.isImmediate ? .seconds(20) : .seconds(2) }
        ) { test in
            // A connection that is closed answers for those behind as well: they are then tried one at a time.
            let closes = reason == .connectionLost
            var messages: [OutboundMessage] = []
            for number in 0..<(closes ? 1 : 1000) { messages.append(makeMessage(id: "\(number)")) }
            let outcomes = await publishAll(messages, on: test.client)
            #expect(outcomes.allSatisfy { $0 == [.unknown(reason)] })
        }
    }

    @Test func `R-01: a valid acknowledgement is a success, once, whatever comes after it`() async throws {
        let broker = try ScriptedBroker { _ in
            .all([.acknowledge, .acknowledge, .reply(#"{"error":{"code":500,"err_code":1}}"#), .reply("?")])
        }
        try await withClient(broker.url) { test in
            var messages: [OutboundMessage] = []
            for number in 0..<1000 { messages.append(makeMessage(id: "\(number)")) }
            let outcomes = await publishAll(messages, on: test.client, window: 10)
            #expect(outcomes.allSatisfy { $0.count == 1 && $0[0].isStored })
        }
    }

    @Test func `R-07: a duplicate with its sequence is a success and marked`() async throws {
        let broker = try ScriptedBroker { _ in .reply(#"{"stream":"EVENTS","seq":9,"duplicate":true}"#) }
        try await withClient(broker.url) { test in
            let outcome = await test.client.publish(makeMessage(id: "1"))
            #expect(outcome == .stored(sequence: 9, duplicate: true))
        }
    }

    @Test(arguments: [
        Reaction.reply(#"{"error":{"code":400,"err_code":10158,"description":"duplicate message id is in process"}}"#),
        .reply(#"{"stream":"EVENTS","seq":0,"duplicate":true}"#), .noResponders,
    ])
    func `C-18, R-07: when the server asks for patience the message is sent again with the same id`(
        first: Reaction
    ) async throws {
        let broker = try ScriptedBroker { $0.number == 0 ? first : .acknowledge }
        try await withClient(broker.url) { test in
            #expect(await test.client.publish(makeMessage(id: "same")).isStored)
            let sent = broker.publications
            #expect(sent.map { $0.header("Nats-Msg-Id") } == ["same", "same"])
            #expect(Set(sent.map(\.reply)).count == 2)
        }
    }

    @Test func `C-18: without responders the message is refused after three tries`() async throws {
        let broker = try ScriptedBroker { _ in .noResponders }
        try await withClient(broker.url, adjust: { $0.publishTimeout = .seconds(30) }) { test in
            let outcome = await test.client.publish(makeMessage(id: "1"))
            #expect(outcome.rejection == .noResponders)
            #expect(broker.publications.count == 3)
        }
    }

    @Test func `error 10167 of a flooded server is 'unavailable'`() async throws {
        let broker = try ScriptedBroker { _ in
            .reply(#"{"error":{"code":429,"err_code":10167,"description":"too many requests"}}"#)
        }
        try await withClient(broker.url) { test in
            let outcome = await test.client.publish(makeMessage(id: "1"))
            #expect(
                outcome == .rejected(Rejection(kind: .unavailable, code: 10167, description: "too many requests"))
            )
        }
    }

    @Test func `late answers to an earlier message never settle a later one`() async throws {
        let broker = try ScriptedBroker { publication in
            publication.number == 0
                ? .after(.milliseconds(300), .reply(#"{"stream":"EVENTS","seq":1000}"#))
                : .after(.milliseconds(600), .acknowledge)
        }
        try await withClient(broker.url, adjust: { $0.publishTimeout = .milliseconds(200) }) { test in
            #expect(await test.client.publish(makeMessage(id: "1")) == .unknown(.timeout))
            #expect(await test.client.publish(makeMessage(id: "2")) == .unknown(.timeout))
        }
    }

    @Test func `S-01, C-01: each hostile message is exactly one HPUB, its subject decodes to the input`() async throws {
        let broker = try ScriptedBroker()
        var generator = SeededGenerator(seed: 99)
        let pieces = ["a", ".", "*", ">", "$JS.API", " ", "\r\n", "PUB x 0\r\n\r\n", "\0", "é", "=", "%s", "_INBOX"]
        var tokens: [String] = []
        for _ in 0..<2000 {
            tokens.append((0..<Int(generator.next() % 6)).map { _ in pieces[Int(generator.next() % 13)] }.joined())
        }
        try await withClient(broker.url) { test in
            let payload = Array("PUB injected 0\r\n\r\n".utf8)
            var messages: [OutboundMessage] = []
            for (number, token) in tokens.enumerated() {
                messages.append(makeMessage(token, id: "id \(number)", payload: payload))
            }
            let outcomes = await publishAll(messages, on: test.client)
            #expect(outcomes.allSatisfy { $0.count == 1 && $0[0].isStored })
        }
        let sent = broker.publications
        #expect(sent.count == tokens.count)
        for (number, publication) in sent.enumerated() {
            let parts = publication.subject.split(separator: ".", omittingEmptySubsequences: false)
            #expect(parts.count == 3 && parts[0] == "ce" && parts[1] == "test")
            #expect(Subject.decodeToken(parts[2]).map { Array($0.utf8) } == Array(tokens[number].utf8))
            #expect(publication.header("Nats-Msg-Id") == "id \(number)")
            #expect(publication.header("Nats-Expected-Stream") == "EVENTS")
            #expect(publication.reply?.hasPrefix("_INBOX.") == true)
        }
    }

    @Test func `C-17: reply subjects can't be guessed and differ between connections`() async throws {
        let broker = try ScriptedBroker()
        for number in 0..<3 {
            try await withClient(broker.url) { test in
                #expect(await test.client.publish(makeMessage(id: "\(number)")).isStored)
            }
        }
        let replies = broker.publications.compactMap { $0.reply?.split(separator: ".") }
        #expect(replies.count == 3 && replies.allSatisfy { $0.count == 4 && $0[1] == "sluice" })
        let prefixes = replies.map { $0[2] }
        #expect(Set(prefixes).count == 3)
        #expect(prefixes.allSatisfy { $0.count == 22 })
    }
}

extension UnknownReason {
    /// Told by an answer that was read, not by a deadline.
    fileprivate var isImmediate: Bool {
        switch self {
        case .wrongStream, .sequenceZero, .badAcknowledgement, .connectionLost: true
        case .timeout, .duplicateInProcess: false
        }
    }
}
