import ServerFixtures
import Testing

extension EndToEnd {
    /// What stands in the stream after a publish: subject, header fields, payload (design §3).
    @Suite(.serialized, .sharedStacks) struct StoredMessageTests {
        /// Types and the tokens that stand for them in the subject.
        static let types: [(type: String, tokens: String)] = [
            ("com.example.order.created", "com.example.order.created"),
            ("A-z_09", "A-z_09"),
            ("a b", "a=20b"),
            ("a*b", "a=2Ab"), ("*", "=2A"), (">", "=3E"), ("a.>", "a.=3E"),
            ("$SYS.a", "=24SYS.a"), ("$JS.API.STREAM.DELETE.X", "=24JS.API.STREAM.DELETE.X"), ("_INBOX.a", "_INBOX.a"),
            (".", "=.="), ("..", "=.=.="), ("a..b", "a.=.b"), (".a", "=.a"), ("a.", "a.="),
            ("a=b", "a=3Db"), ("=", "=3D"), ("=sha256-x", "=3Dsha256-x"), ("100%", "100=25"), ("a/b:c", "a=2Fb=3Ac"),
            ("é", "=C3=A9"), ("e\u{301}", "e=CC=81"), ("😀", "=F0=9F=98=80"), ("\u{202E}x", "=E2=80=AEx"),
            (String(repeating: "a", count: 400), String(repeating: "a", count: 400)),
            (
                String(repeating: "a", count: 401),
                "=sha256-15284784611353b6efe63673dceed62633e84e51cfcd65b0c0bcff9794d9c09f"
            ),
            (String(repeating: "é", count: 66), String(repeating: "=C3=A9", count: 66)),
            (
                String(repeating: "é", count: 67),
                "=sha256-00d7d8b183cd6e1395ba35b1a01b8061f9935debea6d24618865add73201e9ef"
            ),
        ]

        @Test(arguments: types)
        func `S-01: the subject is the total encoding of the type`(type: String, tokens: String) throws {
            let stack = try StackPool.stack()
            let response = try stack.exchange(TestEvent(type: type).structured())
            #expect(response.status == 202, "\(response.text)")
            let message = try #require(try stack.reader().message(response.json["sequence"].int ?? 0))
            #expect(message.subject == "ce.default.normal.\(tokens)")
            #expect(try Array((message.event().attributes["type"] ?? "").utf8) == Array(type.utf8))
        }

        @Test(arguments: [
            ("\"high\"", "high"), ("\"normal\"", "normal"), ("\"low\"", "low"), ("\"HIGH\"", "normal"),
            ("\"\"", "normal"),
            ("\"urgent\"", "normal"), ("1", "normal"), ("true", "normal"),
        ])
        func `the priority extension chooses the lane and stays as it was`(priority: String, lane: String) throws {
            let stack = try StackPool.stack()
            let event = TestEvent(attributes: [("priority", priority)])
            let response = try stack.exchange(event.structured())
            #expect(response.status == 202, "\(response.text)")
            let message = try #require(try stack.reader().message(response.json["sequence"].int ?? 0))
            #expect(message.subject == "ce.default.\(lane).com.example.tested")
            let stored = try WireJSON(parsing: message.payload)["priority"]
            #expect(try stored.isSameValue(as: WireJSON(parsing: Array(priority.utf8))))
        }

        @Test(arguments: ["acme", "0", "a-b-c", String(repeating: "z", count: 63)])
        func `the tenant header chooses the tenant's token`(tenant: String) throws {
            let stack = try StackPool.stack()
            let response = try stack.exchange(TestEvent().structured(headers: [("X-Tenant-ID", tenant)]))
            #expect(response.status == 202, "\(response.text)")
            let message = try stack.reader().message(response.json["sequence"].int ?? 0)
            #expect(message?.subject == "ce.\(tenant).normal.com.example.tested")
        }

        @Test(arguments: [
            "", "A", "a.b", "a*", ">", "a b", "-a", "a_b", "é", "default\u{A0}", String(repeating: "z", count: 64),
        ])
        func `a tenant that is no name is refused`(tenant: String) throws {
            let stack = try StackPool.stack()
            let before = try stack.reader().lastSequence()
            let response = try stack.exchange(TestEvent().structured(headers: [("X-Tenant-ID", tenant)]))
            #expect(response.status == 400)
            #expect(response.json["type"].string == "urn:sluice:problem:invalid-tenant", "\(response.text)")
            #expect(try stack.reader().lastSequence() == before)
        }

        @Test func `a tenant given twice is refused`() throws {
            let headers = [("X-Tenant-ID", "acme"), ("X-Tenant-ID", "other")]
            #expect(try StackPool.stack().exchange(TestEvent().structured(headers: headers)).status == 400)
        }

        @Test func `a tenantid extension never chooses the tenant and is kept`() throws {
            let stack = try StackPool.stack()
            let event = TestEvent(attributes: [("tenantid", "\"victim\"")])
            let response = try stack.exchange(event.structured())
            let message = try #require(try stack.reader().message(response.json["sequence"].int ?? 0))
            #expect(message.subject.hasPrefix("ce.default."))
            #expect(try message.event().attributes["tenantid"] == "victim")
        }

        @Test func `the stored message has our own header fields and no other`() throws {
            let stack = try StackPool.stack()
            let response = try stack.exchange(TestEvent().binary())
            let message = try #require(try stack.reader().message(response.json["sequence"].int ?? 0))
            #expect(Set(message.headers.map(\.name)) == ["Content-Type", "Nats-Msg-Id", "Nats-Expected-Stream"])
            #expect(message.headers.count == 3)
            #expect(message["Content-Type"] == "application/cloudevents+json")
            #expect(message["Nats-Expected-Stream"] == GatewayStack.stream)
            #expect(message["Nats-Msg-Id"]?.isEmpty == false)
        }

        @Test func `the trace context of the request travels in the header, the event keeps its own`() throws {
            let stack = try StackPool.stack()
            let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            let own = "00-11111111111111111111111111111111-2222222222222222-00"
            let event = TestEvent(attributes: [("traceparent", quoted(own))])
            let headers = [("traceparent", parent), ("tracestate", "vendor=1")]
            let response = try stack.exchange(event.structured(headers: headers))
            let message = try #require(try stack.reader().message(response.json["sequence"].int ?? 0))
            #expect(message["traceparent"]?.contains("0af7651916cd43dd8448eb211c80319c") == true)
            #expect(try message.event().attributes["traceparent"] == own)
        }

        @Test func `S-02: a producer's own Nats fields and hostile names are never forwarded`() throws {
            let stack = try StackPool.stack()
            let hostile = [
                ("Nats-Msg-Id", "chosen"), ("Nats-Rollup", "all"), ("Nats-Expected-Last-Sequence", "9999"),
                ("Nats-Expected-Stream", "OTHER"), ("Nats-TTL", "1s"), ("nats-msg-id", "lower"), ("ce-x", ""),
            ]
            let event = TestEvent()
            let first = try stack.exchange(event.binary(headers: hostile))
            #expect(first.status == 202, "\(first.text)")
            let message = try #require(try stack.reader().message(first.json["sequence"].int ?? 0))
            #expect(Set(message.headers.map(\.name)) == ["Content-Type", "Nats-Msg-Id", "Nats-Expected-Stream"])
            #expect(message["Nats-Msg-Id"] != "chosen")
            #expect(message["Nats-Expected-Stream"] == GatewayStack.stream)
            // An empty value swallows the next field in libnats 3.4.1; the attribute is in the payload instead.
            #expect(try message.event().attributes["x"] == "")
            #expect(try stack.reader().messageCount() == (try stack.reader().lastSequence()), "a rollup took effect")
        }
    }
}
