import Foundation
import ServerFixtures

/// A NATS server on loopback that answers every message with bytes of the test's own making.
///
/// For what no well-formed broker can be made to say. It greets, answers PING and remembers subscriptions by itself.
final class RawServer: Sendable {
    /// A message that came: where its answer is expected, and on which subscription.
    struct Request: Sendable {
        /// Number of the message, from 0, over all connections.
        let number: Int
        let subject: String
        /// The reply subject without its last token, with the final dot.
        let replyPrefix: String
        /// The last token of the reply subject.
        let replyToken: String
        /// The client's number of the subscription for answers.
        let sid: String

        var replySubject: String { replyPrefix + replyToken }

        /// An acknowledgement by `EVENTS`.
        func acknowledgement(sequence: Int = 1) -> String {
            message(to: replySubject, #"{"stream":"EVENTS","seq":\#(sequence)}"#)
        }

        /// A message to any subject, on the subscription for answers.
        func message(to subject: String, _ payload: String) -> String {
            "MSG \(subject) \(sid) \(payload.utf8.count)\r\n\(payload)\r\n"
        }
    }

    /// The server's INFO, with its limit for messages.
    static func info(maxPayload: Int = 1_048_576) -> String {
        #"INFO {"server_id":"RAW","version":"2.9.10","proto":1,"headers":true,"max_payload":\#(maxPayload)}"# + "\r\n"
    }

    /// Loopback has no free port.
    struct CannotListen: Error {}

    private let listener: TestSocket
    private let sockets = Shared<[TestSocket]>([])
    private let requestCount = Shared(0)

    /// Listens at once; each message is answered with what `answer` returns, as it is.
    init(answer: @escaping @Sendable (Request) -> String) throws {
        guard let listener = TestSocket.listen(port: 0) else { throw CannotListen() }
        self.listener = listener
        Thread { [sockets, requestCount] in
            while let socket = listener.accept(timeoutMilliseconds: -1) {
                sockets.withLock { $0.append(socket) }
                Thread { Self.serve(socket, requestCount, answer) }.start()
            }
        }.start()
    }

    deinit {
        listener.close()
        for socket in sockets.current { socket.close() }
    }

    var url: String { "nats://127.0.0.1:\(listener.localPort)" }

    /// Messages that came so far, without the client's probes.
    var count: Int { requestCount.current }

    private static func serve(
        _ socket: TestSocket,
        _ requestCount: Shared<Int>,
        _ answer: (Request) -> String
    ) {
        var sid = ""
        socket.send(info())
        while let line = socket.readLine(timeoutMilliseconds: 60_000) {
            let words = line.split(separator: " ").map(String.init)
            switch words.first {
            case "PING": socket.send("PONG\r\n")
            case "SUB": sid = words[words.count - 1]
            case "PUB", "HPUB":
                guard let size = Int(words[words.count - 1]), let body = socket.read(size + 2) else { return }
                if words[1].hasPrefix("_INBOX.") {
                    socket.send(Array("MSG \(words[1]) \(sid) \(size)\r\n".utf8) + body)
                    continue
                }
                let dot = words[2].lastIndex(of: ".") ?? words[2].startIndex
                let request = Request(
                    number: requestCount.withLock { count in
                        defer { count += 1 }
                        return count
                    },
                    subject: words[1],
                    replyPrefix: String(words[2][...dot]),
                    replyToken: String(words[2][dot...].dropFirst()),
                    sid: sid
                )
                socket.send(answer(request))
            default: break
            }
        }
    }
}
