import ServerFixtures
import Testing

/// The set model of a run: what was sent, what was acknowledged, and what the stream holds in the end.
///
/// Every event carries a digest of its own content, so that a stored copy is known to be the one that was sent.
/// Thread-safe: clients on threads of their own tell it what they see.
final class EventOracle: Sendable {
    /// What became of one event, over all times it was sent.
    struct History: Sendable {
        /// The sequences that its 202 answers told.
        var sequences: [Int] = []
        /// Every status it was answered with, in order; 0 stands for a connection that ended without an answer.
        var statuses: [Int] = []
    }

    private let histories = Shared<[String: History]>([:])

    /// The event number `count` of a client; its data carries a SHA-256 of the id and of a text.
    static func event(client: Int, count: Int) -> TestEvent {
        let id = "\(client)-\(count)"
        let text = String(repeating: "0123456789abcdef", count: 1 + count % 7)
        let digest = SHA256.hexDigest(of: "\(id):\(text)")
        return TestEvent(id: id, source: "/tests/oracle", data: "{\"text\":\"\(text)\",\"sha256\":\"\(digest)\"}")
    }

    func attempt(_ id: String) { histories.withLock { _ = $0[id, default: History()] } }

    /// - Parameter sequence: What a 202 told.
    func answer(_ id: String, _ status: Int, sequence: Int?) {
        histories.withLock { histories in
            histories[id, default: History()].statuses.append(status)
            if status == 202 { histories[id]?.sequences.append(sequence ?? 0) }
        }
    }

    /// Takes an answer to a single event.
    func answer(_ id: String, _ response: HTTPResponse?) {
        answer(id, response?.status ?? 0, sequence: response?.json["sequence"].int)
    }

    var acknowledgedCount: Int { histories.withLock { $0.values.count { !$0.sequences.isEmpty } } }
    var attemptCount: Int { histories.withLock { $0.count } }
    /// How often each status was answered.
    var statuses: [Int: Int] {
        histories.withLock { $0.values.flatMap(\.statuses).reduce(into: [:]) { $0[$1, default: 0] += 1 } }
    }

    /// How a run is judged; every list has to be empty.
    struct Verdict: Equatable, CustomStringConvertible {
        /// Acknowledged and not stored.
        var lost: [String] = []
        /// Stored and never sent.
        var unexpected: [String] = []
        /// Acknowledged with a sequence that holds something else.
        var misplaced: [String] = []
        /// Stored with a content that is not the one that was sent.
        var changed: [String] = []
        /// Stored more than once inside the duplicate window.
        var repeated: [String] = []
        /// Stored although every answer was a 503, which promises that it is not.
        var denied: [String] = []

        var description: String {
            let lists = [
                ("lost", lost), ("unexpected", unexpected), ("misplaced", misplaced), ("changed", changed),
                ("repeated", repeated), ("denied", denied),
            ]
            return lists.map { "\($0): \($1.count) \($1.sorted().prefix(10))" }.joined(separator: ", ")
        }
    }

    /// Compares what the clients saw with what the stream holds.
    func verdict(_ reader: StreamReader) throws -> Verdict {
        var verdict = Verdict()
        var stored: [String: [Int]] = [:]
        for (sequence, message) in try reader.messagesBySequence() {
            let event = try message.event()
            let id = event.attributes["id"] ?? ""
            stored[id, default: []].append(sequence)
            if !Self.isWhole(event, id) { verdict.changed.append(id) }
        }
        let histories = histories.current
        for (id, history) in histories {
            let places = stored[id] ?? []
            if places.isEmpty && !history.sequences.isEmpty { verdict.lost.append(id) }
            if !places.isEmpty && !Set(history.sequences).isSubset(of: places) { verdict.misplaced.append(id) }
            if !places.isEmpty && !history.statuses.isEmpty && history.statuses.allSatisfy({ $0 == 503 }) {
                verdict.denied.append(id)
            }
        }
        verdict.repeated = stored.filter { $0.value.count > 1 }.map(\.key)
        verdict.unexpected = stored.keys.filter { histories[$0] == nil }
        return verdict
    }

    private static func isWhole(_ event: StoredEvent, _ id: String) -> Bool {
        guard let data = try? WireJSON(parsing: event.data), let text = data["text"].string else { return false }
        return data["sha256"].string == SHA256.hexDigest(of: "\(id):\(text)")
    }
}

extension StreamReader {
    /// Every message of the stream with its sequence; an answer that is an error makes it fail, never look empty.
    func messagesBySequence() throws -> [(sequence: Int, message: StoredMessage)] {
        let info = try api("STREAM.INFO.\(GatewayStack.stream)")
        let last = try #require(info["state"]["last_seq"].int, "\(info.text)")
        return last < 1 ? [] : try (1...last).compactMap { sequence in try stored(sequence).map { (sequence, $0) } }
    }

    private func stored(_ sequence: Int) throws -> StoredMessage? {
        var answer = WireJSON.null
        for _ in 0..<50 {
            if let message = try message(sequence) { return message }
            answer = try api("STREAM.MSG.GET.\(GatewayStack.stream)", "{\"seq\":\(sequence)}")
            // 10037 is "no message found"; a cluster that has just healed may answer 10008, "temporarily unavailable".
            if answer["error"]["err_code"].int == 10_037 { return nil }
            _ = waitUntil(timeout: .milliseconds(200)) { false }
        }
        Issue.record("message \(sequence): \(answer.text)")
        return nil
    }
}
