import Testing
import Webhooks

/// Every spelling of a host that one parser or another reads as something else (S-05).
struct SinkURLTests {
    private func host(_ text: String) throws -> SinkURL.Host { try SinkURL(parsing: text).host }

    @Test(arguments: [
        "http://127.1/", "http://127.0.1/", "http://2130706433/", "http://017700000001/", "http://0177.0.0.1/",
        "http://0x7f.1/", "http://0x7F.0x0.0X0.0x1/", "http://0x7f000001/", "http://127.0.0.1./", "http://127.1.:80/",
        "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[0:0:0:0:0:FFFF:7F00:0001]/",
    ])
    func loopbackInEverySpelling(_ text: String) throws {
        let url = try SinkURL(parsing: text)
        #expect(url.host == .address(IPAddress(v4: 0x7F00_0001)))
        #expect(url.authority == "127.0.0.1")
        let refusal = #expect(throws: SinkAddressRules.Refusal.self) {
            try SinkAddressRules(allowsPlainHTTP: true).check(url)
        }
        #expect(refusal?.reason.contains("loopback") == true)
    }

    @Test(arguments: [
        "http://[::1]/", "http://[0:0:0:0:0:0:0:1]/", "http://[::0:1]/", "http://[0000::0001]/", "http://[::0.0.0.1]/",
    ])
    func loopbackOfIPv6(_ text: String) throws {
        let url = try SinkURL(parsing: text)
        #expect(url.host == .address(IPAddress(v6: 0, 1)))
        #expect(url.authority == "[::1]")
        #expect(throws: SinkAddressRules.Refusal.self) { try SinkAddressRules(allowsPlainHTTP: true).check(url) }
    }

    @Test(arguments: [
        // Brackets around a name, a zone, halves of brackets.
        "http://[example.com]/", "http://[127.0.0.1]/", "http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/",
        "http://[::1", "http://[::1]x/", "http://[::1]]/", "http://[]/", "http://[:::1]/", "http://[1::2::3]/",
        "http://[1:2:3:4:5:6:7]/", "http://[1:2:3:4:5:6:7:8:9]/", "http://[1:2:3:4:5:6:7::8]/x[", "http://[12345::]/",
        "http://[::127.0.0.256]/", "http://[::127.0.0]/", "http://[1:]/", "http://[:1]/",
        // User information, and what hides it.
        "http://user@example.com/", "http://user:pass@example.com/", "http://@example.com/",
        "http://example.com@127.0.0.1/", "http://127.0.0.1:80\\@example.com/", "http://example.com\\@127.0.0.1/",
        // Dots, letters and digits that are not ASCII.
        "http://example\u{3002}com/", "http://127\u{3002}0\u{3002}0\u{3002}1/", "http://\u{2460}27.0.0.1/",
        "http://ex\u{E4}mple.com/", "http://local\u{AD}host/",
        // Encoded hosts, empty labels, odd characters.
        "http://%31%32%37.0.0.1/", "http://127%2e0.0.1/", "http://example..com/", "http://.example.com/", "http:///x",
        "http://exa mple.com/", "http://exa\tmple.com/", "http://example.com\r\nX: y/", "http://-a.com/",
        "http://a$b.com/", "http://..", "http://.",
        // Numbers that are no address.
        "http://256.256.256.256/", "http://1.2.3.4.5/", "http://4294967296/", "http://0x100000000/", "http://08.1.1.1/",
        "http://foo.0x4/", "http://1.2.3.09/", "http://example.123/", "http://127..1/",
        // Ports.
        "http://example.com:0/", "http://example.com:65536/", "http://example.com:-1/", "http://example.com:80a/",
        "http://example.com:000080/", "http://[::1]:x/",
        // Schemes and the rest.
        "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "//example.com/", "example.com", "",
        "http:/example.com", "http:example.com", "javascript:alert(1)", "http://example.com/#fragment",
        "http://example.com/a\\b", "http://example.com/%", "http://example.com/%zz", "http://example.com/<x>",
        "http://example.com/a b", "http://example.com/\u{0}",
    ])
    func whatIsNoSink(_ text: String) {
        #expect(throws: SinkURL.Fault.self) { try SinkURL(parsing: text) }
    }

    @Test func longURLsAndNames() {
        #expect(throws: SinkURL.Fault.self) {
            try SinkURL(parsing: "https://example.com/" + String(repeating: "a", count: 2048))
        }
        #expect(throws: SinkURL.Fault.self) {
            try SinkURL(parsing: "https://\(String(repeating: "a", count: 64)).com/")
        }
        #expect(throws: SinkURL.Fault.self) {
            try SinkURL(parsing: "https://\(String(repeating: "abcdefg.", count: 32))com/")
        }
    }

    @Test func partsOfAURL() throws {
        let url = try SinkURL(parsing: "HTTPS://Hooks.Example.COM.:8443/a/b?c=d%20e&f=/?")
        #expect(url.isSecure)
        #expect(url.host == .name("hooks.example.com"))
        #expect(url.port == 8443)
        #expect(url.target == "/a/b?c=d%20e&f=/?")
        #expect(url.authority == "hooks.example.com:8443")
        #expect(try SinkURL(parsing: "https://example.com").target == "/")
        #expect(try SinkURL(parsing: "https://example.com?q").target == "/?q")
        #expect(try SinkURL(parsing: "https://example.com:443/").authority == "example.com")
        #expect(try SinkURL(parsing: "http://example.com:443/").authority == "example.com:443")
        #expect(try SinkURL(parsing: "http://xn--bcher-kva.example/").hostText == "xn--bcher-kva.example")
        #expect(try host("http://a_b.example.com:/") == .name("a_b.example.com"))
        #expect(try SinkURL(parsing: "https://[2606:4700::1111]:8443/").authority == "[2606:4700::1111]:8443")
        #expect(try host("http://0.0.0.0/") == .address(IPAddress(v4: 0)))
        #expect(try host("http://0/") == .address(IPAddress(v4: 0)))
    }

    @Test func faultsHoldNothingOfTheURL() {
        let fault = #expect(throws: SinkURL.Fault.self) {
            try SinkURL(parsing: "https://user:s3cret@example.com/?token=s3cret")
        }
        #expect(fault?.reason.contains("s3cret") == false)
    }

    @Test(arguments: [
        ("::", "::"), ("1::", "1::"), ("::2", "::2"), ("1:0:0:2::3", "1:0:0:2::3"),
        ("1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"),
        ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"),
        ("::ffff:1.2.3.4", "1.2.3.4"), ("10.0.0.1", "10.0.0.1"), ("FE80::A", "fe80::a"),
    ])
    func textOfAddresses(_ text: String, _ canonical: String) throws {
        let address = try #require(IPAddress(strict: text))
        #expect(address.description == canonical)
        #expect(IPAddress(strict: canonical) == address)
        #expect(IPAddress(bytes: address.bytes) == address)
    }
}
