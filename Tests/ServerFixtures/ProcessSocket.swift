import Glibc

/// A loopback TCP socket with deadlines, for test clients and scripted servers.
package final class TestSocket: @unchecked Sendable {
    // Safe: `buffer` is used by the one thread that reads; sends and `shutdown` only use the descriptor.
    package let descriptor: Int32
    private var buffer: [UInt8] = []

    package init(descriptor: Int32) { self.descriptor = descriptor }

    deinit { Glibc.close(descriptor) }

    /// Connects to a port of loopback; nil if refused.
    package static func connect(port: UInt16) -> TestSocket? {
        let socket = TestSocket(
            descriptor: Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        )
        let status = withLoopback(port) { Glibc.connect(socket.descriptor, $0, $1) }
        guard status == 0 else { return nil }
        socket.setOption(Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        return socket
    }

    /// Listens on a port of loopback, 0 for any; nil if it is taken.
    package static func listen(port: UInt16, receiveBuffer: Int32? = nil) -> TestSocket? {
        let socket = TestSocket(
            descriptor: Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        )
        socket.setOption(SOL_SOCKET, SO_REUSEADDR, 1)
        if let receiveBuffer { socket.setOption(SOL_SOCKET, SO_RCVBUF, receiveBuffer) }
        guard withLoopback(port, { bind(socket.descriptor, $0, $1) }) == 0, Glibc.listen(socket.descriptor, 128) == 0
        else { return nil }
        return socket
    }

    /// Waits for a connection; nil when none came in time or the socket was shut down.
    package func accept(timeoutMilliseconds: Int32) -> TestSocket? {
        guard waitReadable(timeoutMilliseconds) else { return nil }
        let accepted = Glibc.accept(descriptor, nil, nil)
        // What a child inherits would keep a connection open that a test has closed.
        if accepted >= 0 { _ = fcntl(accepted, F_SETFD, FD_CLOEXEC) }
        guard accepted >= 0 else { return nil }
        let socket = TestSocket(descriptor: accepted)
        socket.setOption(Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        return socket
    }

    package var localPort: UInt16 {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        return UInt16(bigEndian: address.sin_port)
    }

    package func setOption(_ level: Int32, _ name: Int32, _ value: Int32) {
        var value = value
        _ = setsockopt(descriptor, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    private static func withLoopback(_ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr = in_addr(s_addr: UInt32(0x7F00_0001).bigEndian)
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    package func waitReadable(_ milliseconds: Int32) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&entry, 1, milliseconds) > 0
    }

    /// Sends everything, blocking; false if the peer is gone.
    @discardableResult
    package func send(_ bytes: some Collection<UInt8>) -> Bool {
        var rest = Array(bytes)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    @discardableResult
    package func send(_ text: String) -> Bool { send(text.utf8) }

    /// What is there, at most 64 KiB; empty at the end of the stream, nil when nothing came in time.
    package func receive(timeoutMilliseconds: Int32) -> [UInt8]? {
        guard waitReadable(timeoutMilliseconds) else { return nil }
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &bytes, bytes.count, 0)
        return count > 0 ? Array(bytes[..<count]) : []
    }

    /// One line without its CRLF; nil at the end or after the deadline.
    package func readLine(timeoutMilliseconds: Int32 = 5000) -> String? {
        while true {
            if let end = buffer.firstIndex(of: 10) {
                let line = buffer[..<end].filter { $0 != 13 }
                buffer.removeSubrange(...end)
                return String(decoding: line, as: UTF8.self)
            }
            guard let more = receive(timeoutMilliseconds: timeoutMilliseconds), !more.isEmpty else { return nil }
            buffer += more
        }
    }

    /// Exactly so many bytes; nil at the end or after the deadline.
    package func read(_ count: Int, timeoutMilliseconds: Int32 = 5000) -> [UInt8]? {
        while buffer.count < count {
            guard let more = receive(timeoutMilliseconds: timeoutMilliseconds), !more.isEmpty else { return nil }
            buffer += more
        }
        defer { buffer.removeFirst(count) }
        return Array(buffer[..<count])
    }

    /// Ends both directions; the descriptor stays until the value goes.
    package func close() { _ = shutdown(descriptor, Int32(SHUT_RDWR)) }
}
