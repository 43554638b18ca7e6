import Glibc

/// The INFO line with which a NATS server greets, read over a connection of our own.
///
/// cnats 3.4.1 offers neither the server's version nor its cluster; and a server that is silent, not a NATS server, wants
/// TLS (C-10) or greets too long (C-11) is found out here, with a deadline, before cnats touches it.
struct ServerGreeting {
    var version = ""
    var serverID = ""
    var serverName = ""
    var cluster: String?
    var jetStream = false
    var headers = false
    var tlsRequired = false

    /// Longest INFO line accepted: cnats reads into 32 KiB.
    static let lengthMax = 30_000

    enum Failure: Error {
        case connect(Int32)
        case timeout
        case closed
        case malformed
        case tlsRequired
        case noHeaders

        var text: String {
            switch self {
            case .connect(let code): String(cString: strerror(code))
            case .timeout: "the server is silent"
            case .closed: "the server closed the connection"
            case .malformed: "the peer does not greet like a NATS server"
            case .tlsRequired: "the server requires TLS, which is not supported"
            case .noHeaders: "the server does not support headers"
            }
        }
    }

    /// Connects, reads the greeting, closes.
    static func read(from peer: Peer, deadline: Nanoseconds) throws(Failure) -> ServerGreeting {
        guard let socket = peer.startConnecting() else { throw .connect(errno) }
        defer { close(socket) }
        try waitFor(socket, POLLOUT, deadline)
        var code: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(socket, SOL_SOCKET, SO_ERROR, &code, &length)
        guard code == 0 else { throw .connect(code) }
        return try parse(line: readLine(socket, deadline))
    }

    private static func waitFor(_ socket: Int32, _ event: Int32, _ deadline: Nanoseconds) throws(Failure) {
        while true {
            let left = deadline - monotonicNow()
            guard left > 0 else { throw .timeout }
            var entry = pollfd(fd: socket, events: Int16(event), revents: 0)
            if poll(&entry, 1, Int32(clamping: left / 1_000_000 + 1)) > 0 { return }
        }
    }

    private static func readLine(_ socket: Int32, _ deadline: Nanoseconds) throws(Failure) -> [UInt8] {
        var line: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while line.count < lengthMax {
            try waitFor(socket, POLLIN, deadline)
            let count = recv(socket, &buffer, buffer.count, 0)
            if count < 0, errno == EAGAIN || errno == EINTR { continue }
            guard count > 0 else { throw .closed }
            line += buffer[..<count]
            if let end = line.firstIndex(of: UInt8(ascii: "\n")) { return Array(line[..<end]) }
        }
        throw .malformed
    }

    private static func parse(line: [UInt8]) throws(Failure) -> ServerGreeting {
        guard line.starts(with: "INFO ".utf8) else { throw .malformed }
        var greeting = ServerGreeting()
        let complete = line.dropFirst(5).withUnsafeBytes { bytes in
            var reader = JSONReader(bytes)
            return reader.readObject { reader, name in greeting.readMember(name, &reader) } && reader.isAtEnd
        }
        guard complete else { throw .malformed }
        guard !greeting.tlsRequired else { throw .tlsRequired }
        guard greeting.headers else { throw .noHeaders }
        return greeting
    }

    private mutating func readMember(_ name: String, _ reader: inout JSONReader) -> Bool {
        func store<Value>(_ value: Value?, in member: WritableKeyPath<ServerGreeting, Value>) -> Bool {
            guard let value else { return false }
            self[keyPath: member] = value
            return true
        }
        switch name {
        case "version": return store(reader.readString(), in: \.version)
        case "server_id": return store(reader.readString(), in: \.serverID)
        case "server_name": return store(reader.readString(), in: \.serverName)
        case "cluster": return store(reader.readString().map { $0 }, in: \.cluster)
        case "jetstream": return store(reader.readBool(), in: \.jetStream)
        case "headers": return store(reader.readBool(), in: \.headers)
        case "tls_required": return store(reader.readBool(), in: \.tlsRequired)
        default: return reader.skipValue()
        }
    }
}
