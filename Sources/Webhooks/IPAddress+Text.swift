/// Reading addresses in every spelling that a resolver somewhere accepts.
extension IPAddress {
    /// Reads an address as it is written in a configuration: four decimal numbers, or IPv6 without brackets and zone.
    package init?(strict text: some StringProtocol) {
        if text.utf8.contains(UInt8(ascii: ":")) {
            self.init(v6Text: Array(text.utf8))
            return
        }
        guard let number = Self.dotted(Array(text.utf8)) else { return nil }
        self.init(v4: number)
    }

    /// Four decimal numbers without leading zeros.
    private static func dotted(_ text: [UInt8]) -> UInt32? {
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var number: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.count), part.count == 1 || part.first != UInt8(ascii: "0"),
                let value = digits(part, radix: 10), value <= 255
            else { return nil }
            number = number << 8 | UInt32(value)
        }
        return number
    }

    /// What a host of a URL is that ends in a number (WHATWG URL, "ends in a number checker" and "IPv4 parser"): octal,
    /// hexadecimal and decimal numbers, one to four of them.
    ///
    /// - Returns: nil if it does not end in a number, so that it is a name; `.some(nil)` if it does and is no address.
    static func numericHost(_ text: some StringProtocol) -> IPAddress?? {
        var parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).map {
            Array($0)[...]
        }
        if parts.count > 1, parts.last?.isEmpty == true { parts.removeLast() }
        guard let last = parts.last, isNumber(last) else { return nil }
        guard parts.count <= 4 else { return .some(nil) }
        var number: UInt64 = 0
        for (index, part) in parts.enumerated() {
            guard let value = looseNumber(part) else { return .some(nil) }
            let isLast = index == parts.count - 1
            let bits = isLast ? UInt64(32 - 8 * index) : 8
            guard value >> bits == 0 else { return .some(nil) }
            number = number << bits | value
        }
        return .some(IPAddress(v4: UInt32(truncatingIfNeeded: number)))
    }

    /// All digits, or `0x` and hexadecimal digits.
    private static func isNumber(_ part: ArraySlice<UInt8>) -> Bool {
        guard !part.isEmpty else { return false }
        if part.allSatisfy({ (0x30...0x39).contains($0) }) { return true }
        let isPrefixed =
            part.count >= 2 && part[part.startIndex] == UInt8(ascii: "0")
            && part[part.startIndex + 1] | 0x20 == UInt8(ascii: "x")
        return isPrefixed && part.dropFirst(2).allSatisfy { digits([$0], radix: 16) != nil }
    }

    private static func looseNumber(_ part: ArraySlice<UInt8>) -> UInt64? {
        guard part.first == UInt8(ascii: "0"), part.count > 1 else { return digits(part, radix: 10) }
        let rest = part.dropFirst()
        if rest.first.map({ $0 | 0x20 }) == UInt8(ascii: "x") {
            return rest.count == 1 ? 0 : digits(rest.dropFirst(), radix: 16)
        }
        return digits(rest, radix: 8)
    }

    /// A number of any length up to `UInt32.max`; nil if it is longer or no number.
    private static func digits(_ text: ArraySlice<UInt8>, radix: UInt64) -> UInt64? {
        guard !text.isEmpty else { return nil }
        var value: UInt64 = 0
        for byte in text {
            let digit: UInt64
            switch byte {
            case 0x30...0x39: digit = UInt64(byte - 0x30)
            case 0x41...0x46: digit = UInt64(byte - 0x37)
            case 0x61...0x66: digit = UInt64(byte - 0x57)
            default: return nil
            }
            guard digit < radix else { return nil }
            value = value * radix + digit
            guard value <= UInt64(UInt32.max) else { return nil }
        }
        return value
    }

    /// The text forms of RFC 4291 §2.2, also with an IPv4 tail; no zone.
    init?(v6Text text: [UInt8]) {
        var head: [UInt16] = []
        var tail: [UInt16] = []
        var hasGap = false
        var rest = text[...]
        if rest.starts(with: "::".utf8) {
            hasGap = true
            rest = rest.dropFirst(2)
        }
        while !rest.isEmpty {
            let part = rest.prefix { $0 != UInt8(ascii: ":") }
            var groups: [UInt16] = []
            if part.count == rest.count, part.contains(UInt8(ascii: ".")) {
                guard let number = Self.dotted(Array(part)) else { return nil }
                groups = [UInt16(number >> 16), UInt16(truncatingIfNeeded: number)]
            } else {
                guard part.count <= 4, let value = Self.digits(part, radix: 16) else { return nil }
                groups = [UInt16(value)]
            }
            if hasGap { tail += groups } else { head += groups }
            guard head.count + tail.count <= 8 else { return nil }
            rest = rest.dropFirst(part.count)
            guard !rest.isEmpty else { break }
            rest = rest.dropFirst()
            if rest.first == UInt8(ascii: ":") {
                guard !hasGap else { return nil }
                hasGap = true
                rest = rest.dropFirst()
            } else if rest.isEmpty {
                return nil
            }
        }
        let missing = 8 - head.count - tail.count
        guard hasGap ? missing >= 1 : missing == 0 else { return nil }
        let groups = head + Array(repeating: 0, count: missing) + tail
        let high = groups[..<4].reduce(0) { $0 << 16 | UInt64($1) }
        self.init(v6: high, groups[4...].reduce(0) { $0 << 16 | UInt64($1) })
    }
}
