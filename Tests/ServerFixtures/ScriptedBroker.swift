import Foundation
import Glibc

/// A NATS server that misbehaves by script, and remembers every byte it got.
///
/// Requests to `$JS.API` are answered well enough for a client or a whole gateway to start: streams that are created are
/// remembered. Messages to other subjects go to the script. A message whose subject the connection itself listens on is
/// delivered to it, as a server does.
package final class ScriptedBroker: Sendable {
    /// A message as it came.
    package struct Publication: Sendable {
        /// Number of the connection, from 0.
        package let connection: Int
        /// Number among the scripted publications of all connections, from 0.
        package let number: Int
        package let subject: String
        package let reply: String?
        /// The header block as it came.
        package let headers: String
        package let payload: [UInt8]

        /// The value of a header, empty if it is missing.
        package func header(_ name: String) -> String {
            for line in headers.components(separatedBy: "\r\n") where line.hasPrefix(name + ":") {
                return line.dropFirst(name.count + 1).trimmingCharacters(in: .whitespaces)
            }
            return ""
        }
    }

    /// What the broker does about a publication.
    package indirect enum Reaction: Sendable {
        /// A PubAck of the stream in `Nats-Expected-Stream`, with the next sequence.
        case acknowledge
        /// This text to the reply subject.
        case reply(String)
        /// The 503 of a server where nobody listens.
        case noResponders
        case silence
        /// Closes the connection.
        case close
        /// `-ERR` with this text, then closes.
        case error(String)
        /// One after the other.
        case all([Reaction])
        /// Not now.
        case after(Duration, Reaction)
    }

    /// How a connection begins.
    package enum Greeting: Sendable {
        case normal
        /// Accepts, and says nothing.
        case silent
        /// Sends INFO, and says nothing more.
        case silentAfterInfo
        /// Sends these bytes instead of INFO.
        case raw(String)
        /// INFO with more members, such as `,"tls_required":true`.
        case info(String)
    }

    struct State {
        var greeting: Greeting
        var listener: TestSocket?
        var sessions: [ScriptedSession] = []
        var publications: [Publication] = []
        var streams: [String: String] = [:]
        var sequence = 0
        var stopped = false
        var reading = true
        var answeringProbes = true
    }

    package let port: UInt16
    let state: Shared<State>
    let react: @Sendable (Publication) -> Reaction
    private let receiveBuffer: Int32?

    /// Listens at once.
    ///
    /// - Parameter receiveBuffer: Size of the sockets' receive buffer, small ones for a zero window.
    package init(
        port: UInt16? = nil,
        greeting: Greeting = .normal,
        receiveBuffer: Int32? = nil,
        react: @escaping @Sendable (Publication) -> Reaction = { _ in .acknowledge }
    ) throws {
        self.port = try port ?? freePort()
        self.react = react
        self.receiveBuffer = receiveBuffer
        state = Shared(State(greeting: greeting))
        listen()
    }

    deinit { stop() }

    package var url: String { "nats://127.0.0.1:\(port)" }

    /// The scripted publications so far; API requests and probes are not among them.
    package var publications: [Publication] { state.current.publications }

    /// Connections accepted so far.
    package var connectionCount: Int { state.withLock { $0.sessions.count } }

    /// Every byte a connection has sent.
    package func received(connection: Int) -> [UInt8] { state.withLock { $0.sessions[connection] }.recorded }

    /// Every byte of all connections.
    package var receivedText: String {
        state.withLock { $0.sessions }.map { String(decoding: $0.recorded, as: UTF8.self) }.joined()
    }

    /// How the next connections begin.
    package func setGreeting(_ greeting: Greeting) { state.withLock { $0.greeting = greeting } }

    /// Stops reading, so that the peers' windows fill, or goes on.
    package func setReading(_ reading: Bool) { state.withLock { $0.reading = reading } }

    /// Whether messages of a connection to itself come back.
    package func setAnsweringProbes(_ answering: Bool) { state.withLock { $0.answeringProbes = answering } }

    /// Closes all connections; new ones are taken.
    package func closeConnections() { for session in state.withLock({ $0.sessions }) { session.close() } }

    /// Refuses connections from now on; existing ones stay.
    package func refuse() {
        let listener = state.withLock { state in
            defer { state.listener = nil }
            return state.listener
        }
        listener?.close()
    }

    /// Takes connections (again).
    package func listen() {
        guard let listener = TestSocket.listen(port: port, receiveBuffer: receiveBuffer) else { return }
        state.withLock { $0.listener = listener }
        Thread { [weak self] in
            while let socket = Self.accept(listener) {
                guard let self else { return }
                let session = self.state.withLock { state in
                    let session = ScriptedSession(number: state.sessions.count, socket: socket)
                    state.sessions.append(session)
                    return session
                }
                Thread { [weak self] in session.run { self } }.start()
            }
        }.start()
    }

    private static func accept(_ listener: TestSocket) -> TestSocket? { listener.accept(timeoutMilliseconds: -1) }

    /// Refuses and closes everything.
    package func stop() {
        state.withLock { $0.stopped = true }
        refuse()
        closeConnections()
    }
}
