/// The grammar of RFC 3986 appendix A, in one pass over the bytes and without building anything.
enum URIReference {
    /// Tells whether the bytes are a URI-reference (section 4.1); the empty reference is one.
    static func isReference(_ text: Bytes) -> Bool {
        if let colon = schemeEnd(text) { return isHierarchy(text, from: colon + 1, allowFragment: true) }
        return !firstSegmentHasColon(text) && isHierarchy(text, from: 0, allowFragment: true)
    }

    /// Tells whether the bytes are an absolute-URI (section 4.3): a scheme, and no fragment.
    static func isAbsolute(_ text: Bytes) -> Bool {
        guard let colon = schemeEnd(text) else { return false }
        return isHierarchy(text, from: colon + 1, allowFragment: false)
    }

    private static let unreserved = ASCIISet.letters.union(.digits).union(ASCIISet("-._~"))
    private static let subDelimiters = ASCIISet("!$&'()*+,;=")
    private static let schemeTail = ASCIISet.letters.union(.digits).union(ASCIISet("+-."))
    private static let registeredName = unreserved.union(subDelimiters)
    private static let userInformation = registeredName.union(ASCIISet(":"))
    private static let path = userInformation.union(ASCIISet("@/"))
    private static let query = path.union(ASCIISet("?"))

    /// The index of the colon after a scheme, if the text starts with a scheme.
    private static func schemeEnd(_ text: Bytes) -> Int? {
        guard let first = text.first, ASCIISet.letters.contains(first) else { return nil }
        let tail = schemeTail
        var index = 1
        while index < text.count, tail.contains(text[index]) { index += 1 }
        return index < text.count && text[index] == UInt8(ascii: ":") ? index : nil
    }

    /// A relative reference may not have a colon in its first segment (`path-noscheme`).
    private static func firstSegmentHasColon(_ text: Bytes) -> Bool {
        for byte in text {
            switch byte {
            case UInt8(ascii: ":"): return true
            case UInt8(ascii: "/"), UInt8(ascii: "?"), UInt8(ascii: "#"): return false
            default: continue
            }
        }
        return false
    }

    /// `hier-part` or `relative-part` with query and fragment, up to the end of the text.
    private static func isHierarchy(_ text: Bytes, from start: Int, allowFragment: Bool) -> Bool {
        var index = start
        if index + 1 < text.count, text[index] == UInt8(ascii: "/"), text[index + 1] == UInt8(ascii: "/") {
            let end = authorityEnd(text, from: index + 2)
            guard isAuthority(text.part(index + 2..<end)) else { return false }
            index = end
        }
        guard let pathEnd = skip(path, text, from: index) else { return false }
        index = pathEnd
        if index < text.count, text[index] == UInt8(ascii: "?") {
            guard let queryEnd = skip(query, text, from: index + 1) else { return false }
            index = queryEnd
        }
        if index < text.count, allowFragment, text[index] == UInt8(ascii: "#") {
            guard let fragmentEnd = skip(query, text, from: index + 1) else { return false }
            index = fragmentEnd
        }
        return index == text.count
    }

    private static func authorityEnd(_ text: Bytes, from start: Int) -> Int {
        var index = start
        while index < text.count, text[index] != 0x2F, text[index] != 0x3F, text[index] != 0x23 { index += 1 }
        return index
    }

    /// The index after the longest run of set members and percent-encoded bytes; `nil` at a broken percent-encoding.
    @inline(__always)
    private static func skip(_ set: ASCIISet, _ text: Bytes, from start: Int) -> Int? {
        var index = start
        while index < text.count {
            let byte = text[index]
            if set.contains(byte) {
                index += 1
            } else if byte == UInt8(ascii: "%") {
                guard index + 2 < text.count, text[index + 1].hexValue != nil, text[index + 2].hexValue != nil else {
                    return nil
                }
                index += 3
            } else {
                return index
            }
        }
        return index
    }

    /// `[ userinfo "@" ] host [ ":" port ]`.
    private static func isAuthority(_ text: Bytes) -> Bool {
        var host = text
        if let at = text.firstIndex(of: UInt8(ascii: "@")) {
            guard skip(userInformation, text.part(0..<at), from: 0) == at else { return false }
            host = text.part(at + 1..<text.count)
        }
        if host.first == UInt8(ascii: "[") {
            guard let close = host.firstIndex(of: UInt8(ascii: "]")) else { return false }
            return isLiteral(host.part(1..<close)) && isPort(host.part(close + 1..<host.count))
        }
        guard let end = skip(registeredName, host, from: 0) else { return false }
        return isPort(host.part(end..<host.count))
    }

    /// Nothing, or a colon with any number of digits.
    private static func isPort(_ text: Bytes) -> Bool {
        text.isEmpty || (text[0] == UInt8(ascii: ":") && text.dropFirst().allSatisfy { $0.isDigit })
    }

    /// `IPv6address / IPvFuture`, what stands between the brackets.
    private static func isLiteral(_ text: Bytes) -> Bool {
        guard text.first?.lowercased == UInt8(ascii: "v") else { return isIPv6(text) }
        guard let dot = text.firstIndex(of: UInt8(ascii: ".")), dot > 1, dot + 1 < text.count else { return false }
        let tail = userInformation
        return text.part(1..<dot).allSatisfy { $0.hexValue != nil }
            && text.part(dot + 1..<text.count).allSatisfy { tail.contains($0) }
    }

    /// Eight groups of up to four hex digits; one `::` stands for one group of zeros or more; IPv4 may be the last two.
    private static func isIPv6(_ text: Bytes) -> Bool {
        var groups = 0
        var isShortened = false
        var index = 0
        if text.count >= 2, text[0] == 0x3A, text[1] == 0x3A {
            isShortened = true
            index = 2
        }
        while index < text.count {
            let start = index
            while index < text.count, text[index].hexValue != nil { index += 1 }
            if index < text.count, text[index] == UInt8(ascii: ".") {
                guard isIPv4(text.part(start..<text.count)) else { return false }
                groups += 2
                break
            }
            guard (1...4).contains(index - start) else { return false }
            groups += 1
            if index == text.count { break }
            guard text[index] == UInt8(ascii: ":"), index + 1 < text.count else { return false }
            index += 1
            if text[index] == UInt8(ascii: ":") {
                guard !isShortened else { return false }
                isShortened = true
                index += 1
            }
        }
        return isShortened ? groups <= 7 : groups == 8
    }

    /// Four decimal octets without leading zeros.
    private static func isIPv4(_ text: Bytes) -> Bool {
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return parts.count == 4
            && parts.allSatisfy { part in
                guard (1...3).contains(part.count), part.allSatisfy({ $0.isDigit }) else { return false }
                if part.count > 1, part.first == UInt8(ascii: "0") { return false }
                return part.reduce(0) { $0 * 10 + Int($1 - 0x30) } <= 255
            }
    }
}
