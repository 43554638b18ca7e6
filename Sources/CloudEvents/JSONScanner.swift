/// Why a text is not JSON, and at which byte.
package struct JSONSyntaxError: Error, Sendable, Hashable {
    /// What was wrong.
    package enum Reason: String, Sendable {
        case unexpectedEnd = "the text ends too early"
        case unexpectedByte = "unexpected character"
        case unexpectedText = "text after the end of the value"
        case badEscape = "unknown escape sequence in a string"
        case controlCharacter = "control character in a string"
        case badUTF8 = "invalid UTF-8"
        case badNumber = "malformed number"
        case badLiteral = "unknown literal"
        case tooDeep = "nested too deeply"
    }

    package let reason: Reason
    /// Distance from the start of the text, in bytes.
    package let offset: Int

    package init(_ reason: Reason, at offset: Int) {
        self.reason = reason
        self.offset = offset
    }

    /// The error as part of a sentence.
    package var sentence: String { "\(reason.rawValue) at byte \(offset)" }
}

/// What a JSON value is.
package enum JSONKind: Sendable, Hashable {
    case object, array, string, number, boolean, null
}

/// A string as it stands in the text, between its quotes.
package struct JSONStringToken: Sendable, Hashable {
    /// The part between the quotes.
    package let range: Range<Int>
    /// Whether there is an escape sequence, so that the text differs from its bytes.
    package let hasEscapes: Bool
    /// Whether every byte is printable ASCII and stands for itself.
    package let isPlain: Bool
    /// Whether an escape stands for half a surrogate pair: then no Unicode text corresponds to it.
    package let hasLoneSurrogate: Bool
}

/// A number as it stands in the text; nothing is converted or rounded.
package struct JSONNumberToken: Sendable, Hashable {
    package let range: Range<Int>
    /// Whether there is neither fraction nor exponent.
    package let isInteger: Bool
}

/// Reads JSON (RFC 8259, strict) token by token from bytes that somebody else keeps alive.
///
/// It never recurses and never allocates, except to decode a string on request. All positions count from the first byte
/// of the text. Using it outside the closure that lends the bytes is undefined.
package struct JSONScanner {
    /// Deepest nesting that can be followed: one bit of a word per level.
    package static let depthMax = 64

    let base: UnsafePointer<UInt8>
    package let end: Int
    /// The next byte to read.
    package var position = 0

    /// A scanner at the start of the bytes.
    package init(_ bytes: UnsafeBufferPointer<UInt8>) {
        base = bytes.baseAddress ?? Self.nothing.utf8Start
        end = bytes.count
    }

    /// Stands in for the address of an empty buffer; never read from.
    private static let nothing: StaticString = ""

    /// The bytes of a part of the text.
    @inline(__always)
    func bytes(_ range: Range<Int>) -> Bytes {
        Bytes(start: base + range.lowerBound, count: range.count)
    }

    /// Moves to the next byte that is not white space.
    @inline(__always)
    package mutating func skipWhitespace() {
        while position < end, Self.isWhitespace(base[position]) { position += 1 }
    }

    /// Whether it is insignificant between tokens (RFC 8259 §2).
    @inline(__always)
    package static func isWhitespace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
    }

    /// Skips white space and shows the next byte without taking it.
    @inline(__always)
    package mutating func peek() throws(JSONSyntaxError) -> UInt8 {
        skipWhitespace()
        guard position < end else { throw JSONSyntaxError(.unexpectedEnd, at: end) }
        return base[position]
    }

    /// Skips white space and takes the given byte.
    @inline(__always)
    package mutating func expect(_ byte: UInt8) throws(JSONSyntaxError) {
        guard try peek() == byte else { throw JSONSyntaxError(.unexpectedByte, at: position) }
        position += 1
    }

    /// Skips white space and takes the given byte if it is the next.
    @inline(__always)
    package mutating func take(_ byte: UInt8) throws(JSONSyntaxError) -> Bool {
        guard try peek() == byte else { return false }
        position += 1
        return true
    }

    /// Checks that nothing but white space is left.
    package mutating func expectEnd() throws(JSONSyntaxError) {
        skipWhitespace()
        guard position == end else { throw JSONSyntaxError(.unexpectedText, at: position) }
    }

    /// Takes `"name":` and leaves the position before the value.
    @inline(__always)
    package mutating func scanName() throws(JSONSyntaxError) -> JSONStringToken {
        try expect(UInt8(ascii: "\""))
        let name = try scanString()
        try expect(UInt8(ascii: ":"))
        return name
    }

    /// Takes one of the words `true`, `false`, `null`.
    package mutating func scanLiteral() throws(JSONSyntaxError) -> JSONKind {
        let start = position
        switch base[position] {
        case UInt8(ascii: "t"): if takeWord("true") { return .boolean }
        case UInt8(ascii: "f"): if takeWord("false") { return .boolean }
        case UInt8(ascii: "n"): if takeWord("null") { return .null }
        default: throw JSONSyntaxError(.unexpectedByte, at: start)
        }
        throw JSONSyntaxError(.badLiteral, at: start)
    }

    private mutating func takeWord(_ word: StaticString) -> Bool {
        let length = word.utf8CodeUnitCount
        guard end - position >= length else { return false }
        for index in 0..<length where base[position + index] != word.utf8Start[index] { return false }
        position += length
        return true
    }

    /// Takes a number: `-`, digits without leading zero, fraction, exponent.
    package mutating func scanNumber() throws(JSONSyntaxError) -> JSONNumberToken {
        let start = position
        var isInteger = true
        if base[position] == UInt8(ascii: "-") { position += 1 }
        if position < end, base[position] == UInt8(ascii: "0") {
            position += 1
        } else {
            try scanDigits()
        }
        if position < end, base[position] == UInt8(ascii: ".") {
            isInteger = false
            position += 1
            try scanDigits()
        }
        if position < end, base[position] | 0x20 == UInt8(ascii: "e") {
            isInteger = false
            position += 1
            if position < end, base[position] == UInt8(ascii: "+") || base[position] == UInt8(ascii: "-") {
                position += 1
            }
            try scanDigits()
        }
        return JSONNumberToken(range: start..<position, isInteger: isInteger)
    }

    private mutating func scanDigits() throws(JSONSyntaxError) {
        let start = position
        while position < end, base[position].isDigit { position += 1 }
        guard position > start else {
            throw JSONSyntaxError(position < end ? .badNumber : .unexpectedEnd, at: position)
        }
    }

    /// Takes a whole value of any kind, checking all of its syntax.
    ///
    /// - Parameter depthMax: How many objects and arrays may lie within one another, up to ``JSONScanner/depthMax``.
    @discardableResult
    package mutating func skipValue(depthMax: Int = JSONScanner.depthMax) throws(JSONSyntaxError) -> JSONKind {
        let kind = try skipScalarOrOpen()
        guard kind == .object || kind == .array else { return kind }
        try skipContainer(isObject: kind == .object, depthMax: min(depthMax, Self.depthMax))
        return kind
    }

    /// Takes a scalar value, or the opening bracket of an object or array.
    @inline(__always)
    private mutating func skipScalarOrOpen() throws(JSONSyntaxError) -> JSONKind {
        switch try peek() {
        case UInt8(ascii: "\""):
            position += 1
            _ = try scanString()
            return .string
        case UInt8(ascii: "{"):
            position += 1
            return .object
        case UInt8(ascii: "["):
            position += 1
            return .array
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            _ = try scanNumber()
            return .number
        default:
            return try scanLiteral()
        }
    }

    /// Takes the rest of an object or array; the kinds of the levels around are the bits of a word.
    private mutating func skipContainer(isObject: Bool, depthMax: Int) throws(JSONSyntaxError) {
        guard depthMax >= 1 else { throw JSONSyntaxError(.tooDeep, at: position - 1) }
        var objects: UInt64 = isObject ? 1 : 0
        var depth = 1
        var isFresh = true
        while depth > 0 {
            let isObject = objects & 1 == 1
            let next = try peek()
            if next == (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) {
                position += 1
                depth -= 1
                objects >>= 1
                isFresh = false
                continue
            }
            if !isFresh { try expect(UInt8(ascii: ",")) }
            if isObject { _ = try scanName() }
            isFresh = false
            let kind = try skipScalarOrOpen()
            guard kind == .object || kind == .array else { continue }
            guard depth < depthMax else { throw JSONSyntaxError(.tooDeep, at: position - 1) }
            depth += 1
            objects = objects << 1 | (kind == .object ? 1 : 0)
            isFresh = true
        }
    }
}
