import Glibc

/// The sockets of a ``GatewayMiddleman``: a listener, and a pair of connections for each one of the gateway's.
///
/// Used by one thread only.
final class MiddlemanRelay {
    var isRefusing = false
    var releasesSeen = 0
    private let listener: TestSocket
    private let serverPort: UInt16
    private var pairs: [MiddlemanPair] = []

    init(listener: TestSocket, serverPort: UInt16) {
        (self.listener, self.serverPort) = (listener, serverPort)
    }

    func closeAll() {
        pairs = []
        listener.close()
    }

    func sendHeld() {
        for pair in pairs { pair.sendHeld() }
    }

    /// Waits a little for bytes and hands each whole operation on.
    func turn(
        fromClient: (NATSOperation, MiddlemanPair) -> Void,
        fromServer: (NATSOperation, MiddlemanPair) -> Void
    ) {
        if isRefusing { pairs = [] }
        let descriptors = [listener.descriptor] + pairs.flatMap { [$0.client.descriptor, $0.server.descriptor] }
        var entries = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        guard poll(&entries, nfds_t(entries.count), 5) > 0 else { return }
        for (index, pair) in pairs.enumerated() {
            if entries[2 * index + 1].revents != 0 { pair.readClient { fromClient($0, pair) } }
            if entries[2 * index + 2].revents != 0 { pair.readServer { fromServer($0, pair) } }
        }
        pairs.removeAll { $0.isClosed }
        if entries[0].revents != 0, let client = listener.accept(timeoutMilliseconds: 0), !isRefusing,
            let server = TestSocket.connect(port: serverPort)
        {
            pairs.append(MiddlemanPair(client: client, server: server))
        }
    }
}

/// One connection of the gateway and the one to the server that belongs to it.
final class MiddlemanPair {
    let client: TestSocket
    let server: TestSocket
    private(set) var isClosed = false
    private var clientReader = NATSOperationReader()
    private var serverReader = NATSOperationReader()
    private var acks: Set<String> = []
    private var sid = "1"
    private var held: [(payload: [UInt8], subject: String)] = []

    init(client: TestSocket, server: TestSocket) {
        (self.client, self.server) = (client, server)
    }

    deinit {
        client.close()
        server.close()
    }

    func readClient(_ body: (NATSOperation) -> Void) {
        isClosed = !clientReader.fill(from: client)
        while let operation = clientReader.next() { body(operation) }
    }

    func readServer(_ body: (NATSOperation) -> Void) {
        isClosed = !serverReader.fill(from: server)
        while let operation = serverReader.next() { body(operation) }
    }

    func expectAck(on reply: String) { acks.insert(reply) }
    func isAck(_ subject: String) -> Bool { acks.contains(subject) }

    /// Remembers under which subscription the server delivers, for answers that are made up here.
    func noteServer(_ operation: NATSOperation) {
        if operation.verb == "MSG" || operation.verb == "HMSG", let id = operation.subscription { sid = id }
    }

    func send(_ answers: [GatewayMiddleman.Answer], on subject: String) {
        for answer in answers {
            switch answer {
            case .payload(let payload): sendMessage(payload, subject)
            case .held(let payload): held.append((payload, subject))
            case .noResponders:
                sendToClient(latin1("HMSG \(subject) \(sid) 16 16\r\nNATS/1.0 503\r\n\r\n\r\n"))
            }
        }
    }

    func sendHeld() {
        for (payload, subject) in held { sendMessage(payload, subject) }
        held = []
    }

    private func sendMessage(_ payload: [UInt8], _ subject: String) {
        sendToClient(latin1("MSG \(subject) \(sid) \(payload.count)\r\n") + payload + [13, 10])
    }

    func sendToServer(_ bytes: [UInt8]) {
        if !server.send(bytes) { isClosed = true }
    }

    func sendToClient(_ bytes: [UInt8]) {
        if !client.send(bytes) { isClosed = true }
    }
}

/// One operation of the NATS protocol, in either direction: its line, and the payload if it has one.
struct NATSOperation {
    let line: String
    let raw: [UInt8]
    private let words: [Substring]
    private let body: ArraySlice<UInt8>

    init(line: String, raw: [UInt8], body: ArraySlice<UInt8>) {
        (self.line, self.raw, self.body) = (line, raw, body)
        words = line.split(separator: " ")
    }

    var verb: String { words.first.map { $0.uppercased() } ?? "" }
    var subject: String? { words.count > 1 ? String(words[1]) : nil }
    /// Of a MSG or HMSG.
    var subscription: String? { words.count > 2 ? String(words[2]) : nil }

    /// Of a PUB or HPUB.
    var replyOfPublish: String? {
        let count = verb == "HPUB" ? 5 : 4
        return words.count == count ? String(words[2]) : nil
    }

    /// The header block and what follows it.
    var parts: (header: [UInt8], payload: [UInt8]) {
        guard verb.hasPrefix("H"), words.count > 3, let size = Int(words[words.count - 2]), size <= body.count else {
            return ([], Array(body))
        }
        return (Array(body.prefix(size)), Array(body.dropFirst(size)))
    }
}

/// Cuts a stream of bytes into operations.
struct NATSOperationReader {
    private var buffer: [UInt8] = []

    /// Reads what there is.
    ///
    /// - Returns: false at the end of the stream.
    mutating func fill(from socket: TestSocket) -> Bool {
        guard let bytes = socket.receive(timeoutMilliseconds: 0) else { return true }
        buffer += bytes
        return !bytes.isEmpty
    }

    /// The next whole operation, or `nil` when its end has not come yet.
    mutating func next() -> NATSOperation? {
        guard let newline = buffer.firstIndex(of: 10) else { return nil }
        let line = String(decoding: buffer[..<newline].filter { $0 != 13 }, as: UTF8.self)
        let words = line.split(separator: " ")
        var end = newline + 1
        var body = buffer[end..<end]
        let hasBody = ["PUB", "HPUB", "MSG", "HMSG"].contains(words.first?.uppercased())
        if hasBody, let size = words.last.flatMap({ Int($0) }) {
            guard buffer.count >= end + size + 2 else { return nil }
            body = buffer[end..<(end + size)]
            end += size + 2
        }
        let operation = NATSOperation(line: line, raw: Array(buffer[..<end]), body: body)
        buffer.removeFirst(end)
        return operation
    }
}
