import Foundation
import Glibc

/// A sink: an HTTP/1.1 server on loopback that does with each request what a script says, and keeps what came.
///
/// A thread for the listener and one for each connection; safe from any thread.
package final class WebhookReceiver: Sendable {
    /// What a request gets.
    package enum Reply: Sendable {
        /// An answer with these fields beside its length, and an empty body.
        case status(Int, fields: [(name: String, value: String)] = [])
        /// No answer, with the connection open.
        case hang
        /// A reset connection.
        case reset
        /// An answer that ends before its announced length.
        case half
    }

    /// A request as it came.
    package struct Received: Sendable {
        package let method: String
        package let target: String
        /// Names in lower case, in order.
        package let fields: [(name: String, value: String)]
        package let body: [UInt8]

        /// The first field of this name, which is in lower case.
        package subscript(name: String) -> String? { fields.first { $0.name == name }?.value }
        package var text: String { String(decoding: body, as: UTF8.self) }
        package var json: WireJSON { (try? WireJSON(parsing: body)) ?? .null }
    }

    /// Says what to do; gets the request and how many of its method came before.
    package typealias Script = @Sendable (_ request: Received, _ before: Int) -> Reply

    package let port: UInt16
    private let listener: TestSocket
    private let script: Script
    private let received = Shared<[Received]>([])
    private let connections = Shared<[TestSocket]>([])
    private let isStopped = Shared(false)

    /// Listens on a port of loopback, 0 for a free one.
    package init(port: UInt16 = 0, _ script: @escaping Script) throws {
        guard let listener = TestSocket.listen(port: port) else { throw NoFreePort() }
        self.listener = listener
        self.port = listener.localPort
        self.script = script
        Thread { [weak self] in
            while let socket = Self.next(listener) {
                guard let self, !self.isStopped.current else { return }
                self.connections.withLock { $0.append(socket) }
                Thread { [weak self] in self?.serve(socket) }.start()
            }
        }.start()
    }

    /// Answers everything with one status.
    package convenience init(port: UInt16 = 0, status: Int = 204) throws {
        try self.init(port: port) { _, _ in .status(status) }
    }

    deinit { stop() }

    /// Closes the listener and all connections: whoever connects from now on is refused.
    package func stop() {
        isStopped.withLock { $0 = true }
        listener.close()
        for socket in connections.current { socket.close() }
    }

    package var url: String { "http://127.0.0.1:\(port)/sink" }

    /// Everything that came so far.
    package var requests: [Received] { received.current }
    /// The deliveries that came so far.
    package var posts: [Received] { received.current.filter { $0.method == "POST" } }
    /// The handshakes that came so far.
    package var handshakes: [Received] { received.current.filter { $0.method == "OPTIONS" } }

    private static func next(_ listener: TestSocket) -> TestSocket? {
        // A listener that was shut down becomes readable and gives nothing.
        guard listener.waitReadable(-1) else { return nil }
        return listener.accept(timeoutMilliseconds: 0)
    }

    private func serve(_ socket: TestSocket) {
        while let request = Self.read(socket) {
            let before = received.withLock { received in
                defer { received.append(request) }
                return received.count { $0.method == request.method }
            }
            switch script(request, before) {
            case .status(let status, let fields):
                let own = fields.map { "\($0.name): \($0.value)\r\n" }.joined()
                let length = status == 204 ? "" : "Content-Length: 0\r\n"
                guard socket.send("HTTP/1.1 \(status) Reply\r\n\(length)\(own)\r\n") else { return }
            case .hang:
                _ = socket.receive(timeoutMilliseconds: -1)
                return
            case .reset: return Self.reset(socket)
            case .half:
                socket.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
                return socket.close()
            }
        }
        socket.close()
    }

    /// One request with its body; nil at the end.
    private static func read(_ socket: TestSocket) -> Received? {
        guard let line = socket.readLine(timeoutMilliseconds: 600_000) else { return nil }
        let words = line.split(separator: " ")
        guard words.count == 3 else { return nil }
        var fields: [(name: String, value: String)] = []
        while let line = socket.readLine(), !line.isEmpty {
            let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else { return nil }
            fields.append((parts[0].lowercased(), parts[1].trimmingCharacters(in: .whitespaces)))
        }
        let length = fields.first { $0.name == "content-length" }.flatMap { Int($0.value) } ?? 0
        guard let body = length == 0 ? [] : socket.read(length, timeoutMilliseconds: 30_000) else { return nil }
        return Received(method: String(words[0]), target: String(words[1]), fields: fields, body: body)
    }

    /// Ends a connection with RST.
    private static func reset(_ socket: TestSocket) {
        // Connecting a socket to no family breaks its connection at once (connect(2)).
        var nowhere = sockaddr()
        nowhere.sa_family = sa_family_t(AF_UNSPEC)
        _ = Glibc.connect(socket.descriptor, &nowhere, socklen_t(MemoryLayout<sockaddr>.size))
    }
}
