import Glibc

/// One resolved address of a server, with the credentials to use there.
struct Peer: Sendable {
    /// Numeric, without credentials: cnats resolves nothing.
    let url: String
    let user: String?
    let password: String?
    private let address: [UInt8]
    private let family: Int32

    /// All addresses of a server; blocks as long as the system's resolver does.
    static func resolve(_ server: ServerURL) -> [Peer] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_ADDRCONFIG
        var list: UnsafeMutablePointer<addrinfo>?
        var status = getaddrinfo(server.host, String(server.port), &hints, &list)
        if status != 0 {
            hints.ai_flags = 0
            status = getaddrinfo(server.host, String(server.port), &hints, &list)
        }
        guard status == 0 else { return [] }
        defer { freeaddrinfo(list) }
        var peers: [Peer] = []
        var next = list
        while let info = next?.pointee {
            if let address = info.ai_addr, let peer = Peer(server, address, info.ai_addrlen) { peers.append(peer) }
            next = info.ai_next
        }
        return peers
    }

    private init?(_ server: ServerURL, _ pointer: UnsafeMutablePointer<sockaddr>, _ length: socklen_t) {
        var host = [CChar](repeating: 0, count: 128)
        guard getnameinfo(pointer, length, &host, socklen_t(host.count), nil, 0, NI_NUMERICHOST) == 0 else {
            return nil
        }
        let text = String(decoding: host.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        family = Int32(pointer.pointee.sa_family)
        address = Array(UnsafeRawBufferPointer(start: pointer, count: Int(length)))
        url = family == AF_INET6 ? "nats://[\(text)]:\(server.port)" : "nats://\(text):\(server.port)"
        user = server.user
        password = server.password
    }

    /// A non-blocking socket on its way to the peer, or nil.
    func startConnecting() -> Int32? {
        let socket = Glibc.socket(
            family,
            Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue),
            0
        )
        guard socket >= 0 else { return nil }
        let status = withAddress { connect(socket, $0, $1) }
        guard status == 0 || errno == EINPROGRESS else {
            close(socket)
            return nil
        }
        return socket
    }

    /// Whether the socket's other end, connected or on its way, is this peer.
    func isPeer(of socket: Int32) -> Bool {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let status = withUnsafeMutableBytes(of: &storage) { bytes in
            guard let base = bytes.baseAddress else { return Int32(-1) }
            return getpeername(socket, base.assumingMemoryBound(to: sockaddr.self), &length)
        }
        guard status == 0 else { return false }
        // Family, port and address; the flow and scope of IPv6 do not matter.
        let compared = family == AF_INET6 ? 24 : 8
        return withUnsafeBytes(of: &storage) { $0.prefix(compared).elementsEqual(address.prefix(compared)) }
            || (family == AF_INET6 && sameIPv6(storage))
    }

    private func sameIPv6(_ storage: sockaddr_storage) -> Bool {
        withUnsafeBytes(of: storage) { bytes in
            bytes.prefix(4).elementsEqual(address.prefix(4))
                && bytes.dropFirst(8).prefix(16).elementsEqual(address.dropFirst(8).prefix(16))
        }
    }

    private func withAddress(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        address.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return -1 }
            return body(base.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
        }
    }
}
