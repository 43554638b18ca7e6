import Foundation
import ServerFixtures
import Testing

/// An HTTP server on loopback that answers as a test says, and keeps what it was asked: a gateway that means harm, a sink.
///
/// Serves one connection at a time on a thread of its own.
final class ScriptedGateway: Sendable {
    /// A request as it came.
    struct Request: Sendable {
        let method: String
        let target: String
        let headers: [String]
        let body: String
    }

    /// What it is answered with.
    struct Answer: Sendable {
        var status = 200
        var headers = ""
        var body: [UInt8] = []

        init(_ status: Int = 200, _ body: String = "", headers: String = "") {
            self.init(status, bytes: Array(body.utf8), headers: headers)
        }

        init(_ status: Int, bytes: [UInt8], headers: String = "") {
            self.status = status
            self.body = bytes
            self.headers = headers
        }
    }

    private let listener: TestSocket
    private let requests = Shared<[Request]>([])
    private let script: @Sendable (Request) -> Answer

    init(_ script: @escaping @Sendable (Request) -> Answer) throws {
        let listener = try #require(TestSocket.listen(port: 0), "no free port")
        self.listener = listener
        self.script = script
        Thread { [weak self] in
            while let socket = listener.accept(timeoutMilliseconds: 60_000) {
                guard let self else { return }
                self.serve(socket)
            }
        }.start()
    }

    deinit { listener.close() }

    var url: String { "http://127.0.0.1:\(listener.localPort)" }

    /// What has come so far.
    var received: [Request] { requests.withLock { $0 } }

    private func serve(_ socket: TestSocket) {
        while let request = Self.read(socket) {
            requests.withLock { $0.append(request) }
            let answer = script(request)
            let length = answer.status == 204 ? "" : "Content-Length: \(answer.body.count)\r\n"
            socket.send("HTTP/1.1 \(answer.status) X\r\n\(answer.headers)\(length)\r\n")
            guard socket.send(answer.body) else { return }
        }
    }

    private static func read(_ socket: TestSocket) -> Request? {
        guard let first = socket.readLine(timeoutMilliseconds: 30_000) else { return nil }
        var headers: [String] = []
        while let line = socket.readLine(), !line.isEmpty { headers.append(line) }
        let length = headers.first { $0.lowercased().hasPrefix("content-length:") }
            .flatMap { Int($0.split(separator: ":")[1].trimmingCharacters(in: .whitespaces)) }
        guard let body = socket.read(length ?? 0) else { return nil }
        let words = first.split(separator: " ")
        guard words.count == 3 else { return nil }
        return Request(
            method: String(words[0]),
            target: String(words[1]),
            headers: headers,
            body: String(decoding: body, as: UTF8.self)
        )
    }
}
