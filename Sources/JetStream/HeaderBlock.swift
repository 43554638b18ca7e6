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
    static func lines(_ block: [UInt8]) -> [(name: String, value: String)] {
        var result: [(name: String, value: String)] = []
        forEachLine(block) { name, value in
            result.append((String(decoding: name, as: UTF8.self), String(decoding: value, as: UTF8.self)))
            return true
        }
        return result
    }

    /// The first value of a header, compared without regard to ASCII case.
    static func value(of wanted: StaticString, in block: [UInt8]) -> String? {
        var found: String?
        wanted.withUTF8Buffer { wanted in
            forEachLine(block) { name, value in
                guard name.count == wanted.count, zip(name, wanted).allSatisfy({ lowered($0) == lowered($1) }) else {
                    return true
                }
                found = String(decoding: value, as: UTF8.self)
                return false
            }
        }
        return found
    }

    private static func lowered(_ byte: UInt8) -> UInt8 { (65...90).contains(byte) ? byte + 32 : byte }

    private static func forEachLine(
        _ block: [UInt8],
        _ body: (_ name: ArraySlice<UInt8>, _ value: ArraySlice<UInt8>) -> Bool
    ) {
        var rest = block[...].drop { $0 != 10 }.dropFirst()
        while !rest.isEmpty {
            var line = rest.prefix { $0 != 10 }
            rest = rest[line.endIndex...].dropFirst()
            if line.last == 13 { line = line.dropLast() }
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { continue }
            var value = line[(colon + 1)...].drop { $0 == 32 || $0 == 9 }
            while let last = value.last, last == 32 || last == 9 { value = value.dropLast() }
            guard body(line[..<colon], value) else { return }
        }
    }
}
