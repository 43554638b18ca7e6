/// What the content type of an event says about its data.
///
/// Source: RFC 2046 with the grammar of RFC 2045 section 5.1; JSON-11 for what counts as JSON.
package struct MediaType: Sendable, Hashable {
    /// Whether the type is `*/json` or `*/*+json`, parameters aside (JSON-11).
    package let isJSON: Bool
    /// Whether a `charset` parameter names anything but UTF-8 or US-ASCII.
    package let hasForeignCharset: Bool

    /// Reads a media type with its parameters; `nil` if the text breaks the grammar.
    package init?(_ text: String) {
        var copy = text
        let result: MediaType? = copy.withUTF8 { bytes in
            if bytes.equalsIgnoringCase("application/json") {
                return MediaType(isJSON: true, hasForeignCharset: false)
            }
            var reader = MediaTypeReader(text: bytes)
            return reader.read()
        }
        guard let result else { return nil }
        self = result
    }

    init(isJSON: Bool, hasForeignCharset: Bool) {
        self.isJSON = isJSON
        self.hasForeignCharset = hasForeignCharset
    }

    /// What an absent content type stands for when the data is JSON (JSON-13).
    static let implied = "application/json"
}

/// One pass over a media type.
private struct MediaTypeReader {
    let text: Bytes
    var index = 0

    init(text: Bytes) { self.text = text }

    /// RFC 2045 token characters: ASCII without space, controls and tspecials.
    static let token = ASCIISet.letters.union(.digits).union(ASCIISet("!#$%&'*+-.^_`{|}~"))

    mutating func read() -> MediaType? {
        guard !token().isEmpty, take(UInt8(ascii: "/")) else { return nil }
        let subtype = token()
        guard !subtype.isEmpty else { return nil }
        var foreign = false
        while index < text.count {
            skipSpace()
            guard take(UInt8(ascii: ";")) else { return nil }
            skipSpace()
            let name = token()
            guard !name.isEmpty, take(UInt8(ascii: "=")), let value = value() else { return nil }
            if name.equalsIgnoringCase("charset") {
                foreign = !value.equalsIgnoringCase("utf-8") && !value.equalsIgnoringCase("us-ascii")
            }
        }
        return MediaType(isJSON: Self.isJSON(subtype), hasForeignCharset: foreign)
    }

    private static func isJSON(_ subtype: Bytes) -> Bool {
        if subtype.count == 4 { return subtype.equalsIgnoringCase("json") }
        guard subtype.count > 5 else { return false }
        return subtype.part(subtype.count - 5..<subtype.count).equalsIgnoringCase("+json")
    }

    private mutating func token() -> Bytes {
        let start = index
        let set = Self.token
        while index < text.count, set.contains(text[index]) { index += 1 }
        return text.part(start..<index)
    }

    /// A token, or what stands between the quotes of a quoted-string.
    private mutating func value() -> Bytes? {
        guard index < text.count, text[index] == UInt8(ascii: "\"") else {
            let bare = token()
            return bare.isEmpty ? nil : bare
        }
        index += 1
        let start = index
        while index < text.count {
            switch text[index] {
            case UInt8(ascii: "\""):
                index += 1
                return text.part(start..<index - 1)
            case UInt8(ascii: "\\"):
                index += 2
            case 0x20...0x7E:
                index += 1
            default:
                return nil
            }
        }
        return nil
    }

    private mutating func skipSpace() {
        while index < text.count, text[index] == 0x20 { index += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard index < text.count, text[index] == byte else { return false }
        index += 1
        return true
    }
}
