import ServerFixtures

/// Many events on the wire at once over several connections, and what became of each: the oracle of the crash tests.
///
/// After a fault, `lost` = acknowledged but not in the stream must be empty, and after every event was sent until it
/// was acknowledged the stream must hold exactly one copy of each.
struct PublishRun {
    /// The last answer's status of each event by id; absent where the connection ended without one.
    private(set) var status: [String: Int] = [:]
    private(set) var sequence: [String: Int] = [:]
    private let events: [[TestEvent]]

    /// - Parameter perConnection: How many events are pipelined on each connection.
    init(connections: Int, perConnection: Int) {
        events = (0..<connections).map { _ in (0..<perConnection).map { _ in TestEvent() } }
    }

    var all: [TestEvent] { events.flatMap(\.self) }
    var acknowledged: [String] { status.filter { $0.value == 202 }.map(\.key) }

    /// Sends everything, does something in the middle, and reads whatever answers come.
    ///
    /// - Parameters:
    ///   - count: How many answers are read before `fault`.
    ///   - fault: What happens to the gateway or the server then.
    mutating func send(to gateway: GatewayProcess, faultAfter count: Int, fault: () throws -> Void) throws {
        let connections = try events.map { _ in try gateway.connect(timeout: .seconds(30)) }
        for (connection, events) in zip(connections, events) {
            try connection.send(events.flatMap { $0.structured().bytes })
        }
        var read = 0
        var next = Array(repeating: 0, count: connections.count)
        while read < count {
            for (index, connection) in connections.enumerated() where next[index] < events[index].count {
                record(try connection.receive(), events[index][next[index]])
                next[index] += 1
                read += 1
            }
        }
        try fault()
        for (index, connection) in connections.enumerated() {
            while next[index] < events[index].count, let answer = try? connection.receive() {
                record(answer, events[index][next[index]])
                next[index] += 1
            }
        }
    }

    /// Sends again what was not acknowledged, as a client does that was told that retrying is safe.
    mutating func retryUntilAcknowledged(_ gateway: GatewayProcess) throws {
        for event in all where status[event.id] != 202 {
            let isDone = try waitUntil(timeout: .seconds(30)) {
                record(try gateway.exchange(event.structured()), event)
                return status[event.id] == 202
            }
            guard isDone else { return }
        }
    }

    private mutating func record(_ answer: HTTPResponse, _ event: TestEvent) {
        status[event.id] = answer.status
        if answer.status == 202 { sequence[event.id] = answer.json["sequence"].int }
    }

    /// Acknowledged events that the stream does not have at the sequence they were told.
    func lost(_ reader: StreamReader) throws -> [String] {
        try acknowledged.filter { id in
            try reader.message(sequence[id] ?? 0)?.event().attributes["id"] != id
        }
    }
}
