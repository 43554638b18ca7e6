/// A JSON value whose numbers are exact decimals of any size, to compare texts by meaning without rounding.
///
/// A plain recursive reader for small, valid texts; it shares no code with the library under test.
indirect enum ExactJSON: Equatable {
    case null
    case boolean(Bool)
    case number(isNegative: Bool, digits: [UInt8], exponent: Int)
    /// UTF-16 code units, so that lone surrogates can be held.
    case string([UInt16])
    case array([ExactJSON])
    case object([Member])

    struct Member: Equatable {
        let name: [UInt16]
        let value: ExactJSON
    }

    init?(_ text: some Sequence<UInt8>) {
        var reader = Reader(text: Array(text))
        guard let value = reader.value(), reader.isAtEnd else { return nil }
        self = value
    }

    private struct Reader {
        let text: [UInt8]
        var index = 0

        var isAtEnd: Bool {
            mutating get {
                skip()
                return index == text.count
            }
        }

        mutating func skip() {
            while index < text.count, [0x20, 0x0A, 0x0D, 0x09].contains(text[index]) { index += 1 }
        }

        mutating func take(_ byte: Character) -> Bool {
            skip()
            guard index < text.count, text[index] == byte.asciiValue else { return false }
            index += 1
            return true
        }

        mutating func word(_ word: String) -> Bool {
            guard text[index...].starts(with: word.utf8) else { return false }
            index += word.utf8.count
            return true
        }

        mutating func value() -> ExactJSON? {
            skip()
            if word("null") { return .null }
            if word("true") { return .boolean(true) }
            if word("false") { return .boolean(false) }
            if take("[") { return array() }
            if take("{") { return object() }
            if take("\"") { return string().map { .string($0) } }
            return number()
        }

        mutating func array() -> ExactJSON? {
            var items: [ExactJSON] = []
            if take("]") { return .array(items) }
            while true {
                guard let item = value() else { return nil }
                items.append(item)
                if take("]") { return .array(items) }
                guard take(",") else { return nil }
            }
        }

        mutating func object() -> ExactJSON? {
            var members: [Member] = []
            if take("}") { return .object(members) }
            while true {
                guard take("\""), let name = string(), take(":"), let value = value() else { return nil }
                members.append(Member(name: name, value: value))
                if take("}") { break }
                guard take(",") else { return nil }
            }
            return .object(members.sorted { $0.name.lexicographicallyPrecedes($1.name) })
        }

        mutating func string() -> [UInt16]? {
            var units: [UInt16] = []
            var run: [UInt8] = []
            func flush() {
                units += Array(String(decoding: run, as: UTF8.self).utf16)
                run = []
            }
            while index < text.count {
                let byte = text[index]
                index += 1
                if byte == 0x22 {
                    flush()
                    return units
                }
                guard byte == 0x5C else {
                    run.append(byte)
                    continue
                }
                flush()
                guard index < text.count else { return nil }
                let letter = Character(Unicode.Scalar(text[index]))
                index += 1
                let simple: [Character: UInt16] = ["b": 8, "t": 9, "n": 10, "f": 12, "r": 13]
                if letter == "u" {
                    guard index + 4 <= text.count,
                        let unit = UInt16(String(decoding: text[index..<index + 4], as: UTF8.self), radix: 16)
                    else { return nil }
                    units.append(unit)
                    index += 4
                } else {
                    units.append(simple[letter] ?? letter.utf16.first ?? 0)
                }
            }
            return nil
        }

        mutating func number() -> ExactJSON? {
            let start = index
            while index < text.count, "+-.eE0123456789".utf8.contains(text[index]) { index += 1 }
            let lexeme = String(decoding: text[start..<index], as: UTF8.self).lowercased()
            let halves = lexeme.split(separator: "e", omittingEmptySubsequences: false)
            guard let mantissa = halves.first, !mantissa.isEmpty else { return nil }
            let unsigned = mantissa.drop { $0 == "-" }
            let parts = unsigned.split(separator: ".", omittingEmptySubsequences: false)
            var digits = parts.joined().utf8.map { $0 - 0x30 }
            var exponent = halves.count == 2 ? Int(halves[1]) ?? 0 : 0
            exponent -= parts.count == 2 ? parts[1].count : 0
            while digits.last == 0 {
                digits.removeLast()
                exponent += 1
            }
            digits = Array(digits.drop { $0 == 0 })
            return .number(
                isNegative: mantissa.first == "-" && !digits.isEmpty,
                digits: digits,
                exponent: digits.isEmpty ? 0 : exponent
            )
        }
    }
}
