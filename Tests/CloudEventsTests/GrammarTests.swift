import CloudEvents
import Testing

/// The grammars that attribute values follow: RFC 3986, RFC 2046, base64.
///
/// S-17.
@Suite struct GrammarTests {
    @Test(arguments: [
        "https://github.com/cloudevents", "mailto:a@b.org", "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66", "/a/b",
        "a/b",
        "1-555-123-4567", "#", "#frag", "?q=1", ".", "../x", "//", "//host", "//host:", "http://host:/",
        "http://host:80",
        "http://[::1]/", "http://[::]", "http://[1:2:3:4:5:6:7:8]", "http://[1::8]", "http://[::ffff:192.0.2.1]/",
        "http://[1:2:3:4:5:6:1.2.3.4]", "http://[1:2:3:4:5:6:7::]", "http://[::2:3:4:5:6:7:8]", "http://[v1.a:b]",
        "http://user:pw@host:80/p;x=1?q#f", "http://user%40x@h", "x:", "X+.-1:y", "./a:b", "/a:b", "a?b:c", "a#b:c",
        "%41",
        "/%C3%A9", "//a%20b/", "?a=/?", "#a/?", "http://1.2.3.4.5/", "http://h/;a,b=c@d:e", "//@", "//:80", "x:/",
        "x://",
        "x:a//b", "http://example.com/(a)'*!$&+", "tag:example.com,2026:x", "a@b", "file:///etc/x",
    ])
    func `a URI-reference is taken as source`(text: String) throws {
        #expect(try CloudEvent(id: "1", source: text, type: "t").source == text)
    }

    @Test(arguments: [
        ":x", ":", "1:2", "1a:b", "a_b:c", "/a b", " ", "/a\\b", "/a|b", "/a^b", "/a`b", "/a{b}", "/a<b>", "/a\"b",
        "/%", "/%2",
        "/%zz", "/%2g", "?%", "#%1", "##", "#a#b", "/[a]", "?[a]", "http://host:abc/", "http://host:80:90/",
        "http://[::1/",
        "http://[:::1]/", "http://::1]/", "http://[]/", "http://[1:2:3:4:5:6:7]", "http://[1:2:3:4:5:6:7:8:9]",
        "http://[1::2::3]", "http://[12345::]", "http://[::1.2.3]", "http://[::1.2.3.256]", "http://[::01.2.3.4]",
        "http://[1:2:3:4:5:6:7:1.2.3.4]", "http://[1:]", "http://[:1]", "http://[g::]", "http://[::1]x", "http://[v.a]",
        "http://[v1.]", "http://[v1a]", "http://[::1%25eth0]", "http://a@b@c/", "http://a[b]", "http://exa mple.com/",
        "/é",
        "http://é/", "/a\u{7F}", "//[", "http://[1:2:3:4:5:6:7:8::]", "http://[::1:2:3:4:5:6:7:8]", "http://a%/", "é:x",
    ])
    func `CE-14: any other text is refused as source`(text: String) {
        #expect(Self.rules { try CloudEvent(id: "1", source: text, type: "t") }.first?.hasPrefix("CE-") == true)
    }

    @Test(arguments: ["http://example.com/s?v=1", "urn:x", "x:", "x:?", "file:///a", "http://[::1]"])
    func `an absolute URI is taken as dataschema`(text: String) throws {
        #expect(try CloudEvent(id: "1", source: "/", type: "t", dataSchema: text).dataSchema == text)
    }

    @Test(arguments: [
        "schema.json", "/s", "//h/s", "#", "http://example.com/s#x", "http://example.com/s#", "1:2", "http://é/",
    ])
    func `CE-13: a relative reference or a fragment is refused as dataschema`(text: String) {
        #expect(Self.rules { try CloudEvent(id: "1", source: "/", type: "t", dataSchema: text) } == ["CE-13"])
    }

    @Test(arguments: [
        ("application/json", true, false), ("text/json", true, false), ("Application/JSON", true, false),
        ("image/vnd.x+json", true, false), ("a/b+JSON; x=y", true, false),
        ("application/json;charset=utf-8", true, false),
        ("application/json; charset=\"UTF-8\"", true, false), ("application/json; CHARSET=utf-16", true, true),
        ("application/json-seq", false, false), ("application/geo+json-seq", false, false),
        ("text/plain", false, false),
        ("text/plain ; a=b ;c=\"d;\\\"e\"", false, false), ("text/plain; charset=iso-8859-1", false, true),
        ("a/b", false, false), ("*/*", false, false), ("application/+json", false, false), ("x/json+xml", false, false),
        ("text/plain; p=a%20b", false, false), ("multipart/mixed; boundary=\"a b\"", false, false),
        ("text/plain; charset=us-ascii", false, false), ("text/plain;p=\"\"", false, false),
    ])
    func `a media type tells whether it is JSON and in which charset`(
        text: String,
        isJSON: Bool,
        isForeign: Bool
    ) throws {
        let type = try #require(MediaType(text))
        #expect(type.isJSON == isJSON)
        #expect(type.hasForeignCharset == isForeign)
    }

    @Test(arguments: [
        "", "json", "application/", "/json", "a/b/c", "a b", "text/ plain", "text /plain", " text/plain", "text/plain ",
        "text/plain;", "text/plain;x", "text/plain; charset", "text/plain; =x", "text/plain; a=", "text/plain; a =b",
        "text/plain; a= b", "text/plain; a=\"b", "text/plain; a=b c", "text/plain;;a=b", "text/plain, text/html",
        "té/x",
        "text/plain; a=é", "text/plain; a=\"é\"", "text/pl@in", "text/plain; a=b/c", "(a)/b", "text/plain; a=\"b\"c",
        "text/plain\t;a=b", "text/plain; a=\"\\", "text/plain; a=\"b\\\"",
    ])
    func `CE-22: a text that breaks the grammar is no media type`(text: String) {
        #expect(MediaType(text) == nil)
        let rules = Self.rules { try CloudEvent(id: "1", source: "/", type: "t", dataContentType: text) }
        #expect(rules == ["CE-22"] || rules == ["CE-09"])
    }

    @Test(
        arguments: [
            ("", [0]), ("AA==", [0]), ("AAE=", [0, 1]), ("AAEC", [0, 1, 2]), ("/+8=", [255, 239]), ("YQ==", [97]),
            ("YWI=", [97, 98]), ("YWJj", [97, 98, 99]), ("AAECAwQFBgc=", [0, 1, 2, 3, 4, 5, 6, 7]),
        ] as [(String, [UInt8])]
    )
    func `JSON-09: base64 with padding is read`(text: String, content: [UInt8]) throws {
        let event = try JSONFormat.decode(bytes(document("\"data_base64\":\"\(text)\"")))
        #expect(event.data == (text.isEmpty ? nil : .binary(content[...])))
    }

    @Test(arguments: [
        "YQ", "YWI", "YQ=", "Y===", "====", "=", "YQ==YQ==", "Y Q=", "YQ\\n==", "-_==", "a-_b", "YR==", "YWJ=", "YWI==",
        "YWJj=",
        "é===", "YW=j", "Y=Jj", "....", "\\u0000AAA", "YQ==\\n",
    ])
    func `JSON-09: any other text is refused as base64`(text: String) {
        let violations = JSONFormat.violations(in: document("\"data_base64\":\"\(text)\""))
        #expect(violations.map(\.rule) == ["JSON-09"])
        #expect(violations.first?.pointer == "/data_base64")
    }

    static func rules(_ body: () throws -> CloudEvent) -> [String] {
        do {
            _ = try body()
            return []
        } catch {
            return (error as? InvalidEvent)?.violations.map(\.rule) ?? ["\(error)"]
        }
    }
}
