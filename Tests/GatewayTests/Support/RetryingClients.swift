import Foundation
import ServerFixtures

/// Clients that publish one event after the other on threads of their own, go elsewhere when a connection is refused or
/// its end is announced, and note every other failure.
final class RetryingClients: Sendable {
    /// What the clients have seen.
    struct Record {
        /// The sequence that was told for each acknowledged event.
        var acknowledged: [String: Int] = [:]
        /// What no client should see: a connection that broke with a request on it, or another status than 202.
        var failures: [String] = []
        var announcedEnds = 0
    }

    /// How a client deals with a failure.
    enum Policy: Sendable {
        /// Notes it and goes on with another event.
        case note
        /// Sends the same event again until it is acknowledged.
        case sendAgain
    }

    private let record = Shared(Record())
    private let isStopping = Shared(false)
    private let running = Shared(0)
    private let policy: Policy

    /// - Parameter ports: Where the gateways are; a client moves from one to the next.
    init(count: Int, ports: [UInt16], policy: Policy) {
        self.policy = policy
        running.withLock { $0 = count }
        for first in 0..<count {
            Thread { [self] in
                publish(ports, startingAt: first)
                running.withLock { $0 -= 1 }
            }.start()
        }
    }

    var current: Record { record.current }

    /// Waits until so many more events are acknowledged.
    func waitForMore(_ count: Int) -> Bool {
        let goal = current.acknowledged.count + count
        return waitUntil(timeout: .seconds(60)) { current.acknowledged.count >= goal }
    }

    /// Lets each client finish its event, and waits for that.
    func stop() -> Bool {
        isStopping.withLock { $0 = true }
        return waitUntil(timeout: .seconds(60)) { running.current == 0 }
    }

    private func publish(_ ports: [UInt16], startingAt first: Int) {
        var position = first
        var connection: HTTPConnection?
        while !isStopping.current {
            let event = TestEvent()
            var isDone = false
            while !isDone {
                guard let open = connection ?? (try? HTTPConnection(port: ports[position % ports.count])) else {
                    position += 1
                    // Nobody may be there at all for a moment.
                    _ = poll(nil, 0, 5)
                    if ports.count == 1 && policy == .note { return }
                    continue
                }
                connection = open
                isDone = send(event, on: &connection) || policy == .note
                if connection == nil { position += 1 }
            }
        }
    }

    /// Sends an event; returns whether it was acknowledged.
    private func send(_ event: TestEvent, on connection: inout HTTPConnection?) -> Bool {
        do {
            guard let answer = try connection?.exchange(event.structured()) else { return false }
            let isLast = answer["Connection"]?.lowercased() == "close"
            if isLast { connection = nil }
            record.withLock { record in
                if isLast { record.announcedEnds += 1 }
                if answer.status == 202 {
                    record.acknowledged[event.id] = answer.json["sequence"].int ?? 0
                } else {
                    record.failures.append("\(answer.status) \(answer.text)")
                }
            }
            return answer.status == 202
        } catch {
            connection = nil
            record.withLock { $0.failures.append("\(error)") }
            return false
        }
    }
}

extension RetryingClients.Record {
    /// Acknowledged events that the stream does not have at the sequence they were told.
    func lost(_ reader: StreamReader) throws -> [String] {
        try acknowledged.filter { id, sequence in
            try reader.message(sequence)?.event().attributes["id"] != id
        }.map(\.key)
    }
}
