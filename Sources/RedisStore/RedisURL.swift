/// Why a text is not the address of a Redis server we can use; the text itself, which may hold a password, is not told.
public enum RedisURLError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The scheme is neither `redis` nor `unix`.
    case scheme
    /// The scheme is `rediss`.
    case tlsNotSupported
    /// Host missing or with characters that no host has.
    case host
    /// Port not in 1 to 65535.
    case port
    /// A user without a password, an empty pair, or a broken percent-encoding.
    case credentials
    /// Path of the socket missing, longer than the system takes, or not percent-encoded.
    case path
    /// The database is not a number from 0 to 2,147,483,647.
    case database
    /// A query or fragment that means nothing here.
    case query

    /// One line for people.
    public var description: String {
        switch self {
        case .scheme: "the URL must begin with redis:// or unix://"
        case .tlsNotSupported: "rediss:// (TLS) is not supported: use loopback, a private network or a tunnel"
        case .host: "the host is missing or malformed"
        case .port: "the port is not in 1 to 65535"
        case .credentials: "the user or password is malformed: write [user]:password@, percent-encoded"
        case .path: "the socket's path is missing, too long or malformed"
        case .database: "the database is not a number"
        case .query: "the URL has a query or fragment that means nothing here"
        }
    }
}

/// The parts of a Redis URL, checked and decoded.
struct RedisURL {
    let endpoint: RedisEndpoint
    let credentials: Credentials?
    let database: Int

    init(_ text: String) throws(RedisURLError) {
        guard let separator = text.firstRange(of: "://") else { throw .scheme }
        let rest = Array(text[separator.upperBound...].utf8)
        let isUnix: Bool
        switch text[..<separator.lowerBound].lowercased() {
        case "redis": isUnix = false
        case "unix": isUnix = true
        case "rediss": throw .tlsNotSupported
        default: throw .scheme
        }
        if rest.contains(UInt8(ascii: "#")) { throw .query }
        let authorityEnd = rest.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") } ?? rest.endIndex
        var authority = rest[..<authorityEnd]
        let queryStart = rest[authorityEnd...].firstIndex(of: UInt8(ascii: "?")) ?? rest.endIndex
        let path = rest[authorityEnd..<queryStart]
        let query = rest[queryStart...].dropFirst()
        if let at = authority.lastIndex(of: UInt8(ascii: "@")) {
            credentials = try Self.credentials(authority[..<at])
            authority = authority[(at + 1)...]
        } else {
            credentials = nil
        }
        if isUnix {
            guard authority.isEmpty else { throw .path }
            endpoint = .unix(path: try Self.socketPath(path))
            database = try Self.database(inQuery: query)
        } else {
            guard query.isEmpty, queryStart == rest.endIndex else { throw .query }
            endpoint = try Self.hostAndPort(authority)
            database = path.count <= 1 ? 0 : try Self.database(path.dropFirst())
        }
    }

    private static func credentials(_ text: ArraySlice<UInt8>) throws(RedisURLError) -> Credentials {
        guard let colon = text.firstIndex(of: UInt8(ascii: ":")),
            let user = percentDecoded(text[..<colon]), let password = percentDecoded(text[(colon + 1)...]),
            !user.isEmpty || !password.isEmpty
        else { throw .credentials }
        return Credentials(user: user.isEmpty ? nil : user, password: password)
    }

    private static func hostAndPort(_ text: ArraySlice<UInt8>) throws(RedisURLError) -> RedisEndpoint {
        var hostText = text
        var portText: ArraySlice<UInt8>?
        if text.first == UInt8(ascii: "[") {
            guard let close = text.firstIndex(of: UInt8(ascii: "]")) else { throw .host }
            hostText = text[(text.startIndex + 1)..<close]
            let after = text[(close + 1)...]
            guard after.isEmpty || after.first == UInt8(ascii: ":") else { throw .host }
            portText = after.isEmpty ? nil : after.dropFirst()
        } else if let colon = text.firstIndex(of: UInt8(ascii: ":")) {
            hostText = text[..<colon]
            portText = text[(colon + 1)...]
        }
        guard let host = percentDecoded(hostText), !host.isEmpty, host.count <= 253, host.allSatisfy(isHostByte) else {
            throw .host
        }
        let name = String(decoding: host, as: UTF8.self)
        guard let portText else { return .tcp(host: name, port: 6379) }
        guard let number = number(portText), number > 0, let port = UInt16(exactly: number) else { throw .port }
        return .tcp(host: name, port: port)
    }

    private static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        case UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: ":"): true
        default: false
        }
    }

    /// `sun_path` has 108 bytes with its final zero.
    private static func socketPath(_ text: ArraySlice<UInt8>) throws(RedisURLError) -> String {
        guard let path = percentDecoded(text), path.count > 1, path.count <= 107, !path.contains(0) else { throw .path }
        guard let name = String(validating: path, as: UTF8.self) else { throw .path }
        return name
    }

    private static func database(inQuery query: ArraySlice<UInt8>) throws(RedisURLError) -> Int {
        if query.isEmpty { return 0 }
        guard query.starts(with: "db=".utf8) else { throw .query }
        return try database(query.dropFirst(3))
    }

    private static func database(_ text: ArraySlice<UInt8>) throws(RedisURLError) -> Int {
        guard let value = number(text) else { throw .database }
        return value
    }

    /// A number of at most ten digits that fits in 31 bits.
    private static func number(_ text: ArraySlice<UInt8>) -> Int? {
        guard (1...10).contains(text.count) else { return nil }
        var value = 0
        for byte in text {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            value = value * 10 + Int(byte - UInt8(ascii: "0"))
        }
        return value <= Int(Int32.max) ? value : nil
    }

    private static func percentDecoded(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        var result: [UInt8] = []
        var rest = text
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                result.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(hexadecimal), let low = rest.popFirst().flatMap(hexadecimal) else {
                return nil
            }
            result.append(high << 4 | low)
        }
        return result
    }

    private static func hexadecimal(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
