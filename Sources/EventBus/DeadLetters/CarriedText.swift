import CloudEvents
import JetStream

/// Text of others in a NATS header: percent-encoded UTF-8, bounded (S-02).
enum CarriedText {
    /// Most bytes of an error text, encoded or not.
    static let bytesMax = 1024

    /// A header value for words of any kind, cut after the last character that fits; nil if nothing visible is in them.
    ///
    /// Control characters, line ends and whatever reorders text on a screen count as spaces; a run of spaces becomes one,
    /// those at both ends go.
    static func encodeWords(_ text: String) -> HeaderValue? {
        var encoded = ""
        var isAfterSpace = false
        for scalar in text.unicodeScalars {
            if isBlank(scalar) {
                isAfterSpace = !encoded.isEmpty
                continue
            }
            let piece = (isAfterSpace ? "%20" : "") + HeaderValueCoding.encode(String(scalar))
            if encoded.utf8.count + piece.utf8.count > bytesMax { break }
            encoded += piece
            isAfterSpace = false
        }
        return HeaderValue(encoded)
    }

    /// The words of a header value, whoever wrote it: at most ``bytesMax`` bytes, without control characters.
    static func decodeWords(_ value: String) -> String {
        var text = ""
        var count = 0
        for scalar in decode(value).unicodeScalars {
            let shown = isBlank(scalar) ? " " : scalar
            count += UTF8.width(shown)
            if count > bytesMax { break }
            text.unicodeScalars.append(shown)
        }
        return text
    }

    /// A header value from which ``decode(_:)`` reads exactly this text; nil if the text is empty or too long.
    static func encode(_ text: String) -> HeaderValue? { HeaderValue(HeaderValueCoding.encode(text)) }

    /// Undoes percent-encoding; `%` without two digits stands for itself.
    static func decode(_ value: String) -> String {
        var bytes: [UInt8] = []
        var rest = value.utf8.prefix(4096)
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), let high = rest.first.flatMap(digit),
                let low = rest.dropFirst().first.flatMap(digit)
            {
                bytes.append(high << 4 | low)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func isBlank(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x20, 0x2066...0x2069, 0x202A...0x202E, 0x200E, 0x200F: true
        default:
            switch scalar.properties.generalCategory {
            case .control, .lineSeparator, .paragraphSeparator: true
            default: false
            }
        }
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - 0x30
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - 0x37
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - 0x57
        default: nil
        }
    }
}
