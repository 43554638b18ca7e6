/// The address of a NATS server, checked: `nats://user:password@host:port`.
///
/// Its description leaves the credentials out. TLS is not offered: cnats 3.4.1 reads and writes one TLS session from two
/// threads (C-10); use loopback, a private network or a tunnel.
public struct ServerURL: Sendable, Hashable, CustomStringConvertible {
    /// Why a text is not the address of a server we can use.
    public enum Problem: Error, Sendable, Equatable {
        /// The scheme is not `nats`.
        case scheme(String)
        /// Host missing or with characters that no host has.
        case host
        /// Port not in 1 to 65535.
        case port
        /// User or password empty or not plain printable text.
        case credentials
    }

    /// Host name, IPv4 address, or IPv6 address without brackets.
    public let host: String
    /// TCP port, 4222 unless said otherwise.
    public let port: UInt16
    /// User name, if the URL has one.
    public let user: String?
    package let password: String?

    /// Reads one URL; the scheme may be missing.
    public init(_ text: String) throws(Problem) {
        var rest = text[...]
        if let range = rest.firstRange(of: "://") {
            let scheme = rest[..<range.lowerBound].lowercased()
            guard scheme == "nats" || scheme == "tcp" else { throw .scheme(scheme) }
            rest = rest[range.upperBound...]
        }
        while rest.utf8.last == UInt8(ascii: "/") { rest = rest.dropLast() }
        if let at = rest.utf8.lastIndex(of: UInt8(ascii: "@")) {
            (user, password) = try Self.credentials(rest[..<at])
            rest = rest[rest.utf8.index(after: at)...]
        } else {
            (user, password) = (nil, nil)
        }
        (host, port) = try Self.hostAndPort(rest)
    }

    private static func credentials(_ text: Substring) throws(Problem) -> (String, String?) {
        let parts = text.utf8.split(separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
        let texts = parts.map { percentDecoded(Array($0)) }
        guard let user = texts[0], !user.isEmpty else { throw .credentials }
        guard texts.count == 2 else { return (user, nil) }
        guard let password = texts[1] else { throw .credentials }
        return (user, password)
    }

    private static func percentDecoded(_ bytes: [UInt8]) -> String? {
        var result: [UInt8] = []
        var rest = bytes[...]
        while let byte = rest.popFirst() {
            var value = byte
            if byte == UInt8(ascii: "%") {
                guard rest.count >= 2,
                    let code = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
                else { return nil }
                value = code
                rest = rest.dropFirst(2)
            }
            guard value > 0x20, value < 0x7F else { return nil }
            result.append(value)
        }
        return String(decoding: result, as: UTF8.self)
    }

    private static func hostAndPort(_ text: Substring) throws(Problem) -> (String, UInt16) {
        var hostText = text
        var portText: Substring = ""
        if text.utf8.first == UInt8(ascii: "[") {
            guard let close = text.utf8.firstIndex(of: UInt8(ascii: "]")) else { throw .host }
            hostText = text[text.utf8.index(after: text.startIndex)..<close]
            let after = text[text.utf8.index(after: close)...]
            guard after.isEmpty || after.utf8.first == UInt8(ascii: ":") else { throw .host }
            portText = after.dropFirst()
        } else if let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) {
            hostText = text[..<colon]
            portText = text[text.utf8.index(after: colon)...]
            guard !portText.isEmpty else { throw .port }
        }
        let plain = hostText.utf8.allSatisfy {
            Subject.isPlain($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: ":")
        }
        guard !hostText.isEmpty, hostText.utf8.count <= 253, plain else { throw .host }
        if portText.isEmpty { return (String(hostText), 4222) }
        guard let port = UInt16(portText), port > 0, portText.utf8.first != UInt8(ascii: "+") else { throw .port }
        return (String(hostText), port)
    }

    /// `nats://host:port`, without credentials.
    public var description: String {
        host.utf8.contains(UInt8(ascii: ":")) ? "nats://[\(host)]:\(port)" : "nats://\(host):\(port)"
    }
}
