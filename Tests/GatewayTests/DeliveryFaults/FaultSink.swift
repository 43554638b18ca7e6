import Foundation
import Glibc
import ServerFixtures
import Testing

/// A sink for thousands of events that does with each attempt what a script says, well or badly.
///
/// It takes events in binary mode. A thread for the listener and one for each connection; safe from any thread.
final class FaultSink: Sendable {
    /// What becomes of an attempt.
    enum Act: Sendable {
        /// A full answer.
        case answer(Int, retryAfter: String? = nil)
        /// No answer, with the connection open.
        case hang
        /// A reset connection.
        case reset
        /// An answer that ends before its announced length.
        case half
        /// A 200 whose body comes byte by byte and never ends.
        case trickle
        /// 200, but only when ``release()`` was called.
        case hold
        /// 200, but only after so long.
        case late(Duration)
    }

    /// What became of one event so far.
    struct History: Sendable {
        /// When each attempt came, in order.
        var arrivals: [ContinuousClock.Instant] = []
        /// The statuses that were answered in full.
        var statuses: [Int] = []
        /// How often it was taken: answered in full with 2xx.
        var taken: Int { statuses.count { (200..<300).contains($0) } }
    }

    private struct State {
        var histories: [String: History] = [:]
        var attempts = 0
        var taken: Set<String> = []
        /// Attempts that hang, trickle or are held now.
        var stuck = 0
        var isReleased = false
        var isStopped = false
        var sockets: [Int: TestSocket] = [:]
        var nextSocket = 0
    }

    /// Decides about an attempt; `before` is how many attempts of the event came before.
    typealias Script = @Sendable (_ id: String, _ before: Int) -> Act

    let port: UInt16
    private let listener: TestSocket
    private let script: Script
    private let answered: @Sendable (_ id: String, _ status: Int) -> Void
    private let state = Shared(State())

    /// - Parameter answered: is told when an answer has been sent, on the connection's thread.
    init(
        _ script: @escaping Script,
        answered: @escaping @Sendable (_ id: String, _ status: Int) -> Void = { _, _ in }
    ) throws {
        let listener = try #require(TestSocket.listen(port: 0))
        self.listener = listener
        port = listener.localPort
        self.script = script
        self.answered = answered
        Thread { [weak self] in
            // A listener that was shut down becomes readable and gives nothing.
            while listener.waitReadable(-1), let socket = listener.accept(timeoutMilliseconds: 0) {
                guard let self, !self.state.current.isStopped else { return }
                let number = self.state.withLock { state in
                    state.nextSocket += 1
                    state.sockets[state.nextSocket] = socket
                    return state.nextSocket
                }
                Thread { [weak self] in
                    self?.serve(socket)
                    _ = self?.state.withLock { $0.sockets.removeValue(forKey: number) }
                }.start()
            }
        }.start()
    }

    /// A sink that takes everything.
    convenience init() throws {
        try self.init({ _, _ in .answer(204) })
    }

    deinit { stop() }

    /// Closes the listener and all connections.
    func stop() {
        let sockets = state.withLock { state in
            state.isStopped = true
            return Array(state.sockets.values)
        }
        listener.close()
        for socket in sockets { socket.close() }
    }

    /// Lets every held attempt, and all that would be held later, be answered.
    func release() { state.withLock { $0.isReleased = true } }

    var url: String { "http://127.0.0.1:\(port)/sink" }
    /// How many attempts came.
    var attempts: Int { state.withLock { $0.attempts } }
    /// The events that were answered in full with 2xx at least once.
    var taken: Set<String> { state.withLock { $0.taken } }
    var takenCount: Int { state.withLock { $0.taken.count } }
    /// How many attempts hang, trickle or are held now.
    var stuck: Int { state.withLock { $0.stuck } }
    var histories: [String: History] { state.withLock { $0.histories } }

    func history(_ id: String) -> History { state.withLock { $0.histories[id] ?? History() } }

    // MARK: Serving

    private func serve(_ socket: TestSocket) {
        while let id = Self.readEvent(socket) {
            let before = state.withLock { state in
                state.attempts += 1
                let before = state.histories[id]?.arrivals.count ?? 0
                state.histories[id, default: History()].arrivals.append(.now)
                return before
            }
            guard perform(script(id, before), id, socket) else { break }
        }
        socket.close()
    }

    /// Does what the script says; returns whether the connection goes on.
    private func perform(_ act: Act, _ id: String, _ socket: TestSocket) -> Bool {
        switch act {
        case .answer(let status, let retryAfter): return answer(status, retryAfter, id, socket)
        case .hang:
            whileStuck { _ = socket.receive(timeoutMilliseconds: -1) }
            return false
        case .reset:
            // Connecting a socket to no family breaks its connection at once (connect(2)).
            var nowhere = sockaddr()
            nowhere.sa_family = sa_family_t(AF_UNSPEC)
            _ = Glibc.connect(socket.descriptor, &nowhere, socklen_t(MemoryLayout<sockaddr>.size))
            return false
        case .half:
            socket.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            return false
        case .trickle:
            whileStuck {
                guard socket.send("HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n") else { return }
                // Ends when the gateway has enough of it.
                while socket.send("x"), !socket.waitReadable(100) {}
            }
            return false
        case .hold:
            whileStuck { _ = waitUntil(timeout: .seconds(120)) { state.withLock { $0.isReleased || $0.isStopped } } }
            return answer(200, nil, id, socket)
        case .late(let time):
            let end = ContinuousClock.now + time
            whileStuck {
                _ = waitUntil(timeout: time + .seconds(1)) { .now >= end || state.withLock { $0.isStopped } }
            }
            return answer(200, nil, id, socket)
        }
    }

    private func answer(_ status: Int, _ retryAfter: String?, _ id: String, _ socket: TestSocket) -> Bool {
        let field = retryAfter.map { "Retry-After: \($0)\r\n" } ?? ""
        let length = status == 204 ? "" : "Content-Length: 0\r\n"
        guard socket.send("HTTP/1.1 \(status) Told\r\n\(length)\(field)\r\n") else { return false }
        state.withLock { state in
            state.histories[id]?.statuses.append(status)
            if (200..<300).contains(status) { state.taken.insert(id) }
        }
        answered(id, status)
        return true
    }

    private func whileStuck(_ body: () -> Void) {
        state.withLock { $0.stuck += 1 }
        body()
        state.withLock { $0.stuck -= 1 }
    }

    /// Reads one request and returns the event's id; nil at the end.
    private static func readEvent(_ socket: TestSocket) -> String? {
        var (id, length) = ("", 0)
        guard socket.readLine(timeoutMilliseconds: 600_000)?.hasPrefix("POST ") == true else { return nil }
        while let line = socket.readLine(timeoutMilliseconds: 30_000) {
            if line.isEmpty {
                guard length == 0 || socket.read(length, timeoutMilliseconds: 30_000) != nil else { return nil }
                return id
            }
            let parts = line.split(separator: ":", maxSplits: 1)
            guard let name = parts.first?.lowercased(), parts.count == 2 else { continue }
            if name == "ce-id" { id = parts[1].trimmingCharacters(in: .whitespaces) }
            if name == "content-length" { length = Int(parts[1].trimmingCharacters(in: .whitespaces)) ?? 0 }
        }
        return nil
    }
}
