/// An IPv4 or IPv6 address as a number; pure.
///
/// An IPv4-mapped IPv6 address (`::ffff:0:0/96`, RFC 4291 §2.5.5.2) is the IPv4 address: it is connected to and judged as
/// such.
package struct IPAddress: Sendable, Hashable {
    package enum Family: Sendable {
        case v4
        case v6
    }

    package let family: Family
    /// The first half of an IPv6 address; 0 for IPv4.
    let high: UInt64
    /// The second half of an IPv6 address, or the IPv4 address.
    let low: UInt64

    package init(v4 number: UInt32) {
        family = .v4
        high = 0
        low = UInt64(number)
    }

    /// The address of 16 bytes given as two numbers in host order.
    package init(v6 high: UInt64, _ low: UInt64) {
        let isMapped = high == 0 && low >> 32 == 0xFFFF
        family = isMapped ? .v4 : .v6
        self.high = high
        self.low = isMapped ? low & 0xFFFF_FFFF : low
    }

    /// Four or sixteen bytes in network order; nil for any other count.
    package init?(bytes: some Collection<UInt8>) {
        switch bytes.count {
        case 4: self.init(v4: bytes.reduce(0) { $0 << 8 | UInt32($1) })
        case 16:
            let high = bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
            self.init(v6: high, bytes.dropFirst(8).reduce(0) { $0 << 8 | UInt64($1) })
        default: return nil
        }
    }

    /// Four or sixteen bytes in network order.
    package var bytes: [UInt8] {
        let low = (0..<8).map { UInt8(truncatingIfNeeded: self.low >> (56 - 8 * $0)) }
        if family == .v4 { return Array(low.suffix(4)) }
        return (0..<8).map { UInt8(truncatingIfNeeded: high >> (56 - 8 * $0)) } + low
    }

    /// Whether the first `length` bits are those of `network`, which is of the same family.
    func hasPrefix(_ network: IPAddress, _ length: Int) -> Bool {
        guard family == network.family else { return false }
        if family == .v4 { return length == 0 || (low ^ network.low) >> UInt64(32 - length) == 0 }
        if length <= 64 { return length == 0 || (high ^ network.high) >> UInt64(64 - length) == 0 }
        return high == network.high && (low ^ network.low) >> UInt64(128 - length) == 0
    }
}

extension IPAddress: CustomStringConvertible {
    /// `192.0.2.1`, or the canonical text of RFC 5952.
    package var description: String {
        if family == .v4 { return bytes.map { String($0) }.joined(separator: ".") }
        let groups = (0..<8).map { index -> UInt16 in
            let half = index < 4 ? high : low
            return UInt16(truncatingIfNeeded: half >> UInt64(48 - 16 * (index % 4)))
        }
        var longest = 0..<0
        var start = 0
        while start < 8 {
            var end = start
            while end < 8, groups[end] == 0 { end += 1 }
            if end - start > max(longest.count, 1) { longest = start..<end }
            start = end + 1
        }
        func text(_ range: Range<Int>) -> String {
            groups[range].map { String($0, radix: 16) }.joined(separator: ":")
        }
        if longest.isEmpty { return text(0..<8) }
        return text(0..<longest.lowerBound) + "::" + text(longest.upperBound..<8)
    }
}
