/// The host and port of a URL, and whether it has anything behind them.
package struct ServerAddress: Sendable, Equatable {
    /// A name or an address; IPv6 without brackets.
    package let host: String
    package let port: Int
    /// The path as written, without a trailing slash; empty for the root.
    package let path: String
    package let userInfo: String?

    /// Whether the URL names more than a server.
    package var hasPath: Bool { !path.isEmpty }

    /// Host and port as they are written in a `Host` field: IPv6 in brackets.
    package var authority: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// Reads a URL of the form `scheme://[user@]host[:port][/path]`.
    ///
    /// A query or fragment, spaces and control characters are refused.
    ///
    /// - Returns: `nil` when the text is no such URL or has none of the schemes.
    package init?(url: String, schemes: [String], defaultPort: Int) {
        guard let colon = url.range(of: "://") else { return nil }
        let scheme = url[..<colon.lowerBound].lowercased()
        guard schemes.contains(scheme), url.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
        let rest = url[colon.upperBound...]
        guard !rest.utf8.contains(UInt8(ascii: "?")), !rest.utf8.contains(UInt8(ascii: "#")) else { return nil }
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        var authority = rest[..<slash]
        var trimmed = rest[slash...]
        while trimmed.last == "/" { trimmed = trimmed.dropLast() }
        path = String(trimmed)
        if let at = authority.lastIndex(of: "@") {
            userInfo = String(authority[..<at])
            authority = authority[authority.index(after: at)...]
        } else {
            userInfo = nil
        }
        guard let (host, portText) = Self.split(authority), !host.isEmpty else { return nil }
        self.host = host
        guard let portText else {
            port = defaultPort
            return
        }
        let areDigits = portText.utf8.allSatisfy { (0x30...0x39).contains($0) }
        guard areDigits, let number = Int(portText), (1...65535).contains(number) else { return nil }
        port = number
    }

    private static func split(_ authority: Substring) -> (host: String, port: Substring?)? {
        if authority.first == "[" {
            guard let close = authority.firstIndex(of: "]") else { return nil }
            let host = authority[authority.index(after: authority.startIndex)..<close]
            let rest = authority[authority.index(after: close)...]
            if rest.isEmpty { return (String(host), nil) }
            guard rest.first == ":" else { return nil }
            return (String(host), rest.dropFirst())
        }
        let parts = authority.split(separator: ":", omittingEmptySubsequences: false)
        switch parts.count {
        case 1: return (String(parts[0]), nil)
        case 2: return (String(parts[0]), parts[1])
        default: return nil
        }
    }
}

extension String {
    /// The first place of `other`, compared by bytes.
    fileprivate func range(of other: String) -> Range<String.Index>? {
        let wanted = Array(other.utf8)
        var start = utf8.startIndex
        while start < utf8.endIndex {
            if utf8[start...].starts(with: wanted) {
                return start..<utf8.index(start, offsetBy: wanted.count)
            }
            start = utf8.index(after: start)
        }
        return nil
    }
}
