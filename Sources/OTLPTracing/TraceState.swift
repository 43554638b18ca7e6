/// The `tracestate` header: checked against its grammar, and passed on as it came (W3C Trace Context §3.3).
package enum TraceState {
    /// Most members that a valid header has (§3.3.1.1).
    package static let membersMax = 32
    /// Most bytes that are passed on: what every implementation has to be able to carry (§3.3.1.5).
    package static let bytesMax = 512
    /// Members above this length go first when the whole is too long (§3.3.1.5).
    private static let longMember = 128

    /// The header as it is passed on: without blanks between members, and without empty ones.
    ///
    /// - Returns: nil when it is invalid or empty.
    package static func checked(_ text: String) -> String? {
        var members: [Substring] = []
        for part in text.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: true) {
            let member = trimmed(part)
            if member.isEmpty { continue }
            guard members.count < membersMax, isMember(member) else { return nil }
            members.append(Substring(member))
        }
        guard !members.isEmpty else { return nil }
        let whole = members.joined(separator: ",")
        return whole.utf8.count <= bytesMax ? whole : shortened(members)
    }

    /// Leaves out whole members, the long ones first and then from the end, until the rest fits.
    private static func shortened(_ members: [Substring]) -> String? {
        var kept = members
        var total = kept.reduce(kept.count - 1) { $0 + $1.utf8.count }
        while total > bytesMax, let index = kept.lastIndex(where: { $0.utf8.count > longMember }) ?? kept.indices.last {
            total -= kept.remove(at: index).utf8.count + 1
        }
        return kept.isEmpty ? nil : kept.joined(separator: ",")
    }

    private static func trimmed(_ part: Substring.UTF8View) -> Substring.UTF8View {
        let isBlank: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x09 }
        var rest = part.drop(while: isBlank)
        while let last = rest.last, isBlank(last) { rest = rest.dropLast() }
        return rest
    }

    private static func isMember(_ member: Substring.UTF8View) -> Bool {
        guard let equals = member.firstIndex(of: UInt8(ascii: "=")) else { return false }
        return isKey(member[..<equals]) && isValue(member[member.index(after: equals)...])
    }

    /// `key`, or `tenant@system` (§3.3.1.3.1).
    private static func isKey(_ key: Substring.UTF8View) -> Bool {
        guard let at = key.firstIndex(of: UInt8(ascii: "@")) else {
            return isName(key, startsWithDigit: false, countMax: 256)
        }
        return isName(key[..<at], startsWithDigit: true, countMax: 241)
            && isName(key[key.index(after: at)...], startsWithDigit: false, countMax: 14)
    }

    private static func isName(_ name: Substring.UTF8View, startsWithDigit: Bool, countMax: Int) -> Bool {
        guard let first = name.first, name.count <= countMax else { return false }
        let isGoodStart = isLetter(first) || (startsWithDigit && isDigit(first))
        return isGoodStart && name.allSatisfy { isLetter($0) || isDigit($0) || "_-*/".utf8.contains($0) }
    }

    /// Up to 256 printable characters but `,` and `=`, the last one no blank (§3.3.1.3.2).
    private static func isValue(_ value: Substring.UTF8View) -> Bool {
        guard let last = value.last, last != 0x20, value.count <= 256 else { return false }
        return value.allSatisfy { (0x20...0x7E).contains($0) && $0 != UInt8(ascii: ",") && $0 != UInt8(ascii: "=") }
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) }
    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
}
