import Foundation
import Glibc

/// A TCP proxy on loopback that can spoil what passes.
package final class TCPProxy: Sendable {
    /// What is done to bytes on their way.
    package struct Toxics: Sendable {
        /// Bytes from the server are thrown away.
        package var dropsServerBytes = false
        /// Nothing passes in either direction; it waits.
        package var stalls = false
        /// Each piece waits so long.
        package var latency: Duration = .zero

        package init() {}
    }

    private struct State {
        var toxics = Toxics()
        var sockets: [TestSocket] = []
        var stopped = false
    }

    package let port: UInt16
    private let listener: TestSocket?
    private let state = Shared(State())

    /// Listens, and connects each client to the target port.
    package init(target: UInt16) {
        listener = TestSocket.listen(port: 0)
        port = listener?.localPort ?? 0
        guard let listener else { return }
        let state = state
        Thread {
            while let client = listener.accept(timeoutMilliseconds: -1) {
                guard let server = TestSocket.connect(port: target) else {
                    client.close()
                    continue
                }
                state.withLock { $0.sockets += [client, server] }
                Self.pump(client, server, state, fromServer: false)
                Self.pump(server, client, state, fromServer: true)
            }
        }.start()
    }

    deinit { stop() }

    package var url: String { "nats://127.0.0.1:\(port)" }

    /// Changes the toxics for all connections.
    package func set(_ change: (inout Toxics) -> Void) { state.withLock { change(&$0.toxics) } }

    /// Cuts all connections; new ones are taken.
    package func cut() {
        let sockets = state.withLock { state in
            defer { state.sockets = [] }
            return state.sockets
        }
        for socket in sockets { socket.close() }
    }

    /// Stops listening and cuts.
    package func stop() {
        state.withLock { $0.stopped = true }
        listener?.close()
        cut()
    }

    private static func pump(_ source: TestSocket, _ target: TestSocket, _ state: Shared<State>, fromServer: Bool) {
        Thread {
            defer {
                source.close()
                target.close()
            }
            while true {
                let (toxics, stopped) = state.withLock { ($0.toxics, $0.stopped) }
                if stopped { return }
                if toxics.stalls {
                    _ = poll(nil, 0, 5)
                    continue
                }
                guard let bytes = source.receive(timeoutMilliseconds: 20) else { continue }
                if bytes.isEmpty { return }
                let now = state.withLock { $0.toxics }
                if fromServer && now.dropsServerBytes { continue }
                let end = ContinuousClock.now + now.latency
                while ContinuousClock.now < end { _ = poll(nil, 0, 1) }
                _ = waitUntil(timeout: .seconds(60)) { !state.withLock { $0.toxics.stalls && !$0.stopped } }
                guard target.send(bytes) else { return }
            }
        }.start()
    }
}
