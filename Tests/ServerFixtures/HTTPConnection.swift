import Glibc

/// A blocking HTTP/1.1 client connection over a raw socket, for tests that care about every byte.
///
/// Not thread-safe: one test, one thread. Many requests at a time are many connections, or several requests sent
/// before the first response is read. Every wait has a deadline and fails the test when it passes.
package final class HTTPConnection {
    package let port: UInt16
    private let descriptor: Int32
    private let timeout: Duration
    private var buffer: [UInt8] = []

    /// Connects to the gateway on loopback.
    ///
    /// - Parameters:
    ///   - timeout: The deadline of each single send or receive.
    ///   - receiveBuffer: How many bytes the system keeps that were not read yet, about; `nil` for as many as it likes.
    /// - Throws: ``HTTPClientError`` when nothing listens there.
    package init(
        port: UInt16,
        timeout: Duration = .seconds(20),
        receiveBuffer: Int32? = nil
    ) throws(HTTPClientError) {
        self.port = port
        self.timeout = timeout
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw .socket(call: "socket", errno: errno) }
        // Before the connect, which tells the peer the window.
        if var size = receiveBuffer {
            _ = setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                connect(descriptor, generic, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        // A class whose stored properties all have values is deinitialised when its initialiser throws: `deinit` closes.
        guard status == 0 else { throw .socket(call: "connect", errno: errno) }
        var one: Int32 = 1
        _ = setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    }

    deinit { _ = Glibc.close(descriptor) }

    // MARK: Sending

    package func send(_ request: HTTPRequest) throws(HTTPClientError) {
        try send(request.bytes)
    }

    package func send(_ text: String) throws(HTTPClientError) {
        try send(latin1(text))
    }

    /// Sends exactly these bytes.
    package func send(_ bytes: [UInt8]) throws(HTTPClientError) {
        let deadline = ContinuousClock.now + timeout
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes { raw in
                Glibc.send(descriptor, raw.baseAddress, raw.count, Int32(MSG_NOSIGNAL))
            }
            if count > 0 {
                sent += count
            } else if errno == EAGAIN {
                guard wait(for: Int16(POLLOUT), until: deadline) else { throw .timeout(waitingFor: "room to send") }
            } else if errno != EINTR {
                throw .socket(call: "send", errno: errno)
            }
        }
    }

    /// Says that nothing more will be sent, and keeps reading.
    package func closeForWriting() {
        _ = shutdown(descriptor, Int32(SHUT_WR))
    }

    // MARK: Receiving

    /// The next response, also an interim one such as 100.
    ///
    /// - Parameter method: The request's method: the answer to a HEAD has no body whatever its fields say.
    package func receive(answering method: String = "POST") throws(HTTPClientError) -> HTTPResponse {
        let deadline = ContinuousClock.now + timeout
        let parser = HTTPResponseParser(answering: method)
        while true {
            if let (response, used) = try parser.parse(buffer, ended: false) {
                buffer.removeFirst(used)
                return response
            }
            guard try fill(until: deadline) else {
                if let (response, used) = try parser.parse(buffer, ended: true) {
                    buffer.removeFirst(used)
                    return response
                }
                throw .closed(after: buffer.count)
            }
        }
    }

    /// Sends many requests at once and takes their answers while it sends.
    ///
    /// A client that only sends would wait for ever as soon as the answers fill the system's buffers.
    ///
    /// - Parameters:
    ///   - count: How many answers are due.
    ///   - take: Gets each answer and its number, from 0, in the order in which they come.
    /// - Throws: ``HTTPClientError`` when nothing can be sent or read for the length of the timeout, or the
    ///   connection ends early.
    package func pipeline(
        _ bytes: [UInt8],
        answers count: Int,
        take: (Int, HTTPResponse) -> Void
    ) throws(HTTPClientError) {
        let parser = HTTPResponseParser(answering: "POST")
        var rest = bytes[...]
        var taken = 0
        while true {
            while let (response, used) = try parser.parse(buffer, ended: false) {
                buffer.removeFirst(used)
                take(taken, response)
                taken += 1
            }
            guard taken < count else { return }
            let sent = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if sent > 0 { rest = rest.dropFirst(sent) }
            guard sent > 0 || rest.isEmpty || errno == EAGAIN || errno == EINTR else {
                throw .socket(call: "send", errno: errno)
            }
            let deadline = ContinuousClock.now + timeout
            guard wait(for: Int16(rest.isEmpty ? POLLIN : POLLIN | POLLOUT), until: deadline) else {
                throw .timeout(waitingFor: "answer \(taken) of \(count)")
            }
            if hasUnreadBytes, try !fill(until: deadline) { throw .closed(after: buffer.count) }
        }
    }

    /// Reads once, at most 64 KiB, and keeps it for ``receive(answering:)``.
    ///
    /// - Returns: false at the end of the stream.
    package func readSome() throws(HTTPClientError) -> Bool {
        try fill(until: .now + timeout)
    }

    private var hasUnreadBytes: Bool {
        wait(for: Int16(POLLIN), until: .now)
    }

    /// Whether the gateway closes the connection before the deadline, with nothing more to read.
    package func isClosedByPeer() -> Bool {
        let deadline = ContinuousClock.now + timeout
        do {
            while try fill(until: deadline) {
                if !buffer.isEmpty { return false }
            }
            return buffer.isEmpty
        } catch .socket(_, errno: ECONNRESET) {
            return buffer.isEmpty
        } catch {
            return false
        }
    }

    /// Whether there is something to read within this time; for tests that something does *not* come yet.
    package func hasSomethingToRead(within time: Duration) -> Bool {
        !buffer.isEmpty || wait(for: Int16(POLLIN), until: .now + time)
    }

    /// Reads what there is.
    ///
    /// - Returns: false at the end of the stream.
    private func fill(until deadline: ContinuousClock.Instant) throws(HTTPClientError) -> Bool {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(descriptor, &chunk, chunk.count, 0)
            if count > 0 {
                buffer += chunk[..<count]
                return true
            }
            if count == 0 { return false }
            if errno == EAGAIN {
                guard wait(for: Int16(POLLIN), until: deadline) else { throw .timeout(waitingFor: "a response") }
            } else if errno != EINTR {
                throw .socket(call: "recv", errno: errno)
            }
        }
    }

    /// Looks at least once, also after the deadline.
    private func wait(for events: Int16, until deadline: ContinuousClock.Instant) -> Bool {
        while true {
            let left = ContinuousClock.now.duration(to: deadline).components
            let milliseconds = max(0, left.seconds * 1000 + left.attoseconds / 1_000_000_000_000_000)
            var entry = pollfd(fd: descriptor, events: events, revents: 0)
            let ready = poll(&entry, 1, Int32(clamping: milliseconds))
            if ready > 0 { return true }
            if ready < 0 && errno != EINTR || milliseconds == 0 { return false }
        }
    }
}

extension HTTPConnection {
    /// Sends a request and returns its final response; interim ones (1xx) are passed over.
    package func exchange(_ request: HTTPRequest) throws(HTTPClientError) -> HTTPResponse {
        try send(request)
        while true {
            let response = try receive(answering: request.method)
            if response.status >= 200 { return response }
        }
    }

    package func get(_ target: String, headers: [(String, String)] = []) throws(HTTPClientError) -> HTTPResponse {
        try exchange(HTTPRequest("GET", target, headers: headers))
    }

    package func post(
        _ target: String,
        headers: [(String, String)] = [],
        body: [UInt8]
    ) throws(HTTPClientError) -> HTTPResponse {
        try exchange(HTTPRequest("POST", target, headers: headers, body: body))
    }

    package func post(
        _ target: String,
        headers: [(String, String)] = [],
        body: String
    ) throws(HTTPClientError) -> HTTPResponse {
        try post(target, headers: headers, body: Array(body.utf8))
    }
}
