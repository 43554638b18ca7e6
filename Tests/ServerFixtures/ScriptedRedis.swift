import Foundation
import Glibc

/// A Redis server that misbehaves by script, and remembers what it was asked.
///
/// What a client says when it connects (AUTH, SELECT, CLIENT, INFO) and PING is answered well, unless the greeting says
/// otherwise; all other commands go to the script.
package final class ScriptedRedis: Sendable {
    /// A command as it came.
    package struct Command: Sendable {
        /// Number of the connection, from 0.
        package let connection: Int
        /// Number among the scripted commands of all connections, from 0.
        package let number: Int
        package let arguments: [[UInt8]]

        /// The first argument in upper case.
        package var name: String { text(0).uppercased() }

        /// An argument as text, empty if it is missing.
        package func text(_ index: Int) -> String {
            index < arguments.count ? String(decoding: arguments[index], as: UTF8.self) : ""
        }
    }

    /// What the server does about a command.
    package indirect enum Reaction: Sendable {
        /// These bytes, as they are.
        case raw(String)
        case silence
        /// Closes the connection.
        case close
        /// Closes the connection with a reset.
        case reset
        /// The first text, then the second again and again until the connection ends.
        case endless(String, String)
        /// One byte after the other, each after such a pause, for ever from the start.
        case trickle(String, Duration)
        /// One after the other.
        case all([Reaction])
        /// Not now.
        case after(Duration, Reaction)
    }

    /// How a connection begins.
    package enum Greeting: Sendable {
        case normal
        /// Accepts, reads, and says nothing.
        case silent
        /// Sends these bytes at once, then is silent.
        case raw(String)
        /// Answers everything with these bytes, AUTH and the like too.
        case always(String)
        /// Closes at once.
        case close
    }

    struct State {
        var greeting: Greeting
        var listener: TestSocket?
        var sessions: [TestSocket] = []
        var commands: [Command] = []
        var openCount = 0
    }

    package let port: UInt16
    let state: Shared<State>
    let react: @Sendable (Command) -> Reaction

    /// Listens at once.
    package init(
        port: UInt16? = nil,
        greeting: Greeting = .normal,
        react: @escaping @Sendable (Command) -> Reaction = { _ in .raw("+OK\r\n") }
    ) throws {
        self.port = try port ?? freePort()
        self.react = react
        state = Shared(State(greeting: greeting))
        listen()
    }

    deinit { stop() }

    package var url: String { "redis://127.0.0.1:\(port)" }

    /// The scripted commands so far.
    package var commands: [Command] { state.withLock { $0.commands } }

    /// Connections accepted so far.
    package var connectionCount: Int { state.withLock { $0.sessions.count } }

    /// Connections whose client has not ended them.
    package var openConnectionCount: Int { state.withLock { $0.openCount } }

    /// How the next connections begin.
    package func setGreeting(_ greeting: Greeting) { state.withLock { $0.greeting = greeting } }

    /// Sends bytes that nobody asked for on all connections.
    package func push(_ text: String) { for socket in state.withLock({ $0.sessions }) { socket.send(text) } }

    /// Closes all connections; new ones are taken.
    package func closeConnections() { for socket in state.withLock({ $0.sessions }) { socket.close() } }

    /// Takes connections.
    private func listen() {
        guard let listener = TestSocket.listen(port: port) else { return }
        state.withLock { $0.listener = listener }
        Thread { [state, react] in
            while let socket = listener.accept(timeoutMilliseconds: -1) {
                let (number, greeting) = state.withLock { state in
                    state.sessions.append(socket)
                    state.openCount += 1
                    return (state.sessions.count - 1, state.greeting)
                }
                Thread {
                    ScriptedRedisSession(number: number, socket: socket, state: state, react: react).run(greeting)
                    state.withLock { $0.openCount -= 1 }
                }.start()
            }
        }.start()
    }

    /// Refuses and closes everything.
    package func stop() {
        let (listener, sessions) = state.withLock { state in
            defer { state.listener = nil }
            return (state.listener, state.sessions)
        }
        listener?.close()
        for session in sessions { session.close() }
    }
}
