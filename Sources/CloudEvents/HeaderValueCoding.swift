/// How attribute values travel in header fields of HTTP and NATS.
///
/// Source: CloudEvents 1.0 HTTP binding, "HTTP Header Values" (HTTP-10 … HTTP-15); the NATS binding says the same.
public enum HeaderValueCoding {
    /// Percent-encodes whatever is not printable ASCII, and space, `"` and `%`.
    public static func encode(_ text: String) -> String {
        var text = text
        return text.withUTF8 { bytes -> String? in
            guard bytes.contains(where: { !isUnencoded($0) }) else { return nil }
            var output: [UInt8] = []
            output.reserveCapacity(bytes.count + 16)
            for byte in bytes {
                if isUnencoded(byte) {
                    output.append(byte)
                } else {
                    output.append(UInt8(ascii: "%"))
                    output.append(hexDigit(byte >> 4))
                    output.append(hexDigit(byte & 15))
                }
            }
            return String(decoding: output, as: UTF8.self)
        } ?? text
    }

    /// What a field value stands for, or the rule it breaks with a sentence.
    enum Decoded {
        case text(String, isPlain: Bool)
        case fault(rule: String, detail: String)
    }

    /// Undoes white space around the value, quotes, and one round of percent-encoding, in this order.
    ///
    /// - Parameter isLenient: Takes what senders without any encoding write: raw UTF-8, and `%` without two hex digits.
    static func decode(_ value: String, isLenient: Bool) -> Decoded {
        var copy = value
        return copy.withUTF8 { raw in
            let bytes = trimmed(raw)
            if let base = bytes.baseAddress,
                PlainText.end(base, from: 0, to: bytes.count, special: UInt8(ascii: "%")) < bytes.count
            {
                return decodeUncommon(bytes, isLenient: isLenient)
            }
            if bytes.count == raw.count { return .text(value, isPlain: true) }
            return .text(String(decoding: bytes, as: UTF8.self), isPlain: true)
        }
    }

    /// The bytes without spaces and tabs at both ends.
    static func trimmed(_ bytes: Bytes) -> Bytes {
        var start = 0
        var end = bytes.count
        while start < end, bytes[start] == 0x20 || bytes[start] == 0x09 { start += 1 }
        while end > start, bytes[end - 1] == 0x20 || bytes[end - 1] == 0x09 { end -= 1 }
        return bytes.part(start..<end)
    }

    /// An upper-case hexadecimal digit for 0…15.
    static func hexDigit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x37 + value }

    private static func isUnencoded(_ byte: UInt8) -> Bool {
        (0x21...0x7E).contains(byte) && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "%")
    }

    @inline(never)
    private static func decodeUncommon(_ bytes: Bytes, isLenient: Bool) -> Decoded {
        if !isLenient, bytes.contains(where: { $0 >= 0x80 }) {
            let detail = "the field value holds raw non-ASCII characters; they must be percent-encoded as UTF-8"
            return .fault(rule: "HTTP-11", detail: detail)
        }
        if let control = bytes.first(where: { $0 < 0x20 || $0 == 0x7F }) {
            let name = String(control, radix: 16, uppercase: true)
            return .fault(rule: "CE-09", detail: "the field value holds the raw control character 0x\(name)")
        }
        var unquoted: [UInt8] = []
        unquoted.reserveCapacity(bytes.count)
        guard unquote(bytes, into: &unquoted) else {
            let detail = "a quote must open the field value and a second one close it; elsewhere it is written %22"
            return .fault(rule: "HTTP-12", detail: detail)
        }
        guard undoPercent(&unquoted, isLenient: isLenient) else {
            let detail = "'%' must be followed by two hexadecimal digits; a percent sign is written %25"
            return .fault(rule: "HTTP-13", detail: detail)
        }
        guard let text = String(validating: unquoted, as: UTF8.self) else {
            return .fault(rule: "HTTP-15", detail: "the percent-encoded bytes are not valid UTF-8")
        }
        return .text(text, isPlain: false)
    }

    /// Undoes a double-quoted string that is the whole value; `false` if quotes stand elsewhere.
    ///
    /// Source: RFC 7230 section 3.2.6.
    private static func unquote(_ bytes: Bytes, into output: inout [UInt8]) -> Bool {
        guard bytes.first == UInt8(ascii: "\"") else {
            output.append(contentsOf: bytes)
            return !bytes.contains(UInt8(ascii: "\""))
        }
        var index = 1
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "\""):
                return index + 1 == bytes.count
            case UInt8(ascii: "\\"):
                guard index + 1 < bytes.count else { return false }
                output.append(bytes[index + 1])
                index += 2
            case let byte:
                output.append(byte)
                index += 1
            }
        }
        return false
    }

    /// Undoes one round of percent-encoding in place; `false` at a `%` without two digits, unless lenient.
    private static func undoPercent(_ bytes: inout [UInt8], isLenient: Bool) -> Bool {
        var read = 0
        var write = 0
        while read < bytes.count {
            var byte = bytes[read]
            read += 1
            if byte == UInt8(ascii: "%") {
                if read + 1 < bytes.count, let high = bytes[read].hexValue, let low = bytes[read + 1].hexValue {
                    byte = high << 4 | low
                    read += 2
                } else if !isLenient {
                    return false
                }
            }
            bytes[write] = byte
            write += 1
        }
        bytes.removeSubrange(write...)
        return true
    }
}
