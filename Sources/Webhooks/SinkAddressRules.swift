/// Where sinks may be (S-05); pure.
///
/// Names are judged by what they resolve to: every address is checked before a connection is made, and the connection is
/// made to a checked address.
package struct SinkAddressRules: Sendable, Equatable {
    /// What may not be a sink, and why.
    package struct Refusal: Error, Sendable, Equatable {
        /// Such as `127.0.0.1 is a loopback address`.
        package let reason: String
    }

    /// Networks that sinks may be in although they are private or special.
    package var allowedNetworks: [IPNetwork]
    package var allowsPlainHTTP: Bool
    /// Ports that may be used although ``deniedPorts`` has them.
    package var allowedPorts: Set<UInt16>

    package init(allowedNetworks: [IPNetwork] = [], allowsPlainHTTP: Bool = false, allowedPorts: Set<UInt16> = []) {
        self.allowedNetworks = allowedNetworks
        self.allowsPlainHTTP = allowsPlainHTTP
        self.allowedPorts = allowedPorts
    }

    /// Ports of services that take commands as lines of text, or that no sink has any business with: those below 1024 that
    /// browsers refuse (WHATWG Fetch, "port blocking"), and the usual databases, brokers and control planes.
    package static let deniedPorts: Set<UInt16> = [
        1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109,
        110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 445, 465, 512, 513, 514, 515, 526,
        530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 873, 989, 990, 993, 995,
        1433, 1521, 1719, 1720, 1723, 2049, 2181, 2375, 2376, 2379, 2380, 3306, 3389, 3659, 4045, 4222, 4190, 5060,
        5061, 5432, 5672, 5900, 5984, 6000, 6222, 6379, 6443, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 8222,
        9042, 9092, 9200, 9300, 10_080, 10_250, 10_255, 11_211, 16_379, 26_379, 27_017,
    ]

    /// Judges what the URL alone tells: scheme, port, and the address if the host is one.
    package func check(_ url: SinkURL) throws(Refusal) {
        guard url.isSecure || allowsPlainHTTP else { throw Refusal(reason: "plain http is not allowed: use https") }
        guard url.port != 0, allowedPorts.contains(url.port) || !Self.deniedPorts.contains(url.port) else {
            throw Refusal(reason: "port \(url.port) is not allowed for sinks")
        }
        if case .address(let address) = url.host { try check(address) }
    }

    /// Judges one address.
    package func check(_ address: IPAddress) throws(Refusal) {
        if let embedded = Self.embedded(in: address) {
            // A translator or relay hands the packet on to the IPv4 address inside: both must be allowed.
            guard isAllowed(address) else {
                throw Refusal(reason: "\(address) is in \(embedded.network), a translation range")
            }
            try check(embedded.address)
            return
        }
        guard let special = Self.special(address), !isAllowed(address) else { return }
        throw Refusal(reason: "\(address) is \(special)")
    }

    /// Judges what a name resolved to: all must be allowed, and there must be one.
    package func check(_ addresses: [IPAddress]) throws(Refusal) {
        for address in addresses { try check(address) }
    }

    private func isAllowed(_ address: IPAddress) -> Bool { allowedNetworks.contains { $0.contains(address) } }

    /// The IPv4 address that packets to an IPv6 address of NAT64 (RFC 6052) or 6to4 (RFC 3056) end up at.
    private static func embedded(in address: IPAddress) -> (address: IPAddress, network: IPNetwork)? {
        if nat64.contains(address) { return (IPAddress(v4: UInt32(truncatingIfNeeded: address.low)), nat64) }
        if sixToFour.contains(address) {
            return (IPAddress(v4: UInt32(truncatingIfNeeded: address.high >> 16)), sixToFour)
        }
        return nil
    }

    private static let nat64 = IPNetwork(IPAddress(v6: 0x0064_FF9B_0000_0000, 0), 96)
    private static let sixToFour = IPNetwork(IPAddress(v6: 0x2002_0000_0000_0000, 0), 16)
}

extension SinkAddressRules {
    /// What is special about an address that is not public (the IANA special-purpose registries, RFC 6890), else nil.
    ///
    /// Of IPv6 only global unicast (2000::/3) is public at all, less the ranges named here.
    private static func special(_ address: IPAddress) -> String? {
        if address.family == .v4 { return v4Ranges.first { $0.network.contains(address) }?.name }
        if let range = v6Ranges.first(where: { $0.network.contains(address) }) { return range.name }
        return address.high >> 61 == 1 ? nil : "not a global unicast address"
    }

    private static func v4(_ number: UInt32, _ length: Int, _ name: String) -> (network: IPNetwork, name: String) {
        (IPNetwork(IPAddress(v4: number), length), name)
    }

    private static func v6(
        _ high: UInt64,
        _ low: UInt64,
        _ length: Int,
        _ name: String
    )
        -> (network: IPNetwork, name: String)
    {
        (IPNetwork(IPAddress(v6: high, low), length), name)
    }

    private static let v4Ranges = [
        v4(0x0000_0000, 8, "an address of this host (0.0.0.0/8)"),
        v4(0x0A00_0000, 8, "a private address (10.0.0.0/8)"),
        v4(0x6440_0000, 10, "a carrier's shared address (100.64.0.0/10)"),
        v4(0x7F00_0000, 8, "a loopback address (127.0.0.0/8)"),
        v4(0xA9FE_0000, 16, "a link-local address (169.254.0.0/16)"),
        v4(0xAC10_0000, 12, "a private address (172.16.0.0/12)"),
        v4(0xC000_0000, 24, "a protocol address (192.0.0.0/24)"),
        v4(0xC000_0200, 24, "a documentation address (192.0.2.0/24)"),
        v4(0xC058_6300, 24, "a relay address (192.88.99.0/24)"),
        v4(0xC0A8_0000, 16, "a private address (192.168.0.0/16)"),
        v4(0xC612_0000, 15, "a benchmarking address (198.18.0.0/15)"),
        v4(0xC633_6400, 24, "a documentation address (198.51.100.0/24)"),
        v4(0xCB00_7100, 24, "a documentation address (203.0.113.0/24)"),
        v4(0xE000_0000, 3, "a multicast or reserved address (224.0.0.0/3)"),
    ]

    private static let v6Ranges = [
        v6(0, 0, 128, "the unspecified address (::)"),
        v6(0, 1, 128, "the loopback address (::1)"),
        v6(0x0100_0000_0000_0000, 0, 64, "a discard address (100::/64)"),
        v6(0x2001_0000_0000_0000, 0, 23, "a protocol address (2001::/23)"),
        v6(0x2001_0DB8_0000_0000, 0, 32, "a documentation address (2001:db8::/32)"),
        v6(0x3FFF_0000_0000_0000, 0, 20, "a documentation address (3fff::/20)"),
        v6(0xFC00_0000_0000_0000, 0, 7, "a private address (fc00::/7)"),
        v6(0xFE80_0000_0000_0000, 0, 10, "a link-local address (fe80::/10)"),
        v6(0xFEC0_0000_0000_0000, 0, 10, "a site-local address (fec0::/10)"),
        v6(0xFF00_0000_0000_0000, 0, 8, "a multicast address (ff00::/8)"),
    ]
}
