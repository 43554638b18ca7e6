/// A NATS subject that is certain to be well formed.
///
/// There is no initialiser from `String`: a subject is built token by token with ``SubjectBuilder``, whose encoder is total
/// and injective, so that nothing a client sends can end a protocol line, add a token or become a wildcard. cnats checks
/// subjects not at all (S-01, C-01).
public struct Subject: Sendable, Hashable, CustomStringConvertible {
    /// The encoded subject: printable ASCII without spaces or wildcards.
    package let text: String

    fileprivate init(encoded bytes: [UInt8]) {
        text = String(decoding: bytes, as: UTF8.self)
    }

    /// Joins the prefix and the encoded form of every token.
    package init(prefix: SubjectPrefix, tokens: [String]) {
        var builder = SubjectBuilder(prefix: prefix)
        for token in tokens { builder.append(token: token) }
        self = builder.finish()
    }

    /// The subject of a key in a key-value bucket: `$KV.<bucket>.<key>`.
    init(bucket: BucketName, key: KeyValueBucket.Key) {
        text = "$KV.\(bucket.text).\(key.text)"
    }

    /// The subject as it goes on the wire.
    public var description: String { text }

    /// The encoded form of one token: `A-Za-z0-9_-` stand for themselves, any other UTF-8 byte is `=HH`, nothing is `=`.
    package static func encodeToken(_ token: String) -> String {
        var bytes: [UInt8] = []
        appendEncoded(token[...].utf8, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The text that `encodeToken` turned into this token, or nil if it never made such a token.
    package static func decodeToken(_ token: some StringProtocol) -> String? {
        var decoded: [UInt8] = []
        var rest = Array(token.utf8)[...]
        guard !rest.isEmpty else { return nil }
        if rest.elementsEqual([UInt8(ascii: "=")]) { return "" }
        while let byte = rest.popFirst() {
            if isPlain(byte) {
                decoded.append(byte)
                continue
            }
            guard byte == UInt8(ascii: "="), let high = rest.popFirst().flatMap(hexValue),
                let low = rest.popFirst().flatMap(hexValue), !isPlain(high << 4 | low)
            else { return nil }
            decoded.append(high << 4 | low)
        }
        return String(validating: decoded, as: UTF8.self)
    }

    /// The token that stands for a type too long to be spelled out: `=sha256-` and 64 lower-case hex digits.
    static func digestToken(_ digest: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var bytes = Array("=sha256-".utf8)
        for byte in digest.prefix(32) { bytes += [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
        return String(decoding: bytes, as: UTF8.self)
    }

    fileprivate static func appendEncoded(_ utf8: Substring.UTF8View, to bytes: inout [UInt8]) {
        let start = bytes.count
        if utf8.withContiguousStorageIfAvailable({ appendEncoded($0, to: &bytes) }) == nil {
            for byte in utf8 { append(byte, to: &bytes) }
        }
        if bytes.count == start { bytes.append(UInt8(ascii: "=")) }
    }

    private static func appendEncoded(_ source: UnsafeBufferPointer<UInt8>, to bytes: inout [UInt8]) {
        if source.allSatisfy(isPlain) {
            bytes.append(contentsOf: source)
        } else {
            for byte in source { append(byte, to: &bytes) }
        }
    }

    private static func append(_ byte: UInt8, to bytes: inout [UInt8]) {
        if isPlain(byte) {
            bytes.append(byte)
        } else {
            bytes.append(UInt8(ascii: "="))
            bytes.append(hexDigit(byte >> 4))
            bytes.append(hexDigit(byte & 15))
        }
    }

    @inline(__always)
    static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    private static func hexDigit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "A") + value - 10
    }

    private static func hexValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

/// Builds a ``Subject`` token by token.
package struct SubjectBuilder: Sendable {
    private var bytes: [UInt8]

    package init(prefix: SubjectPrefix) {
        bytes = []
        bytes.reserveCapacity(96)
        bytes.append(contentsOf: prefix.text.utf8)
    }

    /// Bytes of the subject so far, the prefix and the dots included.
    package var count: Int { bytes.count }

    /// Adds one token; dots in it are encoded.
    package mutating func append(token: String) {
        bytes.append(UInt8(ascii: "."))
        Subject.appendEncoded(token[...].utf8, to: &bytes)
    }

    /// Adds one token for every dot-separated part, as an event's type has them; an empty part is the token `=`.
    package mutating func append(dotted text: String) {
        var rest = text[...].utf8
        while let dot = rest.firstIndex(of: UInt8(ascii: ".")) {
            bytes.append(UInt8(ascii: "."))
            Subject.appendEncoded(rest[..<dot], to: &bytes)
            rest = rest[rest.index(after: dot)...]
        }
        bytes.append(UInt8(ascii: "."))
        Subject.appendEncoded(rest, to: &bytes)
    }

    /// Adds the token `=sha256-…` that stands for a type too long to be spelled out; no text encodes to such a token.
    package mutating func append(sha256 digest: [UInt8]) {
        bytes.append(UInt8(ascii: "."))
        bytes.append(contentsOf: Subject.digestToken(digest).utf8)
    }

    /// Drops everything after the first `count` bytes, to start again from a remembered ``count``.
    package mutating func truncate(to count: Int) {
        if count < bytes.count { bytes.removeSubrange(count...) }
    }

    /// The finished subject.
    package consuming func finish() -> Subject { Subject(encoded: bytes) }
}

/// The first token or tokens of our subjects, from configuration: `ce`, `dl`, `prod.ce`.
public struct SubjectPrefix: Sendable, Hashable, CustomStringConvertible {
    package let text: String

    /// Accepts dot-separated tokens of `A-Za-z0-9_-`, at most 128 bytes; nil for anything else.
    public init?(_ text: String) {
        let tokens = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard text.utf8.count <= 128, tokens.allSatisfy({ !$0.isEmpty && $0.allSatisfy(Subject.isPlain) }) else {
            return nil
        }
        self.text = text
    }

    /// The prefix as configured.
    public var description: String { text }
}
