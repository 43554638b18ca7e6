import Foundation
import Glibc
import ServerFixtures

/// Stands between gateways and NATS and stops the world at one step of the protocol: when certain bytes come by, before
/// or after they are passed on, nothing passes any more in either direction until ``proceed()``.
///
/// Two threads for each connection; safe from any thread.
final class StepRelay: Sendable {
    /// Where to stop.
    struct Step: Sendable {
        /// What a gateway sends, such as the beginning of a publish.
        let bytes: [UInt8]
        /// Whether the server still gets it.
        let passes: Bool

        init(_ text: String, passes: Bool) {
            (bytes, self.passes) = (Array(text.utf8), passes)
        }
    }

    private struct State {
        var step: Step?
        var skips = 0
        var isStopped = false
        var hasEnded = false
        var sockets: [TestSocket] = []
    }

    let port: UInt16
    private let listener: TestSocket
    private let state = Shared(State())

    /// - Parameter target: the server's port on loopback.
    init(target: UInt16) {
        // A relay without a socket is found by the first who connects.
        listener = TestSocket.listen(port: 0) ?? TestSocket(descriptor: -1)
        port = listener.localPort
        let (state, listener) = (state, listener)
        Thread {
            while let client = listener.accept(timeoutMilliseconds: -1) {
                guard let server = TestSocket.connect(port: target) else {
                    client.close()
                    continue
                }
                state.withLock { $0.sockets += [client, server] }
                Self.pump(client, server, state, isFromGateway: true)
                Self.pump(server, client, state, isFromGateway: false)
            }
        }.start()
    }

    deinit {
        state.withLock { $0.hasEnded = true }
        listener.close()
        cut()
    }

    /// Stops at this step when it has come by so many times before.
    func stop(at step: Step, after skips: Int) {
        state.withLock { ($0.step, $0.skips) = (step, skips) }
    }

    /// Whether the world stands still.
    var isStopped: Bool { state.withLock { $0.isStopped } }

    /// Ends all connections and lets new ones pass.
    func proceed() {
        cut()
        state.withLock { ($0.step, $0.isStopped) = (nil, false) }
    }

    private func cut() {
        let sockets = state.withLock { state in
            defer { state.sockets = [] }
            return state.sockets
        }
        for socket in sockets { socket.close() }
    }

    private static func pump(
        _ source: TestSocket,
        _ target: TestSocket,
        _ state: Shared<State>,
        isFromGateway: Bool
    ) {
        Thread {
            defer {
                source.close()
                target.close()
            }
            var tail: [UInt8] = []
            while !state.current.hasEnded {
                guard let bytes = source.receive(timeoutMilliseconds: 50) else { continue }
                if bytes.isEmpty { return }
                let passes = isFromGateway ? meet(tail + bytes, known: tail.count, state) : true
                if passes, !state.withLock({ $0.isStopped && !isFromGateway }) {
                    guard target.send(bytes) else { return }
                } else if state.current.isStopped {
                    // What came while the world stood still is gone with its connection.
                    return waitForEnd(source, state)
                }
                if state.current.isStopped { return waitForEnd(source, state) }
                tail = (tail + bytes).suffix(32)
            }
        }.start()
    }

    /// Looks for the step in what the gateway sends; returns whether it is passed on.
    private static func meet(_ bytes: [UInt8], known: Int, _ state: Shared<State>) -> Bool {
        state.withLock { state in
            if state.isStopped { return false }
            guard let step = state.step else { return true }
            var from = 0
            while let range = bytes[from...].firstRange(of: step.bytes) {
                from = range.upperBound
                // What lies in the part before was seen then.
                if range.upperBound <= known { continue }
                if state.skips > 0 {
                    state.skips -= 1
                    continue
                }
                state.isStopped = true
                return step.passes
            }
            return true
        }
    }

    private static func waitForEnd(_ source: TestSocket, _ state: Shared<State>) {
        _ = waitUntil(timeout: .seconds(60)) { !state.withLock { $0.isStopped && !$0.hasEnded } }
    }
}
