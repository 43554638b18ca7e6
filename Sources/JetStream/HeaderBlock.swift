import Glibc

/// Reads the header block of a NATS message: `NATS/1.0[ status[ description]]` and lines of `name: value`, each ended by
/// CR LF.
///
/// Nothing here trusts the block: lines without a colon are passed over.
enum HeaderBlock {
    /// The number and the words behind `NATS/1.0`, as status messages have them; nil for an ordinary message.
    static func status(_ block: some RandomAccessCollection<UInt8>) -> (code: Int, text: String)? {
        let line = block.prefix { $0 != 13 && $0 != 10 }
        guard line.starts(with: "NATS/1.0".utf8) else { return nil }
        let rest = line.dropFirst(8).drop { $0 == 32 }
        let digits = rest.prefix { (48...57).contains($0) }
        guard digits.count == 3 else { return nil }
        let code = digits.reduce(0) { $0 * 10 + Int($1 - 48) }
        return (code, String(decoding: rest.dropFirst(3).drop { $0 == 32 }, as: UTF8.self))
    }

    /// The lines after the first, split at the first colon; blanks around a value are left out.
    static func lines(_ block: UnsafeRawBufferPointer) -> [(name: String, value: String)] {
        var result: [(name: String, value: String)] = []
        forEachLine(block) { name, value in
            result.append((String(decoding: name, as: UTF8.self), String(decoding: value, as: UTF8.self)))
            return true
        }
        return result
    }

    static func lines(_ block: [UInt8]) -> [(name: String, value: String)] { block.withUnsafeBytes { lines($0) } }

    /// The first value of a header, compared without regard to ASCII case.
    static func value(of wanted: StaticString, in block: UnsafeRawBufferPointer) -> String? {
        var found: String?
        forEachLine(block) { name, value in
            guard isEqual(name, wanted) else { return true }
            found = String(decoding: value, as: UTF8.self)
            return false
        }
        return found
    }

    static func value(of wanted: StaticString, in block: [UInt8]) -> String? {
        block.withUnsafeBytes { value(of: wanted, in: $0) }
    }

    /// Whether a name is this one, without regard to ASCII case.
    static func isEqual(_ name: UnsafeRawBufferPointer, _ wanted: StaticString) -> Bool {
        guard name.count == wanted.utf8CodeUnitCount else { return false }
        let wanted = UnsafeBufferPointer(start: wanted.utf8Start, count: name.count)
        for index in 0..<name.count where name[index] != wanted[index] {
            guard lowered(name[index]) == lowered(wanted[index]) else { return false }
        }
        return true
    }

    private static func lowered(_ byte: UInt8) -> UInt8 { byte &- 65 < 26 ? byte + 32 : byte }

    /// Calls `body` for every line after the first until it returns false; blanks around a value are left out.
    static func forEachLine(
        _ block: UnsafeRawBufferPointer,
        _ body: (_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Bool
    ) {
        var position = end(ofLine: block, from: 0) + 1
        while position < block.count {
            let next = end(ofLine: block, from: position)
            defer { position = next + 1 }
            let end = next > position && block[next - 1] == 13 ? next - 1 : next
            var colon = position
            while colon < end, block[colon] != UInt8(ascii: ":") { colon += 1 }
            if colon == end { continue }
            var (first, last) = (colon + 1, end)
            while first < last, isBlank(block[first]) { first += 1 }
            while first < last, isBlank(block[last - 1]) { last -= 1 }
            let name = UnsafeRawBufferPointer(rebasing: block[position..<colon])
            guard body(name, UnsafeRawBufferPointer(rebasing: block[first..<last])) else { return }
        }
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 32 || byte == 9 }

    /// Where the line that holds `start` ends: at its LF, or where the block does.
    private static func end(ofLine block: UnsafeRawBufferPointer, from start: Int) -> Int {
        guard start < block.count, let base = block.baseAddress,
            let found = memchr(base + start, 10, block.count - start)
        else { return block.count }
        return UnsafeRawPointer(found) - base
    }
}
