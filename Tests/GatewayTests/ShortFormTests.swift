import ServerFixtures
import Testing

extension EndToEnd {
    /// `POST /events/publish`, the form without an envelope (design §4).
    @Suite(.serialized, .sharedStacks) struct ShortFormTests {
        @Test func `all members become the attributes of one event`() throws {
            let stack = try StackPool.stack()
            let id = uniqueID()
            let body = """
                {"event_type":"com.example.short","data":{"n":1.50},"tenant_id":"acme","subject":"s/1",
                "event_id":"\(id)","correlation_id":"c-9","time":"2026-01-02T03:04:05Z"}
                """
            let response = try stack.exchange(shortForm(body))
            #expect(response.status == 202, "\(response.text)")
            #expect(response.json["id"].string == id)
            #expect(response.json["event_id"].string == id)
            #expect(response.json["source"].string == "/tests/short")
            #expect(response.json["stream"].string == GatewayStack.stream)
            #expect(response.json["duplicate"].bool == false)
            let message = try #require(try stack.reader().message(response.json["sequence"].int ?? 0))
            #expect(message.subject == "ce.acme.normal.com.example.short")
            let event = try message.event()
            #expect(event.attributes["correlationid"] == "c-9")
            #expect(event.attributes["subject"] == "s/1")
            #expect(event.attributes["time"] == "2026-01-02T03:04:05Z")
            #expect(event.attributes["type"] == "com.example.short")
            #expect(event.data == Array("{\"n\":1.50}".utf8))
            #expect(event.attributes["tenantid"] == nil)
            #expect(event.attributes["tenant_id"] == nil)
        }

        @Test func `an event without an id gets one that is told`() throws {
            let stack = try StackPool.stack()
            let first = try stack.exchange(shortForm("{\"event_type\":\"t\",\"data\":1}"))
            let second = try stack.exchange(shortForm("{\"event_type\":\"t\",\"data\":1}"))
            #expect(first.status == 202 && second.status == 202)
            let id = try #require(first.json["event_id"].string)
            #expect(!id.isEmpty)
            #expect(id != second.json["event_id"].string)
            #expect(second.json["duplicate"].bool == false)
            let stored = try stack.reader().message(first.json["sequence"].int ?? 0)
            #expect(try stored?.event().attributes["id"] == id)
        }

        /// What chooses the tenant, and the tenant's token in the subject; `nil` is a 400.
        static let tenants: [(member: String?, header: String?, tenant: String?)] = [
            (nil, nil, "default"), ("acme", nil, "acme"), (nil, "acme", "acme"), ("acme", "acme", "acme"),
            ("acme", "other", nil), ("Bad_Name", nil, nil), (nil, "a.b", nil), ("", nil, nil), ("-a", nil, nil),
            (String(repeating: "a", count: 63), nil, String(repeating: "a", count: 63)),
            (String(repeating: "a", count: 64), nil, nil),
        ]

        @Test(arguments: tenants)
        func `the tenant is the member, else the header, and both must agree`(
            member: String?,
            header: String?,
            tenant: String?
        ) throws {
            let stack = try StackPool.stack()
            let text = member.map { ",\"tenant_id\":\"\($0)\"" } ?? ""
            let request = shortForm(
                "{\"event_type\":\"t\",\"data\":1\(text)}",
                headers: header.map { [("X-Tenant-ID", $0)] } ?? []
            )
            let response = try stack.exchange(request)
            guard let tenant else {
                #expect(response.status == 400, "\(response.text)")
                return
            }
            #expect(response.status == 202, "\(response.text)")
            let message = try stack.reader().message(response.json["sequence"].int ?? 0)
            #expect(message?.subject == "ce.\(tenant).normal.t")
        }

        static let mistakes = [
            "", "[]", "{}", "{\"data\":1}", "{\"event_type\":\"\",\"data\":1}", "{\"event_type\":7,\"data\":1}",
            "{\"event_type\":\"t\",\"data\":1,\"time\":\"noon\"}",
            "{\"event_type\":\"t\",\"data\":1,\"event_id\":\"\"}",
            "{\"event_type\":\"t\",\"data\":1,\"subject\":\"\"}", "{\"event_type\":\"t\",\"data\":1,\"event_id\":5}",
            "{\"event_type\":\"t\",\"event_type\":\"u\",\"data\":1}",
        ]

        @Test(arguments: mistakes)
        func `a mistake in the body is a 400 and nothing is stored`(body: String) throws {
            let stack = try StackPool.stack()
            let before = try stack.reader().lastSequence()
            let response = try stack.exchange(shortForm(body))
            #expect(response.status == 400, "\(response.text)")
            #expect(response["Content-Type"] == "application/problem+json")
            #expect(try stack.reader().lastSequence() == before)
        }

        @Test(arguments: ["", "?source=", "?source=a%20b", "?source=%00"])
        func `a source that is missing or no URI reference is a 400`(query: String) throws {
            let response = try StackPool.stack().exchange(shortForm("{\"event_type\":\"t\",\"data\":1}", query: query))
            #expect(response.status == 400, "\(response.text)")
        }

        @Test func `the short form may be repeated safely with its event_id`() throws {
            let stack = try StackPool.stack()
            let body = "{\"event_type\":\"t\",\"data\":1,\"event_id\":\"\(uniqueID())\"}"
            let first = try stack.exchange(shortForm(body))
            let second = try stack.exchange(shortForm(body))
            #expect(second.json["duplicate"].bool == true)
            #expect(second.json["sequence"].int == first.json["sequence"].int)
        }
    }
}
