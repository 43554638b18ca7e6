import CloudEvents

/// Where a webhook lives: an absolute `http` or `https` URI with a host, without user information and fragment.
///
/// Only the syntax is checked here; whether the host's addresses may be connected to is decided with every connection
/// (S-05). A host is a name of letters, digits, `-`, `_` and `.`, an IPv4 address, or an IPv6 address in brackets:
/// percent-encoding and other characters are refused, since two readers could understand two hosts.
public struct SinkURL: Sendable, Hashable, CustomStringConvertible {
    /// Most bytes of the text.
    public static let bytesMax = 2048

    /// The URI as it was given; ASCII.
    public let text: String
    /// Whether it is `https`.
    public let isSecure: Bool
    /// The host as it was given, without brackets around an IPv6 address.
    public let host: String
    /// The port, or the scheme's own.
    public let port: UInt16
    /// Path and query, at least `/`.
    public let target: String

    /// Reads a URI.
    ///
    /// - Throws: ``InvalidSinkURL`` with the reason.
    public init(_ text: String) throws(InvalidSinkURL) {
        guard text.utf8.count <= Self.bytesMax else {
            throw InvalidSinkURL(detail: "is longer than \(Self.bytesMax) bytes")
        }
        if text.utf8.contains(UInt8(ascii: "#")) { throw InvalidSinkURL(detail: "must not have a fragment") }
        guard URISyntax.isAbsolute(text), let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) else {
            throw InvalidSinkURL(detail: "is not an absolute URI (RFC 3986)")
        }
        switch text[..<colon].lowercased() {
        case "https": isSecure = true
        case "http": isSecure = false
        default: throw InvalidSinkURL(detail: "must have the scheme https")
        }
        let rest = text[text.utf8.index(after: colon)...]
        guard rest.utf8.starts(with: "//".utf8) else { throw InvalidSinkURL(detail: "has no host") }
        let hierarchy = rest.dropFirst(2)
        let end = hierarchy.firstIndex { $0 == "/" || $0 == "?" } ?? hierarchy.endIndex
        let authority = hierarchy[..<end]
        if authority.utf8.contains(UInt8(ascii: "@")) {
            throw InvalidSinkURL(detail: "must not carry user information; use sinkcredential")
        }
        (host, port) = try Self.split(authority, defaultPort: isSecure ? 443 : 80)
        let tail = hierarchy[end...]
        target = tail.first == "/" ? String(tail) : "/" + tail
        self.text = text
    }

    private static func split(
        _ authority: Substring,
        defaultPort: UInt16
    ) throws(InvalidSinkURL) -> (String, UInt16) {
        var host = authority
        var port = Substring()
        if let bracket = authority.lastIndex(of: "]") {
            host = authority[..<bracket].dropFirst()
            port = authority[authority.index(after: bracket)...]
            guard host.utf8.allSatisfy({ isHexDigit($0) || $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: ".") }) else {
                throw InvalidSinkURL(detail: "has an unknown kind of address in brackets")
            }
        } else {
            if let colon = authority.firstIndex(of: ":") {
                host = authority[..<colon]
                port = authority[colon...]
            }
            guard host.utf8.allSatisfy(isHostByte) else {
                throw InvalidSinkURL(detail: "has a host with characters other than letters, digits, '-', '_' and '.'")
            }
        }
        guard !host.isEmpty, host.utf8.count <= 253 else {
            throw InvalidSinkURL(detail: host.isEmpty ? "has no host" : "has a host of more than 253 bytes")
        }
        guard !port.isEmpty else { return (String(host), defaultPort) }
        guard let number = UInt16(port.dropFirst()), number > 0 else {
            throw InvalidSinkURL(detail: "has a port that is not in 1 to 65535")
        }
        return (String(host), number)
    }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        switch byte | 0x20 {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"): true
        default: false
        }
    }

    private static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
            true
        default: false
        }
    }

    /// The URI.
    public var description: String { text }
}

/// Why a text is no sink, as the end of a sentence; nothing of the text is in it.
public struct InvalidSinkURL: Error, Sendable, Hashable {
    /// For example `has no host`.
    public let detail: String
}

/// Which sinks may be subscribed to.
public struct SinkRules: Sendable {
    /// Whether plain `http` is taken.
    public var allowsHTTP: Bool
    /// Says why a sink is not wanted, as the end of a sentence, or `nil`.
    ///
    /// Called while a definition is read; it must not block.
    public var objection: @Sendable (SinkURL) -> String?

    /// `https` only, to any host.
    public init(allowsHTTP: Bool = false, objection: @escaping @Sendable (SinkURL) -> String? = { _ in nil }) {
        self.allowsHTTP = allowsHTTP
        self.objection = objection
    }
}

/// RFC 3986 by the grammar that events are checked with.
enum URISyntax {
    /// Whether a text is an absolute URI without fragment.
    static func isAbsolute(_ text: String) -> Bool {
        (try? CloudEvent(id: "1", source: "/", type: "t", dataSchema: text)) != nil
    }

    /// Whether a text is a URI-reference, and not the empty one.
    static func isReference(_ text: String) -> Bool {
        (try? CloudEvent(id: "1", source: text, type: "t")) != nil
    }
}
