import Glibc

/// Asks the system for the addresses of a name.
enum AddressLookup {
    /// Blocks until the system answers, for many seconds if its DNS servers are slow.
    ///
    /// - Returns: The addresses in the system's order of preference (RFC 6724), each once.
    static func addresses(_ name: String) -> Result<[IPAddress], WebhookResolveFault> {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_ADDRCONFIG
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(name, nil, &hints, &list)
        guard status == 0 else { return .failure(WebhookResolveFault(reason: String(cString: gai_strerror(status)))) }
        defer { freeaddrinfo(list) }
        var addresses: [IPAddress] = []
        var entry = list
        while let current = entry {
            if let address = address(current.pointee), !addresses.contains(address) { addresses.append(address) }
            entry = current.pointee.ai_next
        }
        return .success(addresses)
    }

    private static func address(_ info: addrinfo) -> IPAddress? {
        guard let raw = info.ai_addr else { return nil }
        switch info.ai_family {
        case AF_INET:
            return raw.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                IPAddress(v4: UInt32(bigEndian: $0.pointee.sin_addr.s_addr))
            }
        case AF_INET6:
            return raw.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { pointer in
                withUnsafeBytes(of: pointer.pointee.sin6_addr) { IPAddress(bytes: Array($0)) }
            }
        default: return nil
        }
    }
}

/// Clocks and socket states of the system.
enum SystemCalls {
    /// Seconds since 1970.
    static func unixTime() -> Int64 { Int64(time(nil)) }

    static let tcpLevel = Int32(IPPROTO_TCP)
    static let tcpInfo = TCP_INFO
    /// Whether TCP's state tells that the peer has ended its side or the connection is gone.
    static func isHalfClosed(_ state: UInt8) -> Bool { state != UInt8(TCP_ESTABLISHED) }
}
