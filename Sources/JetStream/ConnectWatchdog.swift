import Glibc

/// Ends a connection attempt that cnats does not end itself.
///
/// cnats 3.4.1 ignores its timeout between CONNECT and PONG: with a server that is silent there it spins for ever, and its
/// memory grows (C-05). The socket is cnats' own, so it is looked for among the process's: those connected to the peer
/// that were not open before the attempt and belong to no established link. Shutting it down makes cnats return.
final class ConnectWatchdog: Sendable {
    private struct Attempt {
        let peer: Peer
        let deadline: Nanoseconds
        let before: Set<Int32>
    }

    private let attempt = Locked<Attempt?>(nil)
    private let onBegin: @Sendable () -> Void
    /// Sockets of established links of all clients in the process.
    private static let established = Locked<Set<Int32>>([])

    /// `onBegin` wakes the thread that calls ``check(now:)``.
    init(onBegin: @escaping @Sendable () -> Void) {
        self.onBegin = onBegin
    }

    /// Call before cnats connects.
    func begin(peer: Peer, deadline: Nanoseconds) {
        let before = Self.socketsToPeer(peer)
        attempt.withLock { $0 = Attempt(peer: peer, deadline: deadline, before: before) }
        onBegin()
    }

    /// Call when cnats has returned.
    func end() { attempt.withLock { $0 = nil } }

    /// When to call ``check(now:)``.
    var nextCheck: Nanoseconds { attempt.withLock { $0?.deadline } ?? .max }

    /// Cuts an overdue attempt; repeats while it lasts, since cnats may open another socket.
    func check(now: Nanoseconds) {
        attempt.withLock { attempt in
            guard let current = attempt, now >= current.deadline else { return }
            let spared = current.before.union(Self.established.withLock { $0 })
            for socket in Self.socketsToPeer(current.peer) where !spared.contains(socket) {
                _ = shutdown(socket, Int32(SHUT_RDWR))
            }
            attempt = Attempt(peer: current.peer, deadline: now + 100_000_000, before: current.before)
        }
    }

    static func addEstablished(_ socket: Int32) { established.withLock { _ = $0.insert(socket) } }
    static func removeEstablished(_ socket: Int32) { established.withLock { _ = $0.remove(socket) } }

    private static func socketsToPeer(_ peer: Peer) -> Set<Int32> {
        var sockets: Set<Int32> = []
        guard let directory = opendir("/proc/self/fd") else { return sockets }
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if let descriptor = Int32(name), peer.isPeer(of: descriptor) { sockets.insert(descriptor) }
        }
        return sockets
    }
}
