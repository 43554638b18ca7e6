/// A range of addresses that share their first bits, such as `10.0.0.0/8`; pure.
package struct IPNetwork: Sendable, Hashable, CustomStringConvertible {
    /// A text that is no network, and why.
    package struct Fault: Error, Sendable, Equatable {
        /// Such as `10.0.0.1/8 has bits after the first 8: write 10.0.0.0/8`.
        package let reason: String
    }

    package let address: IPAddress
    /// How many bits count.
    package let length: Int

    init(_ address: IPAddress, _ length: Int) {
        self.address = address
        self.length = length
    }

    /// Reads `10.0.0.0/8`, `fd00::/8`, or one address.
    package init(parsing text: some StringProtocol) throws(Fault) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let base = parts.first, let address = IPAddress(strict: base) else {
            throw Fault(reason: "\(Self.shown(text)) is not a network (like 10.0.0.0/8, fd00::/8 or 192.0.2.1)")
        }
        // An IPv4-mapped range is the IPv4 range behind it.
        let isMapped = address.family == .v4 && base.utf8.contains(UInt8(ascii: ":"))
        let widest = address.family == .v4 && !isMapped ? 32 : 128
        guard parts.count == 2 else {
            self.init(address, address.family == .v4 ? 32 : 128)
            return
        }
        guard (1...3).contains(parts[1].utf8.count), parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let written = Int(parts[1]), written <= widest, !isMapped || written >= 96
        else {
            let range = isMapped ? "96 and 128" : "0 and \(widest)"
            throw Fault(reason: "the length of \(Self.shown(text)) is not between \(range)")
        }
        let length = isMapped ? written - 96 : written
        let network = Self.masked(address, length)
        guard network == address else {
            let hint = "write \(network)/\(length)"
            throw Fault(reason: "\(Self.shown(text)) has bits after the first \(length): \(hint)")
        }
        self.init(address, length)
    }

    /// Reads a comma-separated list; blanks around the commas are allowed, an empty text is an empty list.
    package static func list(_ text: String) throws(Fault) -> [IPNetwork] {
        var networks: [IPNetwork] = []
        for item in text.split(separator: ",", omittingEmptySubsequences: false) {
            let start = item.drop { $0 == " " || $0 == "\t" }
            guard let last = start.lastIndex(where: { $0 != " " && $0 != "\t" }) else { continue }
            networks.append(try IPNetwork(parsing: start[...last]))
        }
        return networks
    }

    package func contains(_ address: IPAddress) -> Bool { address.hasPrefix(self.address, length) }

    package var description: String { "\(address)/\(length)" }

    private static func masked(_ address: IPAddress, _ length: Int) -> IPAddress {
        func kept(_ half: UInt64, _ bits: Int, of width: Int) -> UInt64 {
            let dropped = UInt64(max(width - bits, 0))
            return bits <= 0 ? 0 : (half >> dropped) << dropped
        }
        if address.family == .v4 { return IPAddress(v4: UInt32(kept(address.low, length, of: 32))) }
        return IPAddress(v6: kept(address.high, min(length, 64), of: 64), kept(address.low, length - 64, of: 64))
    }

    private static func shown(_ text: some StringProtocol) -> String { "\"\(FailureText.clean(String(text), 64))\"" }
}
