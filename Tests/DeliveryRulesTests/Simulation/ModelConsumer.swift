/// A model of a JetStream pull consumer with explicit acknowledgement and no `max_deliver`, as nats-server behaves.
///
/// Every settlement is taken by the stream sequence alone, stale or not; a delayed NAK moves the deadline; what is due
/// again is delivered before what is new. Messages are numbered from 1.
struct ModelConsumer {
    enum State: Equatable {
        case unpublished
        case new
        case pending(until: Int64)
        case due
        case settled
    }

    struct Request {
        let replica: Int
        let connection: Int
        let pull: UInt32
        var open: Int
        let expires: Int64
    }

    struct Delivery {
        let replica: Int
        let connection: Int
        let pull: UInt32
        let sequence: Int
        let count: Int
        let isLast: Bool
        let isComplete: Bool
    }

    let ackWait: Int64
    private(set) var states: [State]
    private(set) var deliveries: [Int]
    private(set) var requests: [Request] = []
    private var dueQueue: [Int] = []
    private var newQueue: [Int] = []
    private(set) var settledCount = 0

    init(messages: Int, ackWait: Int64) {
        self.ackWait = ackWait
        states = Array(repeating: .unpublished, count: messages + 1)
        deliveries = Array(repeating: 0, count: messages + 1)
    }

    mutating func publish(_ sequence: Int) {
        states[sequence] = .new
        newQueue.append(sequence)
    }

    mutating func add(_ request: Request) { requests.append(request) }

    /// Ends a request; whether it was still there.
    mutating func end(pull: UInt32, replica: Int, connection: Int) -> Bool {
        let before = requests.count
        requests.removeAll { $0.pull == pull && $0.replica == replica && $0.connection == connection }
        return requests.count < before
    }

    mutating func endAll(replica: Int) { requests.removeAll { $0.replica == replica } }

    var hasMessages: Bool { !dueQueue.isEmpty || !newQueue.isEmpty }

    /// The next delivery that a waiting request gets.
    mutating func deliver(now: Int64) -> Delivery? {
        requests.removeAll { $0.expires <= now }
        guard !requests.isEmpty, hasMessages else { return nil }
        let sequence = dueQueue.isEmpty ? newQueue.removeFirst() : dueQueue.removeFirst()
        deliveries[sequence] += 1
        states[sequence] = .pending(until: now + ackWait)
        requests[0].open -= 1
        let request = requests[0]
        // Round robin, as the server does.
        requests.removeFirst()
        if request.open > 0 { requests.append(request) }
        return Delivery(
            replica: request.replica,
            connection: request.connection,
            pull: request.pull,
            sequence: sequence,
            count: deliveries[sequence],
            isLast: newQueue.isEmpty,
            isComplete: request.open == 0
        )
    }

    mutating func acknowledge(_ sequence: Int) {
        if states[sequence] == .due { dueQueue.removeAll { $0 == sequence } }
        if states[sequence] != .settled { settledCount += 1 }
        states[sequence] = .settled
    }

    /// A NAK with a delay; the new deadline, if it has one now.
    mutating func release(_ sequence: Int, delay: Int64, now: Int64) -> Int64? {
        guard case .pending = states[sequence] else { return nil }
        if delay <= 0 {
            states[sequence] = .due
            dueQueue.append(sequence)
            return nil
        }
        states[sequence] = .pending(until: now + delay)
        return now + delay
    }

    mutating func progress(_ sequence: Int, now: Int64) {
        if case .pending = states[sequence] { states[sequence] = .pending(until: now + ackWait) }
    }

    /// Looks at a deadline; the moment to look again, if it moved.
    mutating func check(_ sequence: Int, now: Int64) -> Int64? {
        guard case .pending(let until) = states[sequence] else { return nil }
        if until > now { return until }
        states[sequence] = .due
        dueQueue.append(sequence)
        return nil
    }
}
