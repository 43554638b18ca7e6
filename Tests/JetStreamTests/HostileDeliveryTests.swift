import Foundation
import JetStream
import ServerFixtures
import Testing

/// A server that answers pull requests with what no consumer would send.
@Suite struct HostileDeliveryTests {
    /// A well-formed acknowledgement subject of the short form.
    private static func ack(_ consumer: String = "acme_orders", sequence: Int) -> String {
        "$JS.ACK.EVENTS.\(consumer).1.\(sequence).\(sequence).1700000000000000000.0"
    }

    private static func message(_ request: RawServer.Request, reply: String, _ payload: String) -> String {
        "MSG ce.test.a \(request.sid) \(reply) \(payload.utf8.count)\r\n\(payload)\r\n"
    }

    private static func status(_ request: RawServer.Request, _ line: String, headers: String = "") -> String {
        let block = "NATS/1.0 \(line)\r\n\(headers)\r\n"
        return "HMSG \(request.replySubject) \(request.sid) \(block.utf8.count) \(block.utf8.count)\r\n\(block)\r\n"
    }

    /// Pulls once from a server that answers so, and returns what came until the pull's end.
    private func pull(
        batch: Int = 2,
        expires: Duration = .seconds(10),
        answer: @escaping @Sendable (RawServer.Request) -> String
    ) async throws -> LaneOwner.Record {
        let server = try RawServer(answer: answer)
        var record = LaneOwner.Record()
        try await withClient(server.url) { test in
            let owner = LaneOwner(test.client)
            try owner.pull(try #require(ConsumerName("acme_orders")), batch: batch, expires: expires)
            #expect(await owner.end(of: 1) != nil)
            record = owner.current
            #expect(test.client.state.isConnected && !test.states.current.contains { $0.hasFailed })
        }
        return record
    }

    @Test(arguments: [
        "$JS.ACK.EVENTS.acme_orders.1.1.1.1", "$JS.ACK.EVENTS.acme_orders.1.1.1.1.1.1",
        "$JS.ACK.EVENTS.acme_orders.x.1.1.1.1", "$JS.ACK.EVENTS.acme_orders.0.1.1.1.1",
        "$JS.ACK.EVENTS.acme_orders.1.0.1.1.1", "$JS.ACK.EVENTS.acme_orders.1.-1.1.1.1",
        "$JS.ACK.EVENTS.acme_orders.1.99999999999999999999999.1.1.1", "$JS.ACK..acme_orders.1.1.1.1.1",
        "$JS.ACK.EVENTS..1.1.1.1.1", "$JS.ACK.EVENTS.acme_orders.1.1.1.1.", "$JS.ACK.EVENTS.acme_orders.1.1.1.1.>",
        "$JS.ACK.EVENTS.*.1.1.1.1.1", "$JS.ACK.EVENTS.other.1.1.1.1.1", "$JS.ACK.OTHER.acme_orders.1.1.1.1.1",
        "$JS.API.STREAM.DELETE.EVENTS", "$JS.ACK.", "x", "$JS.ACK.EVENTS.acme_orders.1.1.1.99999999999999999999.1",
        "$JS.ACK.\(String(repeating: "a.", count: 60))b", "$JS.ACK.\(String(repeating: "d", count: 1100)).1",
        "$JS.ACK.EVENTS.acme_orders.18446744073709551616.1.1.1.1",
    ])
    func `S-31: a message with a malformed acknowledgement subject is dropped`(reply: String) async throws {
        let record = try await pull { request in
            Self.message(request, reply: reply, "bad") + Self.message(request, reply: Self.ack(sequence: 1), "good")
                + Self.status(request, "408 Request Timeout")
        }
        #expect(record.messages.map(\.message.payload) == [Array("good".utf8)])
        #expect(record.ends.map(\.end) == [.expired])
    }

    @Test func `acknowledgement subjects with domain, account and more are understood`() async throws {
        let replies = [
            "$JS.ACK._.ACCHASH.EVENTS.acme_orders.3.7.9.1700000000000000001.5",
            "$JS.ACK.hub.ACCHASH.EVENTS.acme_orders.4.8.10.1700000000000000002.4.random.more",
        ]
        let record = try await pull { request in
            replies.map { Self.message(request, reply: $0, "x") }.joined()
        }
        let messages = record.messages.map(\.message)
        #expect(messages.map(\.deliveries) == [3, 4] && messages.map(\.sequence) == [7, 8])
        #expect(messages.map(\.consumerSequence) == [9, 10] && messages.map(\.pending) == [5, 4])
        #expect(messages.map(\.time) == [1_700_000_000_000_000_001, 1_700_000_000_000_000_002])
        #expect(messages.map(\.ack.text) == replies && record.ends.map(\.end) == [.complete])
    }

    @Test(arguments: [
        ("404 No Messages", PullEnd.noMessages), ("408 Request Timeout", .expired), ("503", .consumerGone),
        ("409 Consumer Deleted", .consumerGone), ("409 Batch Completed", .complete),
        ("409 Exceeded MaxWaiting", .refused("Exceeded MaxWaiting")), ("400 Bad Request", .refused("Bad Request")),
        ("409 Message Size Exceeds MaxBytes", .refused("Message Size Exceeds MaxBytes")), ("409", .refused("409")),
    ])
    func `a status ends the pull, a heartbeat does not`(line: String, end: PullEnd) async throws {
        let record = try await pull { request in
            Self.status(request, "100 Idle Heartbeat") + Self.status(request, "") + Self.status(request, "9999 x")
                + Self.status(request, line) + Self.status(request, "408 Request Timeout")
        }
        #expect(record.ends.map(\.end) == [end] && record.messages.isEmpty)
    }

    @Test func `a size limit that stops a pull after messages has completed it`() async throws {
        let record = try await pull { request in
            Self.message(request, reply: Self.ack(sequence: 1), "x")
                + Self.status(request, "409 Message Size Exceeds MaxBytes", headers: "Nats-Pending-Messages: 1\r\n")
        }
        #expect(record.ends.map(\.end) == [.complete] && record.messages.count == 1)
    }

    @Test func `S-31: more messages than were asked for are handed over, and huge counts do no harm`() async throws {
        let record = try await pull(batch: 2) { request in
            (1...50).map { Self.message(request, reply: Self.ack(sequence: $0), "x") }.joined()
                + Self.status(request, "408 x", headers: "Nats-Pending-Messages: 9223372036854775807\r\n")
                + Self.status(request, "408 x", headers: "Nats-Pending-Messages: -9223372036854775808\r\n")
                + Self.status(request, "408 x", headers: "Nats-Pending-Messages: 99999999999999999999999\r\n")
        }
        #expect(record.ends.map(\.end) == [.complete] && record.messages.count >= 2)
    }

    @Test func `C-13: headers are read as they lie, whatever is in them`() async throws {
        let block =
            "NATS/1.0\r\nce-subject: \r\nNats-Msg-Id: real\r\nno colon\r\n: nameless\r\nce-Type:x:y \r\n\tfolded\r\n\r\n"
        let record = try await pull(batch: 1) { request in
            let head =
                "HMSG ce.test.a \(request.sid) \(Self.ack(sequence: 1)) \(block.utf8.count) \(block.utf8.count + 2)"
            return "\(head)\r\n\(block)hi\r\n"
        }
        let message = try #require(record.messages.first?.message)
        #expect(message.header("ce-subject") == "" && message.header("Nats-Msg-Id") == "real")
        #expect(message.header("ce-type") == "x:y" && message.payload == Array("hi".utf8))
    }

    @Test func `acknowledgement subjects made from text are checked`() {
        #expect(AckAddress(Self.ack(sequence: 1))?.text == Self.ack(sequence: 1))
        for text in ["", "$JS.ACK.", "$JS.API.STREAM.DELETE.X", "$JS.ACK.a b", "$JS.ACK.a\r\nPUB x 0\r\n", "$JS.ACK.>"]
        {
            #expect(AckAddress(text) == nil)
        }
    }
}
