import ServerFixtures
import Testing

/// How a run of deliveries to one subscription is judged once nothing is pending: stored = settled + dead-lettered.
///
/// Every list has to be empty.
struct FaultVerdict: Equatable, CustomStringConvertible {
    /// Stored, settled, and neither answered with 2xx nor among the dead letters.
    var lost: [String] = []
    /// Delivered or dead-lettered, and never stored.
    var unexpected: [String] = []
    /// More than one dead letter for one stored event.
    var repeated: [String] = []
    /// Dead letters whose reason or count is not what the sink did.
    var unjust: [String] = []
    /// Answered more often than the subscription allows attempts.
    var overtried: [String] = []

    var description: String {
        let lists = [
            ("lost", lost), ("unexpected", unexpected), ("repeated", repeated), ("unjust", unjust),
            ("overtried", overtried),
        ]
        return lists.map { "\($0): \($1.count) \($1.sorted().prefix(5))" }.joined(separator: ", ")
    }

    init() {}

    /// Compares what is stored with what the sink saw and with the dead letters.
    ///
    /// - Parameter countsAreKept: Whether the server kept its count of deliveries: one that was killed may have
    ///   forgotten the last of them.
    init(_ rig: FaultRig, _ sink: FaultSink, maxAttempts: Int, countsAreKept: Bool) throws {
        let stored = Set(try rig.copies(in: GatewayStack.stream).keys)
        let (letters, histories) = (try rig.letters(), sink.histories)
        let dead = Set(letters.map(\.id))
        lost = stored.subtracting(sink.taken).subtracting(dead).sorted()
        unexpected = Set(histories.keys).union(dead).subtracting(stored).sorted()
        let copies = letters.reduce(into: [:]) { $0[$1.original, default: 0] += 1 }
        repeated = letters.filter { copies[$0.original] != 1 }.map(\.id)
        for letter in letters {
            let statuses = histories[letter.id]?.statuses ?? []
            let isJust =
                switch letter.reason {
                case "rejected": statuses.contains { Self.isFinal($0) }
                case "retries-exhausted": letter.attempts >= maxAttempts
                default: false
                }
            if !isJust { unjust.append("\(letter)") }
        }
        guard countsAreKept else { return }
        overtried = histories.filter { $0.value.statuses.count > maxAttempts }.map(\.key)
    }

    /// Whether no retry follows this answer.
    private static func isFinal(_ status: Int) -> Bool {
        (300..<500).contains(status) && ![401, 403, 404, 408, 409, 425, 429].contains(status)
    }
}
