extension JSONScanner {
    /// Takes a string whose opening quote has been taken; checks UTF-8 and escapes.
    @inline(__always)
    package mutating func scanString() throws(JSONSyntaxError) -> JSONStringToken {
        let start = position
        position = PlainText.end(base, from: position, to: end, special: UInt8(ascii: "\\"))
        if position < end, base[position] == UInt8(ascii: "\"") {
            position += 1
            return JSONStringToken(
                range: start..<position - 1,
                hasEscapes: false,
                isPlain: true,
                hasLoneSurrogate: false
            )
        }
        return try scanUncommonString(from: start)
    }

    /// Goes on with a string that holds more than printable ASCII.
    @inline(never)
    private mutating func scanUncommonString(from start: Int) throws(JSONSyntaxError) -> JSONStringToken {
        var hasEscapes = false
        var hasLoneSurrogate = false
        while true {
            position = PlainText.end(base, from: position, to: end, special: UInt8(ascii: "\\"))
            guard position < end else { throw JSONSyntaxError(.unexpectedEnd, at: end) }
            switch base[position] {
            case UInt8(ascii: "\""):
                position += 1
                return JSONStringToken(
                    range: start..<position - 1,
                    hasEscapes: hasEscapes,
                    isPlain: false,
                    hasLoneSurrogate: hasLoneSurrogate
                )
            case UInt8(ascii: "\\"):
                hasEscapes = true
                if try scanEscape() { hasLoneSurrogate = true }
            case 0x7F:
                position += 1
            case 0x80...0xFF:
                let length = Self.sequenceLength(base + position, available: end - position)
                guard length > 0 else { throw JSONSyntaxError(.badUTF8, at: position) }
                position += length
            default:
                throw JSONSyntaxError(.controlCharacter, at: position)
            }
        }
    }

    /// Takes one escape sequence, or two that form a surrogate pair; tells whether it is half a pair.
    private mutating func scanEscape() throws(JSONSyntaxError) -> Bool {
        guard position + 1 < end else { throw JSONSyntaxError(.unexpectedEnd, at: end) }
        switch base[position + 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            position += 2
            return false
        case UInt8(ascii: "u"):
            guard let unit = codeUnit(at: position) else { throw JSONSyntaxError(.badEscape, at: position) }
            position += 6
            guard (0xD800...0xDFFF).contains(unit) else { return false }
            guard unit < 0xDC00, let low = codeUnit(at: position), (0xDC00...0xDFFF).contains(low) else { return true }
            position += 6
            return false
        default:
            throw JSONSyntaxError(.badEscape, at: position)
        }
    }

    /// The number of a `\uHHHH` at the index; `nil` if there is none.
    private func codeUnit(at index: Int) -> UInt16? {
        guard index + 6 <= end, base[index] == UInt8(ascii: "\\"), base[index + 1] == UInt8(ascii: "u") else {
            return nil
        }
        var unit: UInt16 = 0
        for offset in 2..<6 {
            guard let digit = base[index + offset].hexValue else { return nil }
            unit = unit << 4 | UInt16(digit)
        }
        return unit
    }

    /// The text a string stands for; `nil` if a lone surrogate makes that impossible.
    package func text(of token: JSONStringToken) -> String? {
        guard token.hasEscapes else { return String(decoding: bytes(token.range), as: UTF8.self) }
        guard !token.hasLoneSurrogate else { return nil }
        return String(unsafeUninitializedCapacity: token.range.count) { output in
            decode(token.range, into: output)
        }
    }

    /// Writes the text of a checked string; it is never longer than its escaped form.
    private func decode(_ range: Range<Int>, into output: UnsafeMutableBufferPointer<UInt8>) -> Int {
        var count = 0
        var index = range.lowerBound
        while index < range.upperBound {
            guard base[index] == UInt8(ascii: "\\") else {
                output[count] = base[index]
                count += 1
                index += 1
                continue
            }
            guard let unit = codeUnit(at: index) else {
                output[count] = Self.unescaped(base[index + 1])
                count += 1
                index += 2
                continue
            }
            index += 6
            var value = UInt32(unit)
            if (0xD800...0xDBFF).contains(unit), let low = codeUnit(at: index) {
                value = 0x10000 + (value - 0xD800) << 10 + (UInt32(low) & 0x3FF)
                index += 6
            }
            for byte in UTF8.encode(Unicode.Scalar(value) ?? "\u{FFFD}") ?? UTF8.encodedReplacementCharacter {
                output[count] = byte
                count += 1
            }
        }
        return count
    }

    private static func unescaped(_ letter: UInt8) -> UInt8 {
        switch letter {
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "f"): 0x0C
        case UInt8(ascii: "n"): 0x0A
        case UInt8(ascii: "r"): 0x0D
        case UInt8(ascii: "t"): 0x09
        default: letter
        }
    }

    /// The length of the well-formed UTF-8 sequence that starts with a byte from 0x80; 0 if there is none.
    ///
    /// Source: The Unicode Standard, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF.
    static func sequenceLength(_ bytes: UnsafePointer<UInt8>, available: Int) -> Int {
        func continues(_ index: Int, _ range: ClosedRange<UInt8> = 0x80...0xBF) -> Bool {
            index < available && range.contains(bytes[index])
        }
        switch bytes[0] {
        case 0xC2...0xDF: return continues(1) ? 2 : 0
        case 0xE0: return continues(1, 0xA0...0xBF) && continues(2) ? 3 : 0
        case 0xED: return continues(1, 0x80...0x9F) && continues(2) ? 3 : 0
        case 0xE1...0xEF: return continues(1) && continues(2) ? 3 : 0
        case 0xF0: return continues(1, 0x90...0xBF) && continues(2) && continues(3) ? 4 : 0
        case 0xF1...0xF3: return continues(1) && continues(2) && continues(3) ? 4 : 0
        case 0xF4: return continues(1, 0x80...0x8F) && continues(2) && continues(3) ? 4 : 0
        default: return 0
        }
    }
}
