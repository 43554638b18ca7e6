/// Settlements that were sent and are not confirmed.
///
/// Pure: time comes from outside.
struct SettlementTable {
    /// One settlement, whose owner waits.
    struct Entry {
        let mailbox: LaneMailbox
        let tag: DeliveryLane.Tag
        let deadline: Nanoseconds
    }

    private struct Slot {
        var entry: Entry?
        var generation: UInt32 = 0
    }

    private var slots: [Slot] = []
    private var free: [Int32] = []
    private let countMax: Int
    private(set) var earliestDeadline = Nanoseconds.max
    /// Set by the sender that found no room: the next confirmations wake it.
    private var roomWanted = false

    init(countMax: Int) {
        self.countMax = min(max(countMax, 1), 1 << 20)
    }

    var count: Int { slots.count - free.count }

    /// Notes a settlement that is about to be sent; nil when there are too many.
    mutating func insert(_ entry: Entry) -> SlotTable.Token? {
        guard count < countMax else {
            roomWanted = true
            return nil
        }
        let index: Int
        if let last = free.popLast() {
            index = Int(last)
        } else {
            index = slots.count
            slots.append(Slot())
        }
        slots[index].generation &+= 1
        slots[index].entry = entry
        earliestDeadline = min(earliestDeadline, entry.deadline)
        return SlotTable.Token(slot: index, generation: slots[index].generation)
    }

    mutating func remove(_ token: SlotTable.Token) -> Entry? {
        guard slots.indices.contains(token.slot), slots[token.slot].generation == token.generation,
            let entry = slots[token.slot].entry
        else { return nil }
        slots[token.slot].entry = nil
        free.append(Int32(truncatingIfNeeded: token.slot))
        return entry
    }

    /// True when enough is free again for the sender to be woken.
    mutating func takeRoomWanted() -> Bool {
        guard roomWanted, count <= countMax / 4 * 3 else { return false }
        roomWanted = false
        return true
    }

    /// Takes out what is past its deadline.
    mutating func removeExpired(now: Nanoseconds) -> [Entry] {
        now >= earliestDeadline ? removeAll { $0.deadline <= now } : []
    }

    mutating func removeAll() -> [Entry] { removeAll { _ in true } }

    private mutating func removeAll(where isDue: (Entry) -> Bool) -> [Entry] {
        var removed: [Entry] = []
        earliestDeadline = .max
        roomWanted = false
        for index in slots.indices {
            guard let entry = slots[index].entry else { continue }
            if isDue(entry) {
                removed.append(entry)
                slots[index].entry = nil
                free.append(Int32(truncatingIfNeeded: index))
            } else {
                earliestDeadline = min(earliestDeadline, entry.deadline)
            }
        }
        return removed
    }
}
