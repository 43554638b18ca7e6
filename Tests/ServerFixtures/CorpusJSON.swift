/// A JSON value as it stands on the wire: number lexemes, duplicate members and their order are kept.
///
/// Deliberately a second reader, written apart from the one that is tested: what was stored is judged by this one.
package enum WireJSON: Sendable {
    case null
    case bool(Bool)
    case number(lexeme: String)
    case string(String)
    case array([WireJSON])
    case object([(name: String, value: WireJSON)])

    /// - Throws: ``WireJSONError`` unless the bytes are exactly one RFC 8259 value.
    package init(parsing bytes: [UInt8]) throws(WireJSONError) {
        var reader = WireJSONReader(bytes: bytes)
        self = try reader.document()
    }

    /// Where the value of a top-level member stands in a text, with and without the white space around it.
    ///
    /// - Returns: `nil` when there is no such member, or the text is not an object.
    package static func span(
        ofMember name: String,
        in bytes: [UInt8]
    ) -> (padded: Range<Int>, trimmed: Range<Int>)? {
        var reader = WireJSONReader(bytes: bytes)
        return try? reader.span(ofMember: name)
    }

    /// The first member of this name; `.null` where there is none.
    package subscript(name: String) -> WireJSON {
        member(name) ?? .null
    }

    package subscript(index: Int) -> WireJSON {
        guard case .array(let items) = self, items.indices.contains(index) else { return .null }
        return items[index]
    }

    /// The first member of this name; names are compared byte by byte.
    package func member(_ name: String) -> WireJSON? {
        members.first { Array($0.name.utf8) == Array(name.utf8) }?.value
    }

    package var members: [(name: String, value: WireJSON)] {
        if case .object(let members) = self { members } else { [] }
    }

    package var items: [WireJSON] {
        if case .array(let items) = self { items } else { [] }
    }

    package var string: String? {
        if case .string(let text) = self { text } else { nil }
    }

    package var int: Int? {
        if case .number(let lexeme) = self { Int(lexeme) } else { nil }
    }

    package var bool: Bool? {
        if case .bool(let flag) = self { flag } else { nil }
    }

    package var isNull: Bool {
        if case .null = self { true } else { false }
    }

    /// The value as JSON text without white space, members in their order.
    package var text: String {
        switch self {
        case .null: "null"
        case .bool(let flag): flag ? "true" : "false"
        case .number(let lexeme): lexeme
        case .string(let text): Self.quoted(text)
        case .array(let items): "[\(items.map(\.text).joined(separator: ","))]"
        case .object(let members):
            "{\(members.map { "\(Self.quoted($0.name)):\($0.value.text)" }.joined(separator: ","))}"
        }
    }

    /// A text as a JSON string.
    package static func quoted(_ text: String) -> String {
        let escaped = text.unicodeScalars.map { scalar in
            switch scalar {
            case "\"", "\\": "\\\(scalar)"
            case "\u{0}"..."\u{F}": "\\u000" + String(scalar.value, radix: 16)
            case "\u{10}"..."\u{1F}": "\\u00" + String(scalar.value, radix: 16)
            default: String(Character(scalar))
            }
        }
        return "\"\(escaped.joined())\""
    }

    /// The same JSON value: objects without regard to order, numbers as exact decimals, strings byte by byte.
    package func isSameValue(as other: WireJSON) -> Bool {
        switch (self, other) {
        case (.null, .null): true
        case (.bool(let left), .bool(let right)): left == right
        case (.string(let left), .string(let right)): Array(left.utf8) == Array(right.utf8)
        case (.number(let left), .number(let right)): ExactDecimal(left) == ExactDecimal(right)
        case (.array(let left), .array(let right)):
            left.count == right.count && zip(left, right).allSatisfy { $0.isSameValue(as: $1) }
        case (.object(let left), .object(let right)):
            left.count == right.count
                && left.allSatisfy { member in other.member(member.name)?.isSameValue(as: member.value) ?? false }
        default: false
        }
    }
}

/// Why bytes are not JSON.
package struct WireJSONError: Error {
    package let offset: Int
}

/// A JSON number as sign, digits without zeros at either end, and the power of ten of the last digit.
struct ExactDecimal: Equatable {
    var negative = false
    var digits: [UInt8] = []
    var exponent = 0

    init(_ lexeme: String) {
        let parts = lexeme.lowercased().split(separator: "e", maxSplits: 1)
        var mantissa = parts.first.map(String.init) ?? "0"
        if parts.count == 2 { exponent = Int(parts[1].drop { $0 == "+" }) ?? Int.max / 2 }
        if mantissa.hasPrefix("-") {
            negative = true
            mantissa.removeFirst()
        }
        if let point = mantissa.firstIndex(of: ".") {
            exponent -= mantissa.distance(from: point, to: mantissa.endIndex) - 1
            mantissa.remove(at: point)
        }
        digits = Array(Array(mantissa.utf8).drop { $0 == 48 })
        while digits.last == 48 {
            digits.removeLast()
            exponent += 1
        }
        if digits.isEmpty { (negative, exponent) = (false, 0) }
    }
}

private struct WireJSONReader {
    let bytes: [UInt8]
    var position = 0
    private static let depthMax = 400

    init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    mutating func document() throws(WireJSONError) -> WireJSON {
        let value = try value(depth: 0)
        skipSpace()
        guard position == bytes.count else { throw WireJSONError(offset: position) }
        return value
    }

    private mutating func value(depth: Int) throws(WireJSONError) -> WireJSON {
        guard depth < Self.depthMax else { throw WireJSONError(offset: position) }
        skipSpace()
        switch peek {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try literal("true", .bool(true))
        case UInt8(ascii: "f"): return try literal("false", .bool(false))
        case UInt8(ascii: "n"): return try literal("null", .null)
        default: return try number()
        }
    }

    private mutating func object(depth: Int) throws(WireJSONError) -> WireJSON {
        var members: [(name: String, value: WireJSON)] = []
        position += 1
        skipSpace()
        if take("}") { return .object([]) }
        repeat {
            skipSpace()
            let name = try string()
            skipSpace()
            guard take(":") else { throw WireJSONError(offset: position) }
            members.append((name, try value(depth: depth + 1)))
            skipSpace()
        } while take(",")
        guard take("}") else { throw WireJSONError(offset: position) }
        return .object(members)
    }

    mutating func span(ofMember wanted: String) throws(WireJSONError) -> (padded: Range<Int>, trimmed: Range<Int>)? {
        skipSpace()
        guard take("{") else { return nil }
        repeat {
            skipSpace()
            let name = try string()
            skipSpace()
            guard take(":") else { throw WireJSONError(offset: position) }
            let paddedStart = position
            skipSpace()
            let start = position
            _ = try value(depth: 1)
            let end = position
            skipSpace()
            if Array(name.utf8) == Array(wanted.utf8) { return (paddedStart..<position, start..<end) }
        } while take(",")
        return nil
    }

    private mutating func array(depth: Int) throws(WireJSONError) -> WireJSON {
        var items: [WireJSON] = []
        position += 1
        skipSpace()
        if take("]") { return .array([]) }
        repeat {
            items.append(try value(depth: depth + 1))
            skipSpace()
        } while take(",")
        guard take("]") else { throw WireJSONError(offset: position) }
        return .array(items)
    }

    private mutating func number() throws(WireJSONError) -> WireJSON {
        let start = position
        _ = take("-")
        if !take("0") { guard takeDigits() > 0 else { throw WireJSONError(offset: position) } }
        if take(".") { guard takeDigits() > 0 else { throw WireJSONError(offset: position) } }
        if take("e") || take("E") {
            _ = take("+") || take("-")
            guard takeDigits() > 0 else { throw WireJSONError(offset: position) }
        }
        return .number(lexeme: String(decoding: bytes[start..<position], as: UTF8.self))
    }

    private mutating func string() throws(WireJSONError) -> String {
        guard take("\"") else { throw WireJSONError(offset: position) }
        var text: [UInt8] = []
        while let byte = peek {
            position += 1
            if byte == UInt8(ascii: "\"") {
                guard let result = String(validating: text, as: UTF8.self) else { break }
                return result
            }
            guard byte >= 0x20 else { break }
            if byte == UInt8(ascii: "\\") {
                text += Array(String(Character(try escape())).utf8)
            } else {
                text.append(byte)
            }
        }
        throw WireJSONError(offset: position)
    }

    private mutating func escape() throws(WireJSONError) -> Unicode.Scalar {
        let simple: [UInt8: Unicode.Scalar] = [
            0x22: "\"", 0x5C: "\\", 0x2F: "/", 0x62: "\u{8}", 0x66: "\u{C}", 0x6E: "\n", 0x72: "\r", 0x74: "\t",
        ]
        guard let kind = peek else { throw WireJSONError(offset: position) }
        position += 1
        if let scalar = simple[kind] { return scalar }
        guard kind == UInt8(ascii: "u") else { throw WireJSONError(offset: position) }
        let code = try hexUnit()
        let afterFirst = position
        if (0xD800..<0xDC00).contains(code), take("\\"), take("u") {
            let low = try hexUnit()
            if (0xDC00..<0xE000).contains(low),
                let scalar = Unicode.Scalar(0x10000 + (code - 0xD800) << 10 + (low - 0xDC00))
            {
                return scalar
            }
            position = afterFirst
        }
        // RFC 8259 §8.2 lets half a pair stand in a text; there is no character for it.
        return Unicode.Scalar(code) ?? "\u{FFFD}"
    }

    private mutating func hexUnit() throws(WireJSONError) -> UInt32 {
        let end = position + 4
        guard end <= bytes.count,
            let unit = UInt32(String(decoding: bytes[position..<end], as: UTF8.self), radix: 16),
            bytes[position] != UInt8(ascii: "+")
        else { throw WireJSONError(offset: position) }
        position = end
        return unit
    }

    private mutating func literal(_ text: String, _ value: WireJSON) throws(WireJSONError) -> WireJSON {
        guard bytes[position...].starts(with: text.utf8) else { throw WireJSONError(offset: position) }
        position += text.utf8.count
        return value
    }

    private mutating func takeDigits() -> Int {
        let start = position
        while let byte = peek, (48...57).contains(byte) { position += 1 }
        return position - start
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard let byte = peek, UInt32(byte) == character.value else { return false }
        position += 1
        return true
    }

    private mutating func skipSpace() {
        while let byte = peek, [9, 10, 13, 32].contains(byte) { position += 1 }
    }

    private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }
}
