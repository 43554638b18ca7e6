import Foundation
import ServerFixtures
import Testing

/// Clients on threads of their own that publish one event after the other, each once, and keep what they were told.
///
/// Thread-safe.
final class SteadyLoad: Sendable {
    /// What clients were told.
    struct Answers: Sendable {
        /// Sequences of acknowledged events, by id.
        var acknowledged: [String: Int] = [:]
        /// Ids that were answered with 503 or 507, which promise that they are not stored.
        var denied: Set<String> = []
        /// How often each status was answered; 0 stands for a connection that ended.
        var statuses: [Int: Int] = [:]
    }

    private struct State {
        var answers = Answers()
        var isStopping = false
        var running: Int
        /// Events acknowledged, by client.
        var progress: [Int]
    }

    private let state: Shared<State>
    private let port: UInt16
    private let headers: [(String, String)]
    private let connectionLife: Int

    /// - Parameter connectionLife: Events that are sent on a connection before a new one takes its place.
    init(_ gateway: GatewayProcess, clients: Int, headers: [(String, String)] = [], connectionLife: Int = .max) {
        (port, self.headers, self.connectionLife) = (gateway.port, headers, connectionLife)
        state = Shared(State(running: clients, progress: Array(repeating: 0, count: clients)))
        for client in 0..<clients {
            Thread { [self] in
                run(client)
                state.withLock { $0.running -= 1 }
            }.start()
        }
    }

    var answers: Answers { state.current.answers }

    func count(of status: Int) -> Int { state.withLock { $0.answers.statuses[status] ?? 0 } }

    /// Waits until every client has had an acknowledgement that it did not have when this was called.
    func waitForProgress(timeout: Duration = .seconds(60)) -> Bool {
        let before = state.current.progress
        return waitUntil(timeout: timeout) { zip(state.current.progress, before).allSatisfy { $0 > $1 } }
    }

    /// Lets every client end what it does, and waits for that.
    func stop() -> Bool {
        state.withLock { $0.isStopping = true }
        return waitUntil(timeout: .seconds(60)) { state.current.running == 0 }
    }

    private func run(_ client: Int) {
        var connection: HTTPConnection?
        var sent = 0
        while !state.current.isStopping {
            if sent % connectionLife == 0 { connection = nil }
            if connection == nil { connection = try? HTTPConnection(port: port, timeout: .seconds(30)) }
            let event = TestEvent()
            let answer = try? connection?.exchange(event.structured(headers: headers))
            if answer == nil { connection = nil }
            sent += 1
            record(answer, event.id, client)
            // A client that is refused does not storm.
            if answer?.status != 202 { _ = waitUntil(timeout: .milliseconds(20)) { state.current.isStopping } }
        }
    }

    private func record(_ answer: HTTPResponse?, _ id: String, _ client: Int) {
        let sequence = answer?.json["sequence"].int
        state.withLock { state in
            state.answers.statuses[answer?.status ?? 0, default: 0] += 1
            if answer?.status == 503 { state.answers.denied.insert(id) }
            guard answer?.status == 202 else { return }
            state.answers.acknowledged[id] = sequence ?? 0
            state.progress[client] += 1
        }
    }
}

extension SteadyLoad.Answers {
    /// Compares the answers with what the stream holds.
    ///
    /// - Parameter gone: Sequences of messages that were removed on purpose.
    func expectStored(_ reader: StreamReader, gone: Range<Int> = 0..<0) throws {
        let stored = try reader.messagesBySequence().reduce(into: [:]) {
            $0[$1.sequence] = try $1.message.event().attributes["id"]
        }
        let lost = acknowledged.filter { !gone.contains($0.value) && stored[$0.value] != $0.key }
        #expect(lost.isEmpty, "\(lost.count) of \(acknowledged.count) acknowledged events are not stored")
        #expect(denied.isDisjoint(with: stored.values), "stored although certainly not stored")
        #expect(Set(stored.values).count == stored.count, "stored twice")
    }
}
