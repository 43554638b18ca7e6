/// Batches on their way from the producers to the I/O thread: bounded, and shut while there is no connection.
struct Inbox: Sendable {
    private var batches: [Batch] = []
    private var count = 0
    private var cost = 0
    private var laneBatches: [(mailbox: LaneMailbox, batch: LaneBatch)] = []
    private var orderCount = 0
    private var answers: [ServiceAnswer] = []
    private var answerCost = 0
    /// Until when the end of all pulls is waited for, where it was asked for and not taken yet.
    private var pullsEnd: Nanoseconds?
    /// Whether the I/O thread waits and wants to be woken.
    private var sleeping = false
    private(set) var refusal: NotSentReason? = .disconnected
    private let countMax: Int
    private let costMax: Int
    private let orderCountMax: Int

    init(configuration: JetStreamConfiguration) {
        orderCountMax = configuration.settlementsQueuedMax
        countMax = configuration.queuedMax
        costMax = configuration.queuedBytesMax
    }

    enum Verdict {
        case accepted(wake: Bool)
        case refused(NotSentReason)
    }

    mutating func add(_ batch: Batch) -> Verdict {
        if let refusal { return .refused(refusal) }
        guard batch.items.count <= countMax - count, batch.cost <= costMax - cost else { return .refused(.overloaded) }
        count += batch.items.count
        cost += batch.cost
        batches.append(batch)
        defer { sleeping = false }
        return .accepted(wake: sleeping)
    }

    /// Takes what a lane asks for.
    mutating func add(_ batch: LaneBatch, _ mailbox: LaneMailbox) -> Verdict {
        if let refusal { return .refused(refusal) }
        guard batch.orders.count <= orderCountMax - orderCount else { return .refused(.overloaded) }
        orderCount += batch.orders.count
        laneBatches.append((mailbox, batch))
        defer { sleeping = false }
        return .accepted(wake: sleeping)
    }

    /// Takes the answer of a service.
    mutating func add(_ answer: ServiceAnswer) -> Verdict {
        if let refusal { return .refused(refusal) }
        guard answer.cost <= costMax - answerCost else { return .refused(.overloaded) }
        answerCost += answer.cost
        answers.append(answer)
        defer { sleeping = false }
        return .accepted(wake: sleeping)
    }

    /// Asks for the end of all pulls; true if the I/O thread is to be woken.
    mutating func endPulls(by deadline: Nanoseconds) -> Bool {
        pullsEnd = deadline
        defer { sleeping = false }
        return sleeping
    }

    /// Moves out what the lanes and services ask for; settlements keep counting until they are `release`d.
    mutating func take(into queue: inout LaneQueue) {
        if !laneBatches.isEmpty {
            queue.append(contentsOf: laneBatches)
            laneBatches.removeAll(keepingCapacity: true)
        }
        if !answers.isEmpty {
            queue.answers += answers
            answers.removeAll()
            answerCost = 0
        }
        if let deadline = pullsEnd {
            queue.endPulls(by: deadline)
            pullsEnd = nil
        }
    }

    mutating func release(orders count: Int) { orderCount -= count }

    /// Moves all batches out; they keep counting until they are `release`d.
    mutating func take(into queue: inout BatchQueue) {
        sleeping = false
        if batches.isEmpty { return }
        queue.append(contentsOf: batches)
        batches.removeAll(keepingCapacity: true)
    }

    mutating func release(count: Int, cost: Int) {
        self.count -= count
        self.cost -= cost
    }

    /// True if the I/O thread may sleep; from then on `add` asks for a wake-up.
    mutating func sleepIfEmpty() -> Bool {
        sleeping = batches.isEmpty && laneBatches.isEmpty && answers.isEmpty && pullsEnd == nil
        return sleeping
    }

    /// With a reason, everything new is refused; once closing, for good.
    mutating func setRefusal(_ reason: NotSentReason?) {
        if refusal != .closing { refusal = reason }
    }
}

/// The I/O thread's own queue of batches, the first of them perhaps half done.
struct BatchQueue {
    private var batches: [Batch] = []
    private var head = 0
    private var next = 0
    private var earliestDeadline = Nanoseconds.max

    var isEmpty: Bool { head == batches.count }
    var firstDeadline: Nanoseconds { isEmpty ? .max : earliestDeadline }

    mutating func append(contentsOf more: [Batch]) {
        batches.append(contentsOf: more)
        for batch in more { earliestDeadline = min(earliestDeadline, batch.deadline) }
    }

    /// The item to send next.
    var first: (batch: Batch, index: Int)? { isEmpty ? nil : (batches[head], next) }

    mutating func removeFirst() {
        next += 1
        if next == batches[head].items.count {
            head += 1
            next = 0
            compact()
        }
    }

    private mutating func compact() {
        if head == batches.count {
            batches.removeAll(keepingCapacity: batches.capacity <= 1024)
            head = 0
            earliestDeadline = .max
        } else if head >= 256 {
            batches.removeSubrange(..<head)
            head = 0
        }
    }

    /// Takes out what `isDue` for an end: the batches with the index of their first item that was not sent.
    mutating func removeAll(where isDue: (Batch) -> Bool) -> [(batch: Batch, start: Int)] {
        var removed: [(batch: Batch, start: Int)] = []
        var kept: [Batch] = []
        var keptNext = 0
        earliestDeadline = .max
        for position in head..<batches.count {
            let batch = batches[position]
            let start = position == head ? next : 0
            if isDue(batch) {
                removed.append((batch, start))
            } else {
                if kept.isEmpty { keptNext = start }
                kept.append(batch)
                earliestDeadline = min(earliestDeadline, batch.deadline)
            }
        }
        batches = kept
        head = 0
        next = keptNext
        return removed
    }
}
