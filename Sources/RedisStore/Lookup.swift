import Glibc
import WorkerThreads

/// The address of a socket, as the system's calls take it.
struct SocketAddress: Sendable {
    let bytes: [UInt8]

    var family: Int32 {
        bytes.withUnsafeBytes { $0.count < 2 ? AF_UNSPEC : Int32($0.loadUnaligned(as: sa_family_t.self)) }
    }

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// A socket in the file system; the path has at most 107 bytes.
    init(path: String) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8).prefix(107)) }
        bytes = withUnsafeBytes(of: address) { Array($0) }
    }

    func withPointer<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result? {
        bytes.withUnsafeBytes { buffer in
            buffer.baseAddress.map { body($0.assumingMemoryBound(to: sockaddr.self), socklen_t(buffer.count)) }
        }
    }
}

/// One look-up of a host name on a thread of its own, since `getaddrinfo` has no deadline.
///
/// It may be left alone: the thread ends when the resolver answers.
final class Lookup: Sendable {
    private let addresses = Locked<[SocketAddress]?>(nil)

    /// The addresses once they are there, none if the name has none.
    var result: [SocketAddress]? { addresses.withLock { $0 } }

    /// Starts at once; signals `wake` when done.
    init(host: String, port: UInt16, wake: WakeSignal) {
        let isStarted = startThread(named: "redis-lookup") { [self] in
            let found = Self.resolve(host, port, flags: AI_ADDRCONFIG) ?? Self.resolve(host, port, flags: 0) ?? []
            addresses.withLock { $0 = found }
            wake.signal()
        }
        if isStarted { return }
        // No address this time: the next attempt tries again.
        addresses.withLock { $0 = [] }
        wake.signal()
    }

    /// The address if the host is one in digits; never waits.
    static func numeric(host: String, port: UInt16) -> [SocketAddress]? {
        resolve(host, port, flags: AI_NUMERICHOST)
    }

    private static func resolve(_ host: String, _ port: UInt16, flags: Int32) -> [SocketAddress]? {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = flags | AI_NUMERICSERV
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, String(port), &hints, &list) == 0 else { return nil }
        defer { freeaddrinfo(list) }
        var addresses: [SocketAddress] = []
        var next = list
        while let info = next?.pointee {
            if let address = info.ai_addr {
                let bytes = UnsafeRawBufferPointer(start: address, count: Int(info.ai_addrlen))
                addresses.append(SocketAddress(Array(bytes)))
            }
            next = info.ai_next
        }
        return addresses
    }
}
