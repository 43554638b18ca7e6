/// A small strict JSON reader over bytes that stay where they are; for the server's answers only.
///
/// Every `read` returns nil (or false) when the value is malformed or of another kind; the reader is then of no more use.
/// Nesting is bounded at ``depthMax``.
struct JSONReader {
    private let bytes: UnsafeRawBufferPointer
    private var position = 0
    private var depth = 0
    static let depthMax = 32

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    /// True if nothing but white space is left.
    var isAtEnd: Bool {
        mutating get { peek() == nil }
    }

    /// The next byte that is not white space, not consumed.
    private mutating func peek() -> UInt8? {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x09, 0x0A, 0x0D: position += 1
            case let byte: return byte
            }
        }
        return nil
    }

    private mutating func consume(_ byte: UInt8) -> Bool {
        guard peek() == byte else { return false }
        position += 1
        return true
    }

    private mutating func consume(literal: StaticString) -> Bool {
        let count = literal.utf8CodeUnitCount
        guard peek() != nil, bytes.count - position >= count else { return false }
        let start = literal.utf8Start
        for index in 0..<count where bytes[position + index] != start[index] { return false }
        position += count
        return true
    }

    /// Calls `member` with each name; it must consume the value and return true.
    ///
    /// - Returns: False if anything is malformed.
    mutating func readObject(_ member: (inout JSONReader, String) -> Bool) -> Bool {
        guard depth < Self.depthMax, consume(UInt8(ascii: "{")) else { return false }
        depth += 1
        defer { depth -= 1 }
        if consume(UInt8(ascii: "}")) { return true }
        repeat {
            guard let name = readString(), consume(UInt8(ascii: ":")), member(&self, name) else { return false }
        } while consume(UInt8(ascii: ","))
        return consume(UInt8(ascii: "}"))
    }

    /// Calls `element` before each element; it must consume it and return true.
    ///
    /// - Returns: False if anything is malformed.
    mutating func readArray(_ element: (inout JSONReader) -> Bool) -> Bool {
        guard depth < Self.depthMax, consume(UInt8(ascii: "[")) else { return false }
        depth += 1
        defer { depth -= 1 }
        if consume(UInt8(ascii: "]")) { return true }
        repeat {
            guard element(&self) else { return false }
        } while consume(UInt8(ascii: ","))
        return consume(UInt8(ascii: "]"))
    }

    /// The next string's bytes between the quotes, and whether there are escapes in them.
    private mutating func scanString() -> (content: Range<Int>, escaped: Bool)? {
        guard consume(UInt8(ascii: "\"")) else { return nil }
        let start = position
        var escaped = false
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                position += 1
                return (start..<position - 1, escaped)
            case UInt8(ascii: "\\"):
                escaped = true
                position += 2
            case 0..<0x20:
                return nil
            default:
                position += 1
            }
        }
        return nil
    }

    /// A string, its escapes resolved.
    mutating func readString() -> String? {
        guard let (content, escaped) = scanString() else { return nil }
        let raw = UnsafeRawBufferPointer(rebasing: bytes[content])
        return escaped ? Self.unescaped(raw) : String(validating: raw, as: UTF8.self)
    }

    /// Whether the next string is exactly this one, without making a `String` of it; nil if it is no string.
    mutating func readString(equalTo expected: String) -> Bool? {
        let before = position
        guard let (content, escaped) = scanString() else { return nil }
        if !escaped { return bytes[content].elementsEqual(expected.utf8) }
        position = before
        return readString().map { $0.utf8.elementsEqual(expected.utf8) }
    }

    private static func unescaped(_ raw: UnsafeRawBufferPointer) -> String? {
        var result: [UInt8] = []
        var rest = Array(raw)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\") else {
                result.append(byte)
                continue
            }
            switch rest.popFirst() {
            case UInt8(ascii: "n"): result.append(0x0A)
            case UInt8(ascii: "t"): result.append(0x09)
            case UInt8(ascii: "r"): result.append(0x0D)
            case UInt8(ascii: "b"): result.append(0x08)
            case UInt8(ascii: "f"): result.append(0x0C)
            case UInt8(ascii: "u"):
                guard let scalar = codePoint(&rest) else { return nil }
                result.append(contentsOf: Character(scalar).utf8)
            case let other?
            where other == UInt8(ascii: "\"") || other == UInt8(ascii: "\\") || other == UInt8(ascii: "/"):
                result.append(other)
            default: return nil
            }
        }
        return String(validating: result, as: UTF8.self)
    }

    private static func codePoint(_ rest: inout ArraySlice<UInt8>) -> Unicode.Scalar? {
        guard let high = codeUnit(&rest) else { return nil }
        guard high & 0xFC00 == 0xD800 else { return Unicode.Scalar(high) }
        guard rest.popFirst() == UInt8(ascii: "\\"), rest.popFirst() == UInt8(ascii: "u"), let low = codeUnit(&rest),
            low & 0xFC00 == 0xDC00
        else { return nil }
        return Unicode.Scalar(0x10000 + (high & 0x3FF) << 10 + (low & 0x3FF))
    }

    private static func codeUnit(_ rest: inout ArraySlice<UInt8>) -> UInt32? {
        guard rest.count >= 4 else { return nil }
        defer { rest = rest.dropFirst(4) }
        let digits = rest.prefix(4)
        guard digits.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }) else { return nil }
        return UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
    }

    /// A number without sign, fraction or exponent.
    mutating func readUInt64() -> UInt64? {
        guard let value = readInteger(), !value.negative else { return nil }
        return value.magnitude
    }

    /// A whole number, clamped to the range of `Int64`.
    mutating func readInt64() -> Int64? {
        guard let value = readInteger() else { return nil }
        let magnitude = Int64(clamping: value.magnitude)
        return value.negative ? -magnitude : magnitude
    }

    private mutating func readInteger() -> (negative: Bool, magnitude: UInt64)? {
        let negative = consume(UInt8(ascii: "-"))
        guard let first = peek(), (48...57).contains(first) else { return nil }
        var value: UInt64 = 0
        let start = position
        while position < bytes.count, (48...57).contains(bytes[position]) {
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(UInt64(bytes[position] - 48))
            guard !overflow, !carry else { return nil }
            value = sum
            position += 1
        }
        guard first != 48 || position == start + 1 else { return nil }
        if position < bytes.count, [UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E")].contains(bytes[position]) {
            return nil
        }
        return (negative, value)
    }

    mutating func readBool() -> Bool? {
        if consume(literal: "true") { return true }
        if consume(literal: "false") { return false }
        return nil
    }

    /// True if the next value is null, which is then consumed.
    mutating func readNull() -> Bool { consume(literal: "null") }

    /// Passes over one value of any kind.
    mutating func skipValue() -> Bool {
        switch peek() {
        case UInt8(ascii: "{"): readObject { reader, _ in reader.skipValue() }
        case UInt8(ascii: "["): readArray { reader in reader.skipValue() }
        case UInt8(ascii: "\""): scanString() != nil
        case UInt8(ascii: "t"), UInt8(ascii: "f"): readBool() != nil
        case UInt8(ascii: "n"): readNull()
        default: skipNumber()
        }
    }

    private mutating func skipNumber() -> Bool {
        let start = position
        while position < bytes.count, (48...57).contains(bytes[position]) || "+-.eE".utf8.contains(bytes[position]) {
            position += 1
        }
        return position > start
    }
}
