/// What is said first on a connection: who we are, which database, and what the server is.
struct Greeting {
    private let credentials: Credentials?
    private let database: Int
    private let clientName: String

    init(_ configuration: RedisConfiguration) {
        credentials = configuration.credentials
        database = configuration.database
        clientName = configuration.clientName
    }

    /// In one pipeline; their replies go to ``serverVersion(in:)``.
    var commands: [RedisCommand] {
        var commands: [RedisCommand] = []
        if let credentials {
            commands.append(
                RedisCommand("AUTH", (credentials.user.map { [$0] } ?? []) + [credentials.password])
            )
        }
        if database != 0 { commands.append(RedisCommand("SELECT", String(database))) }
        commands.append(RedisCommand("CLIENT", [Array("SETNAME".utf8), Self.allowedName(clientName)]))
        commands.append(RedisCommand("INFO", "server"))
        return commands
    }

    /// Names have no spaces, newlines or other special characters.
    private static func allowedName(_ name: String) -> [UInt8] {
        name.utf8.prefix(64).map { (0x21...0x7E).contains($0) ? $0 : UInt8(ascii: "_") }
    }

    /// Reads the replies; the version is nil if the server does not tell it.
    ///
    /// - Throws: The server refuses us. The reason holds nothing of what AUTH sent, even if the server repeats it.
    func serverVersion(in replies: [RedisReply]) throws(LinkFailure) -> String? {
        var rest = replies[...]
        if credentials != nil, let reply = rest.popFirst(), reply != .status("OK") {
            throw .lost("AUTH refused: " + Self.reason(ofAuthentication: reply))
        }
        if database != 0, let reply = rest.popFirst(), reply != .status("OK") {
            throw .lost("SELECT \(database) refused: " + shown(reply))
        }
        for reply in rest {
            if case .error(let text) = reply, !Self.isTolerable(text) { throw .lost("refused: " + shown(reply)) }
        }
        return rest.last?.text.flatMap(Self.version(inInfo:))
    }

    /// Naming the connection and asking for the version are not vital: an ACL or a proxy may refuse them.
    private static func isTolerable(_ error: String) -> Bool {
        ["NOPERM", "ERR unknown", "LOADING", "MASTERDOWN"].contains { error.hasPrefix($0) }
    }

    /// A server may repeat arguments in its error, so only what we know is told.
    private static func reason(ofAuthentication reply: RedisReply) -> String {
        guard case .error(let text) = reply else { return "unexpected reply" }
        if text.hasPrefix("WRONGPASS") { return "WRONGPASS, the user or password is wrong, or the user is disabled" }
        if text.hasPrefix("ERR invalid password") { return "the password is wrong" }
        if text.hasPrefix("ERR AUTH <password> called without any password")
            || text.hasPrefix("ERR Client sent AUTH, but no password is set")
        {
            return "the server has no password for the default user"
        }
        if text.hasPrefix("ERR max number of clients") { return "too many clients" }
        let codes = ["ERR", "NOAUTH", "NOPERM", "LOADING", "BUSY", "DENIED", "MASTERDOWN"]
        return codes.first { text.hasPrefix($0 + " ") } ?? "error"
    }

    private func shown(_ reply: RedisReply) -> String {
        guard case .error(let text) = reply else { return "unexpected reply" }
        let password = credentials.map { String(decoding: $0.password, as: UTF8.self) } ?? ""
        return !password.isEmpty && text.contains(password) ? "error" : plainText(text)
    }

    private static func version(inInfo text: String) -> String? {
        for line in text.split(whereSeparator: \.isNewline) where line.hasPrefix("redis_version:") {
            let version = line.dropFirst("redis_version:".count).prefix(32)
            let isPlain = version.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"): true
                case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "."), UInt8(ascii: "-"): true
                default: false
                }
            }
            return isPlain && !version.isEmpty ? String(version) : nil
        }
        return nil
    }
}
