/// The data of an event, in the form that decides how the JSON format writes it.
///
/// Data is never empty: an event with an empty body has no data at all, since no header binding can tell the two apart.
public enum EventData: Sendable {
    /// A JSON text (RFC 8259, UTF-8), as it came; written as a JSON value.
    ///
    /// White space around it belongs to the data in the binary modes (HTTP-07), and is nobody's in the JSON format: there it
    /// is written, and read only where the content type says so (``JSONFormat/spaceKeepingMediaType``).
    ///
    /// Goes with a JSON content type, or with none: then `application/json` is implied (JSON-13).
    case json(ArraySlice<UInt8>)
    /// The characters of a text; written as a JSON string. Goes with a content type that is not JSON (JSON-14).
    case text(String)
    /// Bytes of any kind; written as base64 (JSON-18). Without a content type nothing is implied (JSON-10).
    case binary(ArraySlice<UInt8>)

    /// The bytes that a message carries when the data is its whole body, as in the binary modes (JSON-17).
    public var bytes: ArraySlice<UInt8> {
        switch self {
        case .json(let bytes), .binary(let bytes): bytes
        case .text(let text): Array(text.utf8)[...]
        }
    }

    /// Whether there is not a single byte.
    var isEmpty: Bool {
        switch self {
        case .json(let bytes), .binary(let bytes): bytes.isEmpty
        case .text(let text): text.utf8.isEmpty
        }
    }

    /// Whether this is a JSON text with white space around it.
    package var hasOuterSpace: Bool {
        guard case .json(let bytes) = self, let first = bytes.first, let last = bytes.last else { return false }
        return JSONScanner.isWhitespace(first) || JSONScanner.isWhitespace(last)
    }

    var isJSON: Bool {
        if case .json = self { true } else { false }
    }
}

extension EventData: Hashable {
    /// Tells whether both are, or both are not, JSON and carry the same bytes.
    ///
    /// Text and binary data with the same bytes are equal, because a body on the wire is both.
    public static func == (left: EventData, right: EventData) -> Bool {
        switch (left, right) {
        case (.text(let left), .text(let right)): sameBytes(left, right)
        default: left.isJSON == right.isJSON && left.bytes == right.bytes
        }
    }

    /// Feeds the bytes to the hasher.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(isJSON)
        bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
    }
}
