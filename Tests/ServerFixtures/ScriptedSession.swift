import Foundation
import Glibc

/// One connection of a ``ScriptedBroker``, on a thread of its own.
final class ScriptedSession: @unchecked Sendable {
    // Safe: everything but `record` belongs to the session's thread.
    private let number: Int
    private let socket: TestSocket
    private let record = Shared<[UInt8]>([])
    private var input: [UInt8] = []
    private var start = 0
    private var subscriptions: [(sid: String, subject: String)] = []
    private var delayed: [(time: ContinuousClock.Instant, action: () -> Void)] = []
    private var open = true

    init(number: Int, socket: TestSocket) {
        self.number = number
        self.socket = socket
    }

    var recorded: [UInt8] { record.current }

    func close() { socket.close() }

    func run(_ broker: () -> ScriptedBroker?) {
        defer { socket.close() }
        switch broker()?.state.current.greeting {
        case .normal: socket.send(Self.info(""))
        case .info(let members): socket.send(Self.info(members))
        case .raw(let text): socket.send(text)
        case .silentAfterInfo:
            socket.send(Self.info(""))
            return waitForEnd(broker)
        case .silent, nil: return waitForEnd(broker)
        }
        while open, let broker = broker(), !broker.state.withLock({ $0.stopped }) {
            guard broker.state.withLock({ $0.reading }) else {
                _ = poll(nil, 0, 5)
                continue
            }
            runDelayed()
            guard let bytes = socket.receive(timeoutMilliseconds: delayed.isEmpty ? 50 : 2) else { continue }
            if bytes.isEmpty { return }
            record.withLock { $0 += bytes }
            input += bytes
            while open, handleOne(broker) {}
            input.removeSubrange(..<start)
            start = 0
        }
    }

    private func waitForEnd(_ broker: () -> ScriptedBroker?) {
        while let broker = broker(), !broker.state.withLock({ $0.stopped }) {
            guard let bytes = socket.receive(timeoutMilliseconds: 50) else { continue }
            if bytes.isEmpty { return }
            record.withLock { $0 += bytes }
        }
    }

    private static func info(_ members: String) -> String {
        let fixed = "\"server_id\":\"SCRIPTED\",\"server_name\":\"scripted\",\"version\":\"2.9.10\",\"proto\":1"
        return "INFO {\(fixed),\"headers\":true,\"max_payload\":1048576,\"jetstream\":true\(members)}\r\n"
    }

    private func runDelayed() {
        let now = ContinuousClock.now
        let due = delayed.filter { $0.time <= now }
        delayed.removeAll { $0.time <= now }
        for entry in due { entry.action() }
    }

    /// Handles one complete operation; false if there is none.
    private func handleOne(_ broker: ScriptedBroker) -> Bool {
        guard let end = input[start...].firstIndex(of: 10) else { return false }
        let line = String(decoding: input[start..<end].filter { $0 != 13 }, as: UTF8.self)
        let words = line.split(separator: " ").map(String.init)
        var next = end + 1
        switch words.first {
        case "PING": socket.send("PONG\r\n")
        case "SUB": subscriptions.append((words[words.count - 1], words[1]))
        case "PUB", "HPUB":
            let total = Int(words[words.count - 1]) ?? 0
            guard input.count >= next + total + 2 else { return false }
            let headerCount = words[0] == "HPUB" ? Int(words[words.count - 2]) ?? 0 : 0
            let fixed = words[0] == "HPUB" ? 4 : 3
            handle(
                broker,
                subject: words[1],
                reply: words.count > fixed ? words[2] : nil,
                headers: String(decoding: input[next..<next + headerCount], as: UTF8.self),
                payload: Array(input[next + headerCount..<next + total])
            )
            next += total + 2
        default: break
        }
        start = next
        return true
    }

    private func handle(_ broker: ScriptedBroker, subject: String, reply: String?, headers: String, payload: [UInt8]) {
        if subscriptions.contains(where: { Self.matches($0.subject, subject) }) {
            if broker.state.withLock({ $0.answeringProbes }) { deliver(payload, to: subject) }
            return
        }
        if subject.hasPrefix("$JS.API.") {
            guard let reply else { return }
            return deliver(Array(broker.answer(subject, payload).utf8), to: reply)
        }
        let publication = broker.state.withLock { state in
            let publication = ScriptedBroker.Publication(
                connection: number,
                number: state.publications.count,
                subject: subject,
                reply: reply,
                headers: headers,
                payload: payload
            )
            state.publications.append(publication)
            return publication
        }
        perform(broker.react(publication), publication, broker)
    }

    private func perform(
        _ reaction: ScriptedBroker.Reaction,
        _ publication: ScriptedBroker.Publication,
        _ broker: ScriptedBroker
    ) {
        switch reaction {
        case .acknowledge:
            let sequence = broker.state.withLock { state in
                state.sequence += 1
                return state.sequence
            }
            let stream = publication.header("Nats-Expected-Stream")
            deliver(Array("{\"stream\":\"\(stream)\",\"seq\":\(sequence)}".utf8), to: publication.reply ?? "")
        case .reply(let text): deliver(Array(text.utf8), to: publication.reply ?? "")
        case .noResponders: deliver([], headers: "NATS/1.0 503\r\n\r\n", to: publication.reply ?? "")
        case .silence: break
        case .close:
            open = false
            socket.close()
        case .error(let text):
            socket.send("-ERR '\(text)'\r\n")
            open = false
            socket.close()
        case .all(let reactions): for reaction in reactions { perform(reaction, publication, broker) }
        case .after(let delay, let reaction):
            delayed.append((ContinuousClock.now + delay, { [self] in perform(reaction, publication, broker) }))
        }
    }

    private func deliver(_ payload: [UInt8], headers: String = "", to subject: String) {
        guard let sid = subscriptions.first(where: { Self.matches($0.subject, subject) })?.sid else { return }
        let count = headers.utf8.count
        let head =
            headers.isEmpty
            ? "MSG \(subject) \(sid) \(payload.count)\r\n"
            : "HMSG \(subject) \(sid) \(count) \(count + payload.count)\r\n"
        socket.send(Array((head + headers).utf8) + payload + [13, 10])
    }

    private static func matches(_ pattern: String, _ subject: String) -> Bool {
        let wanted = pattern.split(separator: ".")
        let found = subject.split(separator: ".")
        for (index, token) in wanted.enumerated() {
            if token == ">" { return found.count > index }
            guard index < found.count, token == "*" || token == found[index] else { return false }
        }
        return wanted.count == found.count
    }
}

extension ScriptedBroker {
    /// The answer to an API request.
    fileprivate func answer(_ subject: String, _ payload: [UInt8]) -> String {
        let words = subject.split(separator: ".").map(String.init)
        let name = words.last ?? ""
        if subject == "$JS.API.INFO" {
            return "{\"memory\":0,\"storage\":0,\"streams\":0,\"limits\":{\"max_memory\":-1,\"max_storage\":-1}}"
        }
        guard words.count == 5, words[2] == "STREAM" else {
            return "{\"error\":{\"code\":400,\"err_code\":10025,\"description\":\"bad request\"}}"
        }
        let configuration = state.withLock { state in
            if ["CREATE", "UPDATE"].contains(words[3]) {
                state.streams[name] = String(decoding: payload, as: UTF8.self)
            }
            return state.streams[name]
        }
        guard let configuration else {
            return "{\"error\":{\"code\":404,\"err_code\":10059,\"description\":\"stream not found\"}}"
        }
        return "{\"config\":\(configuration),\"state\":{\"messages\":0,\"bytes\":0,\"first_seq\":0,\"last_seq\":0}}"
    }
}
