import Glibc

/// Opens sockets to the server, never waiting past a deadline or for a closing client.
struct Dialer {
    let core: RedisCore
    let waiter: Waiter
    /// A look-up that did not end in time; asked again before another is started.
    private var lookup: Lookup?

    init(core: RedisCore) {
        self.core = core
        waiter = Waiter(wake: core.wake)
    }

    /// The addresses to try, in the system's order.
    mutating func addresses(until deadline: Nanoseconds) throws(LinkFailure) -> [SocketAddress] {
        let host: String
        let port: UInt16
        switch core.configuration.endpoint {
        case .unix(let path): return [SocketAddress(path: path)]
        case .tcp(let name, let number): (host, port) = (name, number)
        }
        if let addresses = Lookup.numeric(host: host, port: port) { return addresses }
        let lookup = lookup ?? Lookup(host: host, port: port, wake: core.wake)
        self.lookup = lookup
        while true {
            if let addresses = lookup.result {
                self.lookup = nil
                if addresses.isEmpty { throw .lost("the host name has no address") }
                return addresses
            }
            if core.isClosing { throw .closing }
            if monotonicNow() >= deadline { throw .lost("the host name was not resolved in time") }
            _ = waiter.wait(until: deadline)
        }
    }

    /// A connected, non-blocking socket, the caller's to close.
    func connect(to address: SocketAddress, until deadline: Nanoseconds) throws(LinkFailure) -> Int32 {
        let socket = Glibc.socket(
            address.family,
            Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue),
            0
        )
        guard socket >= 0 else { throw .lost(systemErrorText(errno)) }
        do throws(LinkFailure) {
            try connect(socket, to: address, until: deadline)
        } catch {
            close(socket)
            throw error
        }
        return socket
    }

    private func connect(_ socket: Int32, to address: SocketAddress, until deadline: Nanoseconds) throws(LinkFailure) {
        let status = address.withPointer { Glibc.connect(socket, $0, $1) } ?? -1
        if status != 0 {
            guard errno == EINPROGRESS else { throw .lost(systemErrorText(errno)) }
            while !waiter.wait(socket, writing: true, until: deadline).writable {
                if core.isClosing { throw .closing }
                if monotonicNow() >= deadline { throw .lost("no connection in time") }
            }
            var code: Int32 = 0
            var length = socklen_t(MemoryLayout<Int32>.size)
            getsockopt(socket, SOL_SOCKET, SO_ERROR, &code, &length)
            guard code == 0 else { throw .lost(systemErrorText(code)) }
        }
        guard address.family != AF_UNIX else { return }
        // Loopback connects a socket to itself when its own port is the one asked for and nobody listens.
        if Self.isSelfConnected(socket) { throw .lost(systemErrorText(ECONNREFUSED)) }
        var one: Int32 = 1
        setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &one, socklen_t(MemoryLayout<Int32>.size))
    }

    private static func isSelfConnected(_ socket: Int32) -> Bool {
        guard let own = name(of: socket, getsockname), let peer = name(of: socket, getpeername) else { return false }
        return own == peer
    }

    private static func name(
        of socket: Int32,
        _ call: (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
    ) -> [UInt8]? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutableBytes(of: &storage) { bytes in
            guard let base = bytes.baseAddress, call(socket, base.assumingMemoryBound(to: sockaddr.self), &length) == 0
            else { return nil }
            return Array(bytes.prefix(Int(length)))
        }
    }
}
