import Testing
import Webhooks

struct SinkAddressRulesTests {
    /// First and last address of every range of S-05, and special ranges beside them.
    static let forbidden = [
        "0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.1",
        "127.255.255.255", "169.254.0.0", "169.254.169.254", "169.254.255.255", "172.16.0.0", "172.31.255.255",
        "192.0.0.0", "192.0.0.255", "192.0.2.1", "192.88.99.1", "192.168.0.0", "192.168.255.255", "198.18.0.0",
        "198.19.255.255", "198.51.100.7", "203.0.113.7", "224.0.0.1", "239.255.255.255", "240.0.0.1",
        "255.255.255.255", "::", "::1", "::2", "::7f00:1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
        "::fffe:1:2", "fc00::", "fdff::1", "fe80::1", "febf::1", "fec0::1", "ff00::", "ff02::1", "100::1", "2001::1",
        "2001:db8::1", "3fff::1", "64:ff9b::1.1.1.1", "64:ff9b::127.0.0.1", "64:ff9b:1::1", "2002:7f00:1::",
        "2002:101:101::", "4000::1", "1000::1", "5f00::1",
    ]

    static let open = [
        "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
        "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.0.3.0", "192.167.255.255",
        "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255", "::ffff:8.8.8.8", "2001:200::1",
        "2606:4700::1111", "2a00:1450::1", "3ffe::1",
    ]

    @Test(arguments: forbidden) func isForbidden(_ text: String) throws {
        let address = try #require(IPAddress(strict: text))
        #expect(throws: SinkAddressRules.Refusal.self) { try SinkAddressRules().check(address) }
    }

    @Test(arguments: open) func isOpen(_ text: String) throws {
        try SinkAddressRules().check(#require(IPAddress(strict: text)))
    }

    @Test func everyAddressCounts() throws {
        let rules = SinkAddressRules()
        let good = try #require(IPAddress(strict: "1.1.1.1"))
        let bad = try #require(IPAddress(strict: "fd00::1"))
        try rules.check([good, good])
        #expect(throws: SinkAddressRules.Refusal.self) { try rules.check([good, bad]) }
        #expect(throws: SinkAddressRules.Refusal.self) { try rules.check([bad]) }
    }

    @Test func allowedNetworks() throws {
        let networks = try IPNetwork.list(" 10.1.0.0/16, fd00::/8,127.0.0.1 ")
        #expect(networks.count == 3)
        let rules = SinkAddressRules(allowedNetworks: networks)
        for text in ["10.1.2.3", "::ffff:10.1.2.3", "fd12::1", "127.0.0.1", "1.1.1.1"] {
            try rules.check(#require(IPAddress(strict: text)))
        }
        for text in ["10.2.0.1", "127.0.0.2", "fc00::1", "::1", "64:ff9b::10.1.2.3", "2002:a01:203::"] {
            let address = try #require(IPAddress(strict: text))
            #expect(throws: SinkAddressRules.Refusal.self) { try rules.check(address) }
        }
    }

    /// The range of a translator may be allowed, the address inside it is judged all the same.
    @Test func translatedAddresses() throws {
        let rules = SinkAddressRules(allowedNetworks: try IPNetwork.list("64:ff9b::/96,2002::/16,10.0.0.0/8"))
        for text in ["64:ff9b::8.8.8.8", "2002:808:808::1", "64:ff9b::10.0.0.1", "2002:a00:1::"] {
            try rules.check(#require(IPAddress(strict: text)))
        }
        for text in ["64:ff9b::127.0.0.1", "64:ff9b::169.254.169.254", "2002:7f00:1::", "2002:c0a8:101::1"] {
            let address = try #require(IPAddress(strict: text))
            #expect(throws: SinkAddressRules.Refusal.self) { try rules.check(address) }
        }
    }

    @Test(arguments: [
        ("10.0.0.1/8", "write 10.0.0.0/8"), ("fd00::1/8", "write fd00::/8"), ("10.0.0.0/33", "between 0 and 32"),
        ("::/129", "between 0 and 128"), ("::ffff:10.0.0.0/95", "between 96 and 128"), ("10.0.0/8", "is not a network"),
        ("010.0.0.0/8", "is not a network"), ("localhost", "is not a network"), ("10.0.0.0/", "between"),
        ("10.0.0.0/a", "between"), ("10.0.0.0/-1", "between"), ("[::1]", "is not a network"),
        ("fe80::1%eth0", "is not"),
    ])
    func whatIsNoNetwork(_ text: String, _ words: String) {
        let fault = #expect(throws: IPNetwork.Fault.self) { try IPNetwork(parsing: text) }
        #expect(fault?.reason.contains(words) == true, "\(fault?.reason ?? "")")
    }

    @Test func networksOfEveryLength() throws {
        #expect(try IPNetwork(parsing: "0.0.0.0/0").contains(IPAddress(v4: .max)))
        #expect(try !IPNetwork(parsing: "0.0.0.0/0").contains(IPAddress(v6: 1 << 61, 0)))
        #expect(try IPNetwork(parsing: "::/0").contains(IPAddress(v6: .max, .max)))
        #expect(try IPNetwork(parsing: "::ffff:10.0.0.0/104") == IPNetwork(parsing: "10.0.0.0/8"))
        for length in 1...32 {
            let bit = UInt32(1) << UInt32(32 - length)
            let network = try IPNetwork(parsing: "\(IPAddress(v4: bit))/\(length)")
            #expect(network.contains(IPAddress(v4: bit | (bit - 1))))
            #expect(!network.contains(IPAddress(v4: bit ^ bit)))
        }
        for length in 33...128 {
            let isHigh = length <= 64
            let bit = UInt64(1) << UInt64((isHigh ? 64 : 128) - length)
            let address = isHigh ? IPAddress(v6: bit, 0) : IPAddress(v6: 7 << 61, bit)
            let network = try IPNetwork(parsing: "\(address)/\(length)")
            #expect(network.contains(address))
            #expect(!network.contains(isHigh ? IPAddress(v6: 0, 0) : IPAddress(v6: 7 << 61, bit ^ bit)))
        }
        #expect(try IPNetwork.list("").isEmpty)
        #expect(try IPNetwork.list(" , ").isEmpty)
    }

    @Test func schemesAndPorts() throws {
        let rules = SinkAddressRules()
        try rules.check(SinkURL(parsing: "https://example.com/"))
        try rules.check(SinkURL(parsing: "https://example.com:8443/"))
        #expect(throws: SinkAddressRules.Refusal.self) { try rules.check(SinkURL(parsing: "http://example.com/")) }
        for port in [22, 25, 53, 4222, 6379, 8222, 5432, 11211] {
            let url = try SinkURL(parsing: "https://example.com:\(port)/")
            #expect(throws: SinkAddressRules.Refusal.self) { try rules.check(url) }
            try SinkAddressRules(allowedPorts: [UInt16(port)]).check(url)
        }
        try SinkAddressRules(allowsPlainHTTP: true).check(SinkURL(parsing: "http://example.com:8080/"))
    }
}
