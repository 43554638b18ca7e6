/// What has been sent and is not settled: one slot per message in flight.
///
/// A reply subject carries slot and generation; a generation ends with each send, so that a late or repeated reply finds
/// nothing. Pure: time and outcomes come from outside.
package struct SlotTable {
    /// Slot number and generation of one send.
    package struct Token: Equatable {
        let slot: Int
        let generation: UInt32
    }

    /// One message in flight.
    package struct Entry {
        let batch: Batch
        let index: Int
        /// Where its first byte stands in all the bytes given to this connection.
        var offset: UInt64
        /// Sends after the first, because the server asked for patience.
        package var retries = 0
        /// Why the server asked for patience, if it did.
        var asked: RetryReason?
        /// Whether it waits to be sent again.
        var isWaiting = false
        var retryAt: Nanoseconds = .max
    }

    /// Why a message is sent again.
    package enum RetryReason {
        /// Nobody listened: certainly not stored.
        case noResponders
        /// The server is storing an earlier copy: perhaps stored.
        case duplicateInProcess
    }

    private struct Slot {
        var entry: Entry?
        var generation: UInt32 = 0
    }

    private var slots: [Slot] = []
    private var free: [Int32] = []
    private let countMax: Int
    private let costMax: Int
    private(set) var cost = 0
    private(set) var earliestDeadline = Nanoseconds.max
    private(set) var earliestRetry = Nanoseconds.max
    /// Set by the sender that found no room: the next settled messages wake it.
    var roomWanted = false
    /// From then on nobody looks after what is in here.
    private var isClosed = false

    package init(countMax: Int, costMax: Int) {
        self.countMax = min(max(countMax, 1), 32_768)
        self.costMax = costMax
    }

    var count: Int { slots.count - free.count }
    package var isEmpty: Bool { count == 0 }

    /// Whether a message of this cost may go out now; one message always may.
    func hasRoom(for cost: Int) -> Bool {
        count < countMax && (isEmpty || self.cost + cost <= costMax)
    }

    /// True when enough is free again for the sender to be woken.
    mutating func takeRoomWanted() -> Bool {
        guard roomWanted, count <= countMax / 4 * 3, isEmpty || cost <= costMax / 4 * 3 else { return false }
        roomWanted = false
        return true
    }

    package mutating func insert(batch: Batch, index: Int, offset: UInt64) -> Token {
        let slot: Int
        if let last = free.popLast() {
            slot = Int(last)
        } else {
            slot = slots.count
            slots.append(Slot())
        }
        cost += batch.items[index].cost
        earliestDeadline = min(earliestDeadline, batch.deadline)
        slots[slot].generation &+= 1
        slots[slot].entry = Entry(batch: batch, index: index, offset: offset)
        return Token(slot: slot, generation: slots[slot].generation)
    }

    /// Takes the message out, if the token is that of its last send.
    package mutating func remove(_ token: Token) -> Entry? {
        guard slots.indices.contains(token.slot), slots[token.slot].generation == token.generation,
            let entry = slots[token.slot].entry
        else { return nil }
        remove(slot: token.slot, entry)
        return entry
    }

    private mutating func remove(slot: Int, _ entry: Entry) {
        slots[slot].entry = nil
        cost -= entry.batch.items[entry.index].cost
        free.append(Int32(truncatingIfNeeded: slot))
    }

    /// Puts a message back that was just removed, to be sent again at `time`.
    ///
    /// - Returns: The outcome that the caller must give the message, if the table was closed meanwhile; else nil.
    package mutating func insertForRetry(_ entry: Entry, reason: RetryReason, at time: Nanoseconds) -> PublishOutcome? {
        var entry = entry
        entry.retries += 1
        entry.asked = reason
        entry.isWaiting = true
        entry.retryAt = time
        if isClosed { return entry.abandonedOutcome(written: .max, reason: .connectionLost) }
        let token = insert(batch: entry.batch, index: entry.index, offset: entry.offset)
        slots[token.slot].entry = entry
        earliestRetry = min(earliestRetry, time)
        return nil
    }

    /// The messages due to be sent again, each with a new token; the caller sends them.
    package mutating func takeRetries(
        now: Nanoseconds,
        offset: UInt64
    ) -> [(token: Token, batch: Batch, index: Int)] {
        guard now >= earliestRetry else { return [] }
        var due: [(token: Token, batch: Batch, index: Int)] = []
        earliestRetry = .max
        for slot in slots.indices {
            guard var entry = slots[slot].entry, entry.isWaiting else { continue }
            if entry.retryAt <= now {
                entry.isWaiting = false
                entry.offset = offset
                slots[slot].generation &+= 1
                slots[slot].entry = entry
                let token = Token(slot: slot, generation: slots[slot].generation)
                due.append((token, entry.batch, entry.index))
            } else {
                earliestRetry = min(earliestRetry, entry.retryAt)
            }
        }
        return due
    }

    /// Takes out what is past its deadline.
    mutating func removeExpired(now: Nanoseconds) -> [Entry] {
        now >= earliestDeadline ? removeAll { $0.batch.deadline <= now } : []
    }

    /// Takes out everything.
    package mutating func removeAll() -> [Entry] { removeAll { _ in true } }

    /// Takes out everything, and nothing is sent again from now on.
    package mutating func close() -> [Entry] {
        isClosed = true
        return removeAll()
    }

    private mutating func removeAll(where isDue: (Entry) -> Bool) -> [Entry] {
        var removed: [Entry] = []
        earliestDeadline = .max
        for slot in slots.indices {
            guard let entry = slots[slot].entry else { continue }
            if isDue(entry) {
                remove(slot: slot, entry)
                removed.append(entry)
            } else {
                earliestDeadline = min(earliestDeadline, entry.batch.deadline)
            }
        }
        return removed
    }
}

extension SlotTable.Entry {
    /// What is certain of a message that will hear nothing more.
    ///
    /// - Parameter written: Bytes of a dead connection that have left the process; the others never will. `UInt64.max`
    ///   while the connection lives, since what waits in its buffer may still go out.
    package func abandonedOutcome(written: UInt64, reason: UnknownReason) -> PublishOutcome {
        switch asked {
        case .noResponders where isWaiting: .rejected(.noResponders)
        case .duplicateInProcess: .unknown(.duplicateInProcess)
        case nil where offset >= written: .notSent(.disconnected)
        default: .unknown(reason)
        }
    }

    /// What is certain of a message that could not be handed to the connection: an earlier copy may have been.
    ///
    /// - Parameter first: The outcome if this was the first try.
    package func refusedOutcome(ofFirstSend first: PublishOutcome) -> PublishOutcome {
        switch asked {
        case .noResponders: .rejected(.noResponders)
        case .duplicateInProcess: .unknown(.duplicateInProcess)
        case nil: first
        }
    }
}

extension Rejection {
    static let noResponders = Rejection(
        kind: .noResponders,
        code: 503,
        description: "no responders: no stream listens on the subject"
    )
}
