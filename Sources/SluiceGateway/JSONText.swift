import CloudEvents

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

    /// Appends a string with its quotes.
    mutating func appendJSON(string text: String) { JSONWriter.write(text, into: &self) }
}
