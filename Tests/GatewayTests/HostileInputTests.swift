import ServerFixtures
import Testing

extension EndToEnd {
    /// S-16 and S-17: what is meant to break a parser or to smuggle something into a header or a subject.
    @Suite(.serialized, .sharedStacks) struct HostileInputTests {
        private func nested(_ depth: Int, _ open: String = "[", _ close: String = "]") -> String {
            String(repeating: open, count: depth) + String(repeating: close, count: depth)
        }

        @Test(arguments: [62, 63, 64, 65, 66, 160, 512, 20_000, 1_000_000])
        func `S-16: nesting is bounded in the envelope and in data, whatever the depth`(depth: Int) throws {
            let stack = try StackPool.stack()
            var inData = TestEvent(data: nested(depth))
            let structured = try stack.exchange(inData.structured())
            inData.id = uniqueID()
            let objects = String(repeating: "{\"a\":", count: depth) + "1" + String(repeating: "}", count: depth)
            inData.data = objects
            let asObjects = try stack.exchange(inData.structured())
            if depth <= 62 {
                #expect(structured.status == 202, "\(structured.text)")
                #expect(asObjects.status == 202, "\(asObjects.text)")
            } else if depth > 65 {
                #expect([400, 413].contains(structured.status), "\(structured.status)")
                #expect([400, 413].contains(asObjects.status), "\(asObjects.status)")
            } else {
                #expect(structured.status == 202 || structured.status == 400)
                #expect(structured.status == asObjects.status)
            }
            let attribute = TestEvent(attributes: [("deep", nested(depth))])
            for request in [batch([nested(depth)]), attribute.structured(), StatusTests.structured(nested(depth))] {
                #expect([400, 413].contains(try stack.exchange(request).status))
            }
            let opaque = try stack.exchange(TestEvent(data: nested(depth)).binary())
            #expect(opaque.status < 500, "\(opaque.text)")
            #expect(try stack.gateway.get("/health/live").status == 200)
        }

        /// Bodies that are no JSON text, or only almost (RFC 8259).
        static let notJSON = [
            "[1,]", "{\"a\":1,}", "{'id':1}", "{\"a\":01}", "{\"a\":+1}", "{\"a\":.5}", "{\"a\":1.}", "{\"a\":NaN}",
            "{\"a\":Infinity}", "{\"a\":0x1}", "{\"a\":\"\\x\"}", "{\"a\":\"\\u12\"}", "{\"a\":\"\t\"}", "{\"a\" 1}",
            "{\"a\":1 \"b\":2}", "{\"a\":1}}", "{\"a\":tru}", "/*x*/{}", "{\"a\":1}//x", "\"", "{", "[", "", " ",
        ]

        @Test(arguments: notJSON)
        func `S-16: what is not JSON is a 400`(body: String) throws {
            let stack = try StackPool.stack()
            let response = try stack.exchange(StatusTests.structured(body))
            #expect(response.status == 400, "\(response.text)")
        }

        static let notUTF8: [[UInt8]] = [
            [0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xE2, 0x82],
        ]

        @Test(arguments: notUTF8)
        func `S-16: bytes that are no UTF-8 are refused in the envelope and in data`(bytes: [UInt8]) throws {
            let stack = try StackPool.stack()
            for member in ["subject", "data"] {
                let text = TestEvent(attributes: [("subject", "\"MARK\"")], data: "\"MARK\"").json
                let other = member == "subject" ? "\"data\":\"MARK\"" : "\"subject\":\"MARK\""
                let parts = text.replacing(other, with: other.replacing("MARK", with: "x")).split(separator: "MARK")
                let body = Array(parts[0].utf8) + bytes + Array(parts[1].utf8)
                let type = [("Content-Type", "application/cloudevents+json")]
                let response = try stack.exchange(HTTPRequest("POST", "/v1/events", headers: type, body: body))
                #expect(response.status == 400, "\(response.text)")
            }
        }

        @Test func `S-16: numbers of any size pass unchanged inside data and are refused in attributes`() throws {
            let stack = try StackPool.stack()
            let data = "[1e400,-0,1.0,123456789012345678901234567890,1E+2]"
            let response = try stack.exchange(TestEvent(data: data).structured())
            #expect(response.status == 202, "\(response.text)")
            let message = try stack.reader().message(response.json["sequence"].int ?? 0)
            #expect(try message?.event().data == Array(data.utf8))
            for number in ["1e400", "2147483648", "-2147483649", "1.0", "1e0", "-0.0"] {
                let refused = try stack.exchange(TestEvent(attributes: [("n", number)]).structured())
                #expect(refused.status == 400, "\(number): \(refused.text)")
            }
        }

        /// Values of a `ce-` header that must not get through (HTTP-15, CE-09 to CE-11, CE-14).
        static let headerValues = [
            "a%0d%0aX-Injected: 1", "a%0D%0A", "a%00b", "%7F", "%C2%85", "%C0%AF", "%C0%80", "%E0%80%AF", "%ED%A0%80",
            "%F4%90%80%80", "%FF", "%E2%82", "%EF%BF%BE", "%EF%B7%90", "\u{1}", "a\u{7F}b",
        ]

        @Test(arguments: headerValues)
        func `S-17: a hostile attribute value is refused in a header`(value: String) throws {
            let stack = try StackPool.stack()
            let before = try stack.reader().lastSequence()
            for name in ["ce-subject", "ce-myext"] {
                let response = try stack.exchange(TestEvent().binary(headers: [(name, value)]))
                #expect(response.status == 400, "\(name): \(response.text)")
                #expect(response["X-Injected"] == nil)
            }
            #expect(try stack.reader().lastSequence() == before)
        }

        static let escapes = [
            "\\r\\n", "\\u0000", "\\u001b[31m", "\\u0085", "\\ufffe", "\\ufdd0", "\\ud800", "\\udc00\\ud800",
        ]

        @Test(arguments: escapes)
        func `S-17: a hostile attribute value is refused in JSON`(escape: String) throws {
            let stack = try StackPool.stack()
            for name in ["type", "id", "source", "subject", "myext"] {
                var event = TestEvent()
                if name == "subject" || name == "myext" { event.attributes = [(name, "\"MARK\"")] }
                if name == "type" { event.type = "MARK" }
                if name == "id" { event.id = "MARK" }
                if name == "source" { event.source = "MARK" }
                let body = event.json.replacing("MARK", with: "a\(escape)b")
                let response = try stack.exchange(StatusTests.structured(body))
                #expect(response.status == 400, "\(name): \(response.text)")
            }
        }

        @Test func `S-17: a header value is decoded once and only once`() throws {
            let stack = try StackPool.stack()
            let values = [("a%2525b", "a%25b"), ("%252e", "%2e"), ("a+b", "a+b"), ("%C3%A9", "é"), ("\"a b\"", "a b")]
            for (sent, meant) in values {
                let response = try stack.exchange(TestEvent().binary(headers: [("ce-subject", sent)]))
                #expect(response.status == 202, "\(sent): \(response.text)")
                let message = try stack.reader().message(response.json["sequence"].int ?? 0)
                #expect(try message?.event().attributes["subject"] == meant)
            }
        }

        @Test(arguments: ["a%0d%0ab", "a\u{1}b", "é", String(repeating: "r", count: 5000), "\"x\"", ""])
        func `S-17: a hostile request id cannot split the answer`(id: String) throws {
            let response = try StackPool.stack().exchange(TestEvent().structured(headers: [("X-Request-Id", id)]))
            #expect(response.status == 202 || response.status == 400)
            #expect((response["X-Request-Id"]?.utf8.count ?? 0) <= 256)
        }
    }
}
