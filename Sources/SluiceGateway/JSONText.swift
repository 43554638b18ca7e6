/// Appends JSON (RFC 8259) to bytes: what the answers are made of.
extension [UInt8] {
    /// Appends text that is JSON already.
    mutating func appendJSON(raw text: StaticString) {
        text.withUTF8Buffer { append(contentsOf: $0) }
    }

    /// Appends a non-negative integer.
    mutating func appendJSON(integer value: UInt64) {
        append(contentsOf: String(value).utf8)
    }

    /// Appends a string with its quotes; control characters, quote and backslash are escaped, all else stays UTF-8.
    mutating func appendJSON(string text: String) {
        append(UInt8(ascii: "\""))
        var text = text
        let clean = text.withUTF8 { bytes -> Bool in
            for byte in bytes where byte < 0x20 || byte == 0x22 || byte == 0x5C { return false }
            self.append(contentsOf: bytes)
            return true
        }
        if !clean {
            text.withUTF8 { bytes in
                for byte in bytes { appendEscaped(byte) }
            }
        }
        append(UInt8(ascii: "\""))
    }

    private mutating func appendEscaped(_ byte: UInt8) {
        switch byte {
        case 0x22: appendJSON(raw: "\\\"")
        case 0x5C: appendJSON(raw: "\\\\")
        case 0x0A: appendJSON(raw: "\\n")
        case 0x0D: appendJSON(raw: "\\r")
        case 0x09: appendJSON(raw: "\\t")
        case 0..<0x20:
            let digits: StaticString = "0123456789abcdef"
            appendJSON(raw: "\\u00")
            append(digits.utf8Start[Int(byte >> 4)])
            append(digits.utf8Start[Int(byte & 15)])
        default: append(byte)
        }
    }

    /// Appends `,"name":` (without the comma after an opening brace).
    mutating func appendJSON(member name: StaticString) {
        if last != UInt8(ascii: "{") { append(UInt8(ascii: ",")) }
        append(UInt8(ascii: "\""))
        appendJSON(raw: name)
        append(UInt8(ascii: "\""))
        append(UInt8(ascii: ":"))
    }
}
