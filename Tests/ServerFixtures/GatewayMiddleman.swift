import Foundation

/// Sits between the gateway and a real nats-server, reads the protocol in both directions, and lies about PubAcks.
///
/// The whole gateway starts against it as against the server itself; only the acknowledgements of publishes to
/// `ce.>` are touched. It records what the gateway sends. One thread of its own moves the bytes.
///
/// Thread-safe: every member may be called from the test while the thread runs.
package final class GatewayMiddleman: @unchecked Sendable {
    // Safe: everything mutable is in `state`, behind `lock`; descriptors are touched by the one thread only.

    /// What becomes of the publish of an event and of its acknowledgement.
    package struct Rule: Sendable {
        /// Whether the server gets the publish at all.
        package var forwards = true
        /// What the gateway gets for the server's answer (or, when the server never got it, for nothing): the payloads
        /// of the messages that are sent in its place, one after the other.
        package var answers: @Sendable (_ original: [UInt8]) -> [Answer] = { [.payload($0)] }

        package init(forwards: Bool = true, answers: @escaping @Sendable ([UInt8]) -> [Answer] = { [.payload($0)] }) {
            (self.forwards, self.answers) = (forwards, answers)
        }

        /// Everything passes.
        package static let pass = Rule()
    }

    package enum Answer: Sendable {
        case payload([UInt8])
        /// The status message that nobody listens on the subject.
        case noResponders
        /// As `payload`, but only when ``GatewayMiddleman/release()`` is called.
        case held([UInt8])
    }

    /// A publish that the gateway sent.
    package struct Publish: Sendable {
        package let subject: String
        package let header: [UInt8]
        package let payload: [UInt8]
    }

    /// What the test wants of the thread.
    private struct Orders {
        var rule = Rule.pass
        var isRefusing = false
        var isSilent = false
        var isStopped = false
        var releases = 0
    }

    private struct State {
        var orders = Orders()
        var published: [Publish] = []
        var strange: [String] = []
        var bytes: [UInt8] = []
    }

    package let port: UInt16
    package var url: String { "nats://127.0.0.1:\(port)" }
    private let lock = NSLock()
    private var state = State()
    private let relay: MiddlemanRelay

    /// - Parameter serverPort: The real server's port on loopback.
    package init(serverPort: UInt16) throws {
        guard let listener = TestSocket.listen(port: 0) else { throw NoFreePort() }
        port = listener.localPort
        relay = MiddlemanRelay(listener: listener, serverPort: serverPort)
        let thread = Thread { [weak self] in
            while let self, self.turn() {}
        }
        thread.name = "middleman"
        thread.start()
    }

    /// Ends the thread and closes every connection.
    package func stop() { withState { $0.orders.isStopped = true } }

    /// Sets what becomes of the publishes from now on.
    package func setRule(_ rule: Rule) { withState { $0.orders.rule = rule } }

    /// Closes every connection, and each new one at once, until ``accept()``.
    package func refuse() { withState { $0.orders.isRefusing = true } }

    /// Lets connections through again, and forgets what was recorded before.
    package func accept() {
        withState { state in
            state.orders.isRefusing = false
            (state.published, state.bytes) = ([], [])
        }
    }

    /// Swallows everything that the server sends, or stops doing so.
    package func silenceServer(_ isSilent: Bool) { withState { $0.orders.isSilent = isSilent } }

    /// Sends the answers that were held back.
    package func release() { withState { $0.orders.releases += 1 } }

    /// The publishes to `ce.>` so far.
    package var published: [Publish] { withState { $0.published } }

    /// Lines from the gateway that are no operation of a NATS client: there must be none.
    package var strangeLines: [String] { withState { $0.strange } }

    /// Whether this text was sent by the gateway, anywhere in the bytes recorded.
    package func hasSeen(_ text: String) -> Bool {
        Data(withState { $0.bytes }).range(of: Data(text.utf8)) != nil
    }

    private func withState<Result>(_ body: (inout State) -> Result) -> Result {
        lock.withLock { body(&state) }
    }

    /// One round of the thread.
    ///
    /// - Returns: false when it is to end.
    private func turn() -> Bool {
        let now = withState { $0.orders }
        guard !now.isStopped else {
            relay.closeAll()
            return false
        }
        relay.isRefusing = now.isRefusing
        if relay.releasesSeen < now.releases {
            relay.releasesSeen = now.releases
            relay.sendHeld()
        }
        relay.turn(
            fromClient: { operation, pair in self.receive(operation, pair, self.withState { $0.orders.rule }) },
            fromServer: { operation, pair in
                let now = self.withState { $0.orders }
                if !now.isSilent { self.answer(operation, pair, now.rule) }
            }
        )
        return true
    }

    /// An operation of the gateway: recorded, and passed on unless the rule says otherwise.
    private func receive(_ operation: NATSOperation, _ pair: MiddlemanPair, _ rule: Rule) {
        let isStrange = !["CONNECT", "PING", "PONG", "SUB", "UNSUB", "PUB", "HPUB"].contains(operation.verb)
        withState { state in
            state.bytes += operation.raw
            if isStrange { state.strange.append(operation.line) }
        }
        guard operation.verb == "PUB" || operation.verb == "HPUB", let subject = operation.subject,
            subject.hasPrefix("ce.")
        else { return pair.sendToServer(operation.raw) }
        let (header, payload) = operation.parts
        withState { $0.published.append(Publish(subject: subject, header: header, payload: payload)) }
        if let reply = operation.replyOfPublish {
            pair.expectAck(on: reply)
            if !rule.forwards { pair.send(rule.answers([]), on: reply) }
        }
        if rule.forwards { pair.sendToServer(operation.raw) }
    }

    /// An operation of the server: passed on, unless it is an acknowledgement that the rule replaces.
    private func answer(_ operation: NATSOperation, _ pair: MiddlemanPair, _ rule: Rule) {
        guard operation.verb == "MSG" || operation.verb == "HMSG", let subject = operation.subject,
            pair.isAck(subject)
        else {
            pair.noteServer(operation)
            return pair.sendToClient(operation.raw)
        }
        pair.noteServer(operation)
        pair.send(rule.answers(operation.parts.payload), on: subject)
    }
}
