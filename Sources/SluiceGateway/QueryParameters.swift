/// The query of a request target: names and values, percent-decoded once (RFC 3986 §2.1); `+` is a plus.
///
/// An unknown or repeated name, a broken escape and bytes that are no UTF-8 are errors: a parameter that is silently
/// ignored is a promise broken.
struct QueryParameters {
    private var values: [(name: String, value: String)] = []

    /// Reads the query of `uri`.
    ///
    /// - Parameter allowed: the names this route knows.
    /// - Throws: a problem that names the parameter.
    init(_ uri: String, allowed: [String]) throws(Problem) {
        guard let mark = uri.utf8.firstIndex(of: UInt8(ascii: "?")) else { return }
        let query = uri[uri.utf8.index(after: mark)...]
        for pair in query.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = try Self.decode(parts[0], of: parts[0])
            let value = parts.count > 1 ? try Self.decode(parts[1], of: parts[0]) : ""
            guard allowed.contains(name) else {
                throw Problem(
                    kind: .invalidParameter,
                    detail: "query parameter \(name.quotedForDetail) is unknown here; known: "
                        + allowed.joined(separator: ", ")
                )
            }
            guard self[name] == nil else {
                throw Problem(
                    kind: .invalidParameter,
                    detail: "query parameter \(name.quotedForDetail) is given more than once"
                )
            }
            values.append((name, value))
        }
    }

    /// The value of a parameter, or `nil` if it is not there.
    subscript(name: String) -> String? {
        values.first { $0.name == name }?.value
    }

    private static func decode(_ text: Substring, of name: Substring) throws(Problem) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count)
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst()?.hexadecimalValue, let low = rest.popFirst()?.hexadecimalValue else {
                throw Problem(
                    kind: .invalidParameter,
                    detail: "query parameter \(name.quotedForDetail) has a '%' without two hexadecimal digits"
                )
            }
            bytes.append(high << 4 | low)
        }
        guard let decoded = String(validating: bytes, as: UTF8.self) else {
            throw Problem(
                kind: .invalidParameter,
                detail: "query parameter \(name.quotedForDetail) is not UTF-8"
            )
        }
        return decoded
    }
}

extension UInt8 {
    /// The value of this byte as a hexadecimal digit of either case.
    fileprivate var hexadecimalValue: UInt8? {
        switch self {
        case 0x30...0x39: self - 0x30
        case 0x41...0x46: self - 0x37
        case 0x61...0x66: self - 0x57
        default: nil
        }
    }
}
