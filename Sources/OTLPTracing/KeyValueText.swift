/// The form `key=value,key2=value2` with percent-encoded values, in which OpenTelemetry's variables carry lists.
enum KeyValueText {
    /// An item that does not have this form.
    struct Fault: Error {
        /// Counted from 1.
        let item: Int
        let reason: String
    }

    /// Reads all items; empty ones are skipped.
    static func pairs(_ text: String) throws(Fault) -> [(key: String, value: String)] {
        var pairs: [(key: String, value: String)] = []
        var number = 0
        for item in text.split(separator: ",", omittingEmptySubsequences: false) {
            number += 1
            if trimmed(item).isEmpty { continue }
            guard let equals = item.firstIndex(of: "=") else { throw Fault(item: number, reason: "has no `=`") }
            let key = trimmed(item[..<equals])
            guard !key.isEmpty else { throw Fault(item: number, reason: "has no name before the `=`") }
            guard let name = decoded(key), let value = decoded(trimmed(item[item.index(after: equals)...])) else {
                throw Fault(item: number, reason: "is not percent-encoded UTF-8")
            }
            pairs.append((name, value))
        }
        return pairs
    }

    /// Without the blanks at both ends.
    static func trimmed(_ text: Substring) -> Substring {
        var rest = text.drop(while: \.isWhitespace)
        while rest.last?.isWhitespace == true { rest = rest.dropLast() }
        return rest
    }

    private static func decoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(hexadecimal), let low = rest.popFirst().flatMap(hexadecimal)
            else { return nil }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func hexadecimal(_ byte: UInt8) -> UInt8? {
        Hexadecimal.value(byte | 0x20).map(UInt8.init(truncatingIfNeeded:)) ?? nil
    }
}

/// Which bytes HTTP allows where (RFC 9110 §5).
enum HTTPText {
    static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }

    static func isFieldByte(_ byte: UInt8) -> Bool { byte >= 0x20 && byte != 0x7F || byte == 0x09 }
}
