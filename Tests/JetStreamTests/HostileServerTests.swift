import JetStream
import ServerFixtures
import Testing

/// A server that speaks the protocol and means harm.
@Suite struct HostileServerTests {
    /// PREFIX is the reply prefix with its dot, TOKEN the token of the message that waits.
    @Test(arguments: [
        ("one byte", "a", ""), ("the inbox alone", "_INBOX.", ""),
        // Behind a short subject lies the payload: nothing of it must be taken for the token.
        ("short, a token where the reply's would stand", "a", String(repeating: "x", count: 35) + "TOKEN"),
        ("as long as the prefix without its dot, a token behind it", "BARE", "TOKEN"),
        ("the prefix alone", "PREFIX", "TOKEN"),
        ("another inbox of the same length", "_INBOX.sluice.0123456789012345678901.TOKEN", "ACK"),
        ("no inbox, but as long", String(repeating: "x", count: 37) + "TOKEN", "ACK"),
        ("the token and more", "PREFIXTOKEN.1", "ACK"), ("no hexadecimal digit", "PREFIXTOKENx", "ACK"),
        ("more digits than a token has", "PREFIX" + String(repeating: "0", count: 17) + "TOKEN", "ACK"),
        ("a token of a slot that does not exist", "PREFIX1ffff", "ACK"),
        ("a token of another generation", "PREFIXfTOKEN", "ACK"),
        ("very long", "PREFIX" + String(repeating: "f", count: 3000), "ACK"),
    ])
    func `S-31: what comes on our subscription with a subject that is no reply is ignored`(
        name: String,
        subject: String,
        payload: String
    ) async throws {
        let server = try RawServer { request in
            func fill(_ template: String) -> String {
                template.replacing("BARE", with: request.replyPrefix.dropLast())
                    .replacing("PREFIX", with: request.replyPrefix)
                    .replacing("TOKEN", with: request.replyToken)
                    .replacing("ACK", with: #"{"stream":"EVENTS","seq":666}"#)
            }
            let hostile = request.message(to: fill(subject), fill(payload))
            return hostile + hostile + request.acknowledgement(sequence: request.number + 1)
        }
        try await withClient(server.url) { test in
            for number in 1...20 {
                let outcome = await test.client.publish(makeMessage(id: "\(number)"))
                #expect(outcome == .stored(sequence: UInt64(number), duplicate: false))
            }
            #expect(test.client.state.isConnected)
            #expect(!test.states.current.contains { $0.hasFailed })
        }
    }

    @Test(arguments: [
        (#"{"error":{"code":400,"err_code":10158}}"#, PublishOutcome.unknown(.duplicateInProcess)),
        (#"{"stream":"EVENTS","seq":0,"duplicate":true}"#, .unknown(.duplicateInProcess)),
    ])
    func `R-01, R-07: a copy that can't be sent again may still be stored by its first`(
        answer: String,
        expected: PublishOutcome
    ) async throws {
        let server = try RawServer { request in
            RawServer.info(maxPayload: 16) + request.message(to: request.replySubject, answer)
        }
        try await withClient(server.url) { test in
            let message = makeMessage(id: "1", payload: [UInt8](repeating: UInt8(ascii: "x"), count: 1000))
            #expect(await test.client.publish(message) == expected)
            #expect(server.count == 1)
            // A first copy is still refused for its size, and certainly not stored.
            #expect(await test.client.publish(message).rejection == .tooLarge)
            #expect(server.count == 1)
        }
    }

    @Test func `C-18: a message without responders that can't be sent again is refused for want of them`() async throws
    {
        let server = try RawServer { request in
            let headers = "NATS/1.0 503\r\n\r\n"
            let size = headers.utf8.count
            return RawServer.info(maxPayload: 16)
                + "HMSG \(request.replySubject) \(request.sid) \(size) \(size)\r\n\(headers)\r\n"
        }
        try await withClient(server.url) { test in
            let message = makeMessage(id: "1", payload: [UInt8](repeating: UInt8(ascii: "x"), count: 1000))
            #expect(await test.client.publish(message).rejection == .noResponders)
            #expect(server.count == 1)
        }
    }
}
