import Foundation

/// A small blocking NATS client of its own, independent of cnats: the tests' second opinion.
package final class NATSProbe: @unchecked Sendable {
    // Safe: each probe is used by one thread at a time, as every test does.
    private let socket: TestSocket
    private let inbox = "_INBOX.sluice.probe\(UInt64.random(in: 0 ... .max))"
    private var nextReply = 0
    /// The server's INFO line.
    package let info: String

    /// The server does not do what a probe asks of it.
    package struct Failure: Error {
        package let what: String
    }

    /// Connects to `nats://127.0.0.1:port`.
    package convenience init(url: String) throws {
        guard let port = url.split(separator: ":").last.flatMap({ UInt16($0) }) else { throw Failure(what: url) }
        try self.init(port: port)
    }

    /// Connects.
    package init(port: UInt16, user: String? = nil, password: String? = nil) throws {
        guard let socket = TestSocket.connect(port: port), let info = socket.readLine() else {
            throw Failure(what: "no NATS server on port \(port)")
        }
        self.socket = socket
        self.info = info
        let credentials = user.map { ",\"user\":\"\($0)\",\"pass\":\"\(password ?? "")\"" } ?? ""
        let options =
            "{\"verbose\":false,\"headers\":true,\"no_responders\":true,\"lang\":\"test\",\"version\":\"0\"\(credentials)}"
        socket.send("CONNECT \(options)\r\nSUB \(inbox).* 1\r\nPING\r\n")
        guard socket.readLine() == "PONG" else { throw Failure(what: "the server refuses the connection") }
    }

    /// A message as it came.
    package struct Message: Sendable {
        package let subject: String
        /// The header block as it came, empty if there was none.
        package let headers: String
        package let payload: [UInt8]
        package var text: String { String(decoding: payload, as: UTF8.self) }
    }

    /// Publishes, with header lines such as `Nats-Msg-Id: 1`.
    package func publish(_ subject: String, headers: [String] = [], payload: [UInt8], reply: String = "") {
        let target = reply.isEmpty ? subject : "\(subject) \(reply)"
        if headers.isEmpty {
            socket.send(Array("PUB \(target) \(payload.count)\r\n".utf8) + payload + [13, 10])
        } else {
            let block = Array("NATS/1.0\r\n\(headers.map { $0 + "\r\n" }.joined())\r\n".utf8)
            let head = "HPUB \(target) \(block.count) \(block.count + payload.count)\r\n"
            socket.send(Array(head.utf8) + block + payload + [13, 10])
        }
    }

    /// Subscribes to a subject; read with ``nextMessage(timeoutMilliseconds:)``.
    package func subscribe(_ subject: String) { socket.send("SUB \(subject) 2\r\n") }

    /// Sends a request and returns its answer; nil without one in time.
    package func request(
        _ subject: String,
        headers: [String] = [],
        payload: [UInt8] = [],
        timeoutMilliseconds: Int32 = 5000
    ) -> Message? {
        nextReply += 1
        let reply = "\(inbox).\(nextReply)"
        publish(subject, headers: headers, payload: payload, reply: reply)
        while let message = nextMessage(timeoutMilliseconds: timeoutMilliseconds) {
            if message.subject == reply { return message }
        }
        return nil
    }

    /// Sends a request and returns its answer's payload.
    package func request(_ subject: String, _ payload: [UInt8]) throws -> [UInt8] {
        guard let answer = request(subject, payload: payload) else { throw Failure(what: "no answer to \(subject)") }
        return answer.payload
    }

    /// A JSON request, its answer parsed.
    package func json(_ subject: String, _ payload: String = "") -> [String: Any]? {
        guard let answer = request(subject, payload: Array(payload.utf8)) else { return nil }
        return try? JSONSerialization.jsonObject(with: Data(answer.payload)) as? [String: Any]
    }

    /// The next message of any subscription; PINGs are answered meanwhile.
    package func nextMessage(timeoutMilliseconds: Int32 = 5000) -> Message? {
        while let line = socket.readLine(timeoutMilliseconds: timeoutMilliseconds) {
            let words = line.split(separator: " ").map(String.init)
            switch words.first {
            case "PING": socket.send("PONG\r\n")
            case "MSG": return readMessage(words, headerCount: 0)
            case "HMSG": return readMessage(words, headerCount: Int(words[words.count - 2]) ?? 0)
            default: continue
            }
        }
        return nil
    }

    private func readMessage(_ words: [String], headerCount: Int) -> Message? {
        guard let total = words.last.flatMap({ Int($0) }), let bytes = socket.read(total + 2) else { return nil }
        return Message(
            subject: words[1],
            headers: String(decoding: bytes[..<headerCount], as: UTF8.self),
            payload: Array(bytes[headerCount..<total])
        )
    }

    // MARK: JetStream

    /// Creates a stream; `settings` are more members of its configuration, such as `"max_msgs":10`.
    @discardableResult
    package func createStream(_ name: String, subjects: [String], settings: String = "") -> [String: Any]? {
        let list = subjects.map { "\"\($0)\"" }.joined(separator: ",")
        let more = settings.isEmpty ? "" : "," + settings
        return json("$JS.API.STREAM.CREATE.\(name)", "{\"name\":\"\(name)\",\"subjects\":[\(list)]\(more)}")
    }

    /// The stream's configuration and state; nil if it does not exist.
    package func streamInfo(_ name: String) -> [String: Any]? {
        guard let info = json("$JS.API.STREAM.INFO.\(name)"), info["error"] == nil else { return nil }
        return info
    }

    /// Messages in a stream; -1 if it does not exist.
    package func count(_ stream: String) -> Int {
        ((streamInfo(stream)?["state"] as? [String: Any])?["messages"] as? NSNumber)?.intValue ?? -1
    }

    /// The sequence of a stream's newest message.
    package func lastSequence(_ stream: String) -> Int {
        ((streamInfo(stream)?["state"] as? [String: Any])?["last_seq"] as? NSNumber)?.intValue ?? -1
    }

    /// A stored message: subject, header block and payload as they are.
    package func message(_ stream: String, sequence: Int) -> Message? {
        guard let answer = json("$JS.API.STREAM.MSG.GET.\(stream)", "{\"seq\":\(sequence)}"),
            let message = answer["message"] as? [String: Any], let subject = message["subject"] as? String
        else { return nil }
        func bytes(_ member: String) -> [UInt8] {
            (message[member] as? String).flatMap { Data(base64Encoded: $0) }.map { Array($0) } ?? []
        }
        return Message(
            subject: subject,
            headers: String(decoding: bytes("hdrs"), as: UTF8.self),
            payload: bytes("data")
        )
    }
}
