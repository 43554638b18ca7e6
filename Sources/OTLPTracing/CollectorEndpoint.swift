/// The URL where a collector takes traces.
public struct CollectorEndpoint: Sendable, Equatable {
    /// A URL that cannot be used, and why.
    public struct Fault: Error, Sendable, Equatable {
        /// Such as `is not an HTTP URL`.
        public let reason: String
    }

    /// A name or an address; IPv6 without brackets.
    public let host: String
    /// The port; 80 unless the URL has one.
    public let port: Int
    /// What a request asks for: the path, and the query if there is one.
    public let target: String

    /// Host and port as they are written in a `Host` field: IPv6 in brackets.
    public var authority: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// Reads a URL and takes it as it is.
    public init(url: String) throws(Fault) {
        let parts = try Self.parse(url)
        host = parts.host
        port = parts.port
        target = parts.target.hasPrefix("/") ? parts.target : "/" + parts.target
    }

    /// Reads the URL below which a collector takes everything, and adds `/v1/traces`.
    public init(base: String) throws(Fault) {
        let parts = try Self.parse(base)
        guard !parts.target.utf8.contains(UInt8(ascii: "?")) else {
            throw Fault(reason: "must not have a query, because /v1/traces is added to it")
        }
        host = parts.host
        port = parts.port
        var path = parts.target[...]
        while path.last == "/" { path = path.dropLast() }
        target = path + "/v1/traces"
    }

    private static func parse(_ url: String) throws(Fault) -> (host: String, port: Int, target: String) {
        let start = url.prefix(8).lowercased()
        guard !start.hasPrefix("https://") else {
            throw Fault(reason: "asks for TLS, which is not supported yet: use http://")
        }
        guard start.hasPrefix("http://"), url.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }), !url.contains("#") else {
            throw Fault(reason: "is not an HTTP URL (like http://localhost:4318)")
        }
        let rest = url.dropFirst("http://".count)
        let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        guard !rest[..<end].contains("@") else {
            throw Fault(reason: "holds credentials: give them in \(OTLPVariable.headers.rawValue)")
        }
        guard let (host, port) = split(rest[..<end]) else { throw Fault(reason: "does not name a host and a port") }
        return (host, port, String(rest[end...]))
    }

    private static func split(_ authority: Substring) -> (host: String, port: Int)? {
        var host = authority
        var port: Substring?
        if authority.first == "[" {
            guard let close = authority.firstIndex(of: "]") else { return nil }
            host = authority[authority.index(after: authority.startIndex)..<close]
            let rest = authority[authority.index(after: close)...]
            guard rest.isEmpty || rest.first == ":" else { return nil }
            port = rest.isEmpty ? nil : rest.dropFirst()
        } else if let colon = authority.firstIndex(of: ":") {
            host = authority[..<colon]
            port = authority[authority.index(after: colon)...]
        }
        guard !host.isEmpty else { return nil }
        guard let port else { return (String(host), 80) }
        guard port.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(port),
            (1...65535).contains(number)
        else { return nil }
        return (String(host), number)
    }
}
