import ServerFixtures
import Testing

/// The tests' own eyes: what they must see as wrong.
struct FixtureTests {
    private static let expected = """
        {"attributes":{"id":"a","source":"/s","type":"t","specversion":"1.0","n":"5","time":"2026-01-01T00:00:00Z"},
        "types":{"n":"Integer"},"data_b64":"WzEsIDIuMF0=","data_compare":"bytes",
        "implied":{"datacontenttype":"application/json"}}
        """

    private static func stored(_ changed: String = "", data: String = "[1, 2.0]") -> String {
        let rest = "\"source\":\"/s\",\"type\":\"t\",\"specversion\":\"1.0\",\"data\":\(data)"
        return "{\"id\":\"a\",\"n\":5,\"time\":\"2026-01-01T01:00:00.0+01:00\",\(rest)\(changed)}"
    }

    private func differences(_ stored: String) throws -> [String] {
        let expected = try CorpusEvent(WireJSON(parsing: Array(Self.expected.utf8)))
        return try StoredEvent(payload: Array(stored.utf8)).differences(from: expected)
    }

    @Test func `a stored event as it should be has no differences`() throws {
        #expect(try differences(Self.stored()) == [])
        #expect(try differences(Self.stored(",\"datacontenttype\":\"application/json\"")) == [])
    }

    @Test(arguments: [
        stored(",\"extra\":\"x\""), stored(",\"datacontenttype\":\"text/json\""), stored(data: "[1,2.0]"),
        stored(data: "[1, 2]"), stored().replacing("\"n\":5", with: "\"n\":\"5\""),
        stored().replacing("\"a\"", with: "\"A\""), stored().replacing("01:00:00.0", with: "01:00:00.001"),
        stored().replacing(",\"type\":\"t\"", with: ""),
    ])
    func `a stored event that differs is seen`(payload: String) throws {
        #expect(try differences(payload).count >= 1)
    }

    @Test(arguments: [
        "[]", "{", stored(",\"id\":\"a\""), stored(",\"e\":{}"), stored(",\"e\":1.0"),
        stored(",\"data_base64\":\"AA==\""),
        stored(",}"),
    ])
    func `a payload that is no event is seen`(payload: String) {
        #expect(throws: (any Error).self) { try StoredEvent(payload: Array(payload.utf8)) }
    }

    @Test(arguments: [
        ("1", "1.0", true), ("100", "1e2", true), ("-0", "0", true), ("1", "2", false), ("1", "\"1\"", false),
        ("12345678901234567890", "12345678901234567891", false), ("\"é\"", "\"e\u{301}\"", false),
        ("{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}", true), ("[1,2]", "[2,1]", false), ("{\"a\":null}", "{}", false),
    ])
    func `JSON values are compared exactly`(left: String, right: String, isSame: Bool) throws {
        let (first, second) = try (WireJSON(parsing: Array(left.utf8)), WireJSON(parsing: Array(right.utf8)))
        #expect(first.isSameValue(as: second) == isSame)
        #expect(second.isSameValue(as: first) == isSame)
    }

    @Test(arguments: [
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nBad Name: 1\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\naa0\r\n\r\n",
    ])
    func `a response that is not HTTP is seen`(text: String) {
        #expect(throws: HTTPClientError.self) {
            try HTTPResponseParser(answering: "GET").parse(latin1(text), ended: true)
        }
    }

    @Test func `responses that follow each other are told apart`() throws {
        let text = "HTTP/1.1 202 A\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        let parser = HTTPResponseParser(answering: "GET")
        var buffer = latin1(text + "1\r\nc\r\n0\r\n\r\n")
        let first = try #require(try parser.parse(buffer, ended: false))
        #expect(first.0.status == 202 && first.0.text == "ab")
        buffer.removeFirst(first.used)
        #expect(try parser.parse(buffer.dropLast(), ended: false) == nil)
        let second = try #require(try parser.parse(buffer, ended: false))
        #expect(second.0.text == "c" && second.used == buffer.count)
    }
}
