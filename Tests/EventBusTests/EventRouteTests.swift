import CloudEvents
import EventBus
import JetStream
import Testing

@Suite struct EventRouteTests {
    private func subject(_ type: String, tenant: String = "acme", lane: Lane = .normal) throws -> String {
        let prefix = try #require(SubjectPrefix("ce"))
        let tenant = try #require(TenantName(tenant))
        return EventRoute.subject(prefix: prefix, tenant: tenant, lane: lane, type: type).description
    }

    @Test(arguments: [
        ("com.example.order.created", "ce.acme.normal.com.example.order.created"),
        ("A-z_0", "ce.acme.normal.A-z_0"),
        ("a..b", "ce.acme.normal.a.=.b"),
        (".", "ce.acme.normal.=.="),
        ("a b", "ce.acme.normal.a=20b"),
        ("*", "ce.acme.normal.=2A"),
        (">", "ce.acme.normal.=3E"),
        ("$JS.API", "ce.acme.normal.=24JS.API"),
        ("=", "ce.acme.normal.=3D"),
        ("%", "ce.acme.normal.=25"),
        ("é", "ce.acme.normal.=C3=A9"),
        ("e\u{301}", "ce.acme.normal.e=CC=81"),
    ])
    func `S-01: every byte of a type but the plain ones is encoded`(type: String, expected: String) throws {
        #expect(try subject(type) == expected)
    }

    @Test func `a type of 400 encoded bytes stands for itself and one of 401 becomes its digest`() throws {
        let longest = String(repeating: "a", count: 400)
        #expect(try subject(longest) == "ce.acme.normal.\(longest)")
        // sha256 of 401 'a', by sha256sum.
        #expect(
            try subject(longest + "a")
                == "ce.acme.normal.=sha256-15284784611353b6efe63673dceed62633e84e51cfcd65b0c0bcff9794d9c09f"
        )
    }

    @Test func `the limit counts encoded bytes, not characters`() throws {
        let type = String(repeating: "é", count: 67)
        #expect(try subject(type).hasPrefix("ce.acme.normal.=sha256-"))
        #expect(try !subject(String(type.dropLast())).hasPrefix("ce.acme.normal.=sha256-"))
    }

    @Test(arguments: [("high", Lane.high), ("low", .low), ("normal", .normal), ("HIGH", .normal), ("urgent", .normal)])
    func `the priority extension chooses the lane and unknown values mean normal`(text: String, lane: Lane) throws {
        let event = try CloudEvent(id: "1", source: "/s", type: "t", extensions: ["priority": .string(text)])
        #expect(Lane(of: event) == lane)
    }

    @Test func `a priority that is no text means normal`() throws {
        let event = try CloudEvent(id: "1", source: "/s", type: "t", extensions: ["priority": 1])
        #expect(Lane(of: event) == .normal)
        #expect(Lane(of: try CloudEvent(id: "1", source: "/s", type: "t")) == .normal)
    }
}

@Suite struct EventIdentityTests {
    private func id(_ tenant: String, _ source: String, _ id: String) throws -> String {
        EventIdentity.messageID(tenant: try #require(TenantName(tenant)), source: source, id: id).description
    }

    @Test func `R-06: tenant, source and id all make the identity`() throws {
        let ids = try [
            id("a", "/s", "1"), id("b", "/s", "1"), id("a", "/t", "1"), id("a", "/s", "2"),
        ]
        #expect(Set(ids).count == 4)
        #expect(try id("a", "/s", "1") == ids[0])
    }

    @Test func `R-06: shifting characters between the parts changes the identity`() throws {
        let text = "abc/0:defghi"
        var seen: Set<String> = []
        for split in text.indices.dropFirst() {
            seen.insert(try id("abc", String(text[..<split]), String(text[split...])))
            seen.insert(try id("abcd", String(text[..<split]), String(text[split...])))
        }
        #expect(seen.count == 2 * (text.count - 1))
    }

    @Test func `an identity is 32 characters of base64url and the digest is SHA-256`() throws {
        let text = try id("default", "/s", "1")
        #expect(text.utf8.count == 32)
        // printf 'default\0/s\0001' | openssl dgst -sha256 -binary | head -c 24 | base64 | tr '+/' '-_'
        #expect(text == "yfDtYMU9Eks5ywoN9sOTVHozM4a0L4qw")
    }

    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ])
    func `digests match the examples of FIPS 180`(text: String, expected: String) {
        let digits = SHA256Digest(text).bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        #expect(digits == expected)
    }

    @Test(arguments: ["a", "0", "a-b", String(repeating: "x", count: 63)])
    func `tenant names within the rule are taken`(name: String) {
        #expect(TenantName(name)?.text == name)
    }

    @Test(arguments: ["", "-a", "A", "a.b", "a b", "ä", "a\r\n", "*", String(repeating: "x", count: 64)])
    func `tenant names outside the rule are refused`(name: String) {
        #expect(TenantName(name) == nil)
    }
}

@Suite struct TraceContextTests {
    private static let valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    @Test(arguments: [valid, "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-later"])
    func `a valid parent is carried with its state`(parent: String) {
        let trace = TraceContext(parent: parent, state: "vendor=1")
        #expect(trace.parent?.description == parent)
        #expect(trace.state?.description == "vendor=1")
    }

    @Test(arguments: [
        "", "00", valid.uppercased(), valid + "-more", "ff" + valid.dropFirst(2), "00-" + valid,
        "00-00000000000000000000000000000000-b7ad6b7169203331-01", valid + "\r\nX: y",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
    ])
    func `an invalid parent is ignored and its state with it`(parent: String) {
        let trace = TraceContext(parent: parent, state: "vendor=1")
        #expect(trace.parent == nil && trace.state == nil)
    }

    @Test func `a state that is too long or no header value is left out alone`() {
        for state in [String(repeating: "a", count: 513), "a\r\nb", ""] {
            let trace = TraceContext(parent: Self.valid, state: state)
            #expect(trace.parent != nil && trace.state == nil)
        }
    }
}
