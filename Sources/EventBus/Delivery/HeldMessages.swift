import CloudEvents
import DeliveryRules
import JetStream

/// The messages that a worker has in hand, each in a slot whose number goes along with what the server is asked.
struct HeldMessages {
    /// One message in hand; belongs to the worker's loop.
    final class Entry: @unchecked Sendable {
        // Safe: it is made on the loop and comes back to it when something had to be looked up first.
        let sequence: UInt64
        /// The newest delivery of it: only its address settles.
        var message: DeliveredMessage
        /// The event, nil if it is none.
        let event: CloudEvent?
        /// Whether the payload is the event's JSON.
        let isStructured: Bool
        /// Why it is no event.
        let fault: String?
        var history = DeliveryHistory()
        /// Why it is becoming a dead letter.
        var burial: (reason: DeadLetterReason, attempts: Int)?
        /// Whether hand-backs of it are recorded.
        var isRecorded = false

        init(_ message: DeliveredMessage, _ decoded: EventIntake.Decoded) {
            sequence = message.sequence
            self.message = message
            event = decoded.event
            isStructured = decoded.isStructured
            fault = nil
        }

        init(_ message: DeliveredMessage, fault: String) {
            sequence = message.sequence
            self.message = message
            event = nil
            isStructured = false
            self.fault = fault
        }
    }

    private var slots: [Entry?] = []
    private var free: [UInt32] = []
    private var slotOfSequence: [UInt64: UInt32] = [:]

    var count: Int { slotOfSequence.count }
    /// Bytes of payload in hand.
    private(set) var bytes = 0

    /// The slot of a sequence, nil if it is not in hand.
    func slot(of sequence: UInt64) -> UInt32? { slotOfSequence[sequence] }

    /// What is in a slot, nil if it is empty.
    subscript(slot: UInt32) -> Entry? { slots.indices.contains(Int(slot)) ? slots[Int(slot)] : nil }

    /// The message of a sequence, nil if it is not in hand.
    subscript(sequence sequence: UInt64) -> Entry? { slotOfSequence[sequence].flatMap { slots[Int($0)] } }

    /// Takes a message into a new slot.
    mutating func add(_ entry: Entry) {
        bytes += entry.message.payload.count
        let slot: UInt32
        if let reused = free.popLast() {
            slot = reused
            slots[Int(slot)] = entry
        } else {
            slot = UInt32(slots.count)
            slots.append(entry)
        }
        slotOfSequence[entry.sequence] = slot
    }

    /// Drops a message and returns it.
    mutating func remove(_ sequence: UInt64) -> Entry? {
        guard let slot = slotOfSequence.removeValue(forKey: sequence) else { return nil }
        let entry = slots[Int(slot)]
        bytes -= entry?.message.payload.count ?? 0
        slots[Int(slot)] = nil
        free.append(slot)
        return entry
    }
}

/// What is known of the attempts to deliver one event, for its dead letter.
struct DeliveryHistory: Sendable {
    /// Milliseconds of Unix time of the first attempt this replica knows of, and of the last.
    var first: UInt64?
    var last: UInt64?
    /// The status of the last answer, if there was one.
    var lastStatus: Int?
    /// The last error, in words.
    var lastError: String?

    mutating func note(_ report: AttemptReport, at time: UInt64) {
        if first == nil { first = time }
        last = time
        switch report.result {
        case .answered(let status, _): lastStatus = status
        default: lastStatus = nil
        }
        lastError = report.error
    }
}

/// The histories of events that wait at the server for their next attempt: the newest of them, bounded.
struct WaitingHistories {
    private static let countMax = 10_000
    private var histories: [UInt64: DeliveryHistory] = [:]
    private var order: [UInt64] = []

    mutating func keep(_ history: DeliveryHistory, of sequence: UInt64) {
        guard history.first != nil else { return }
        if histories.updateValue(history, forKey: sequence) == nil { order.append(sequence) }
        if order.count > 2 * Self.countMax {
            for old in order.prefix(Self.countMax) { histories[old] = nil }
            order.removeFirst(Self.countMax)
        }
    }

    mutating func take(_ sequence: UInt64) -> DeliveryHistory? {
        histories.isEmpty ? nil : histories.removeValue(forKey: sequence)
    }
}
