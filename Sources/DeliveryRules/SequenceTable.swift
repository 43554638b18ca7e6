/// The events in hand by sequence: one look-up finds a place, and all are visited in an order that a seed repeats.
struct SequenceTable<Entry: Sendable>: Sendable {
    private var places: [UInt64: Int32] = [:]
    private var slots: ContiguousArray<Entry> = []
    private var used: ContiguousArray<Bool> = []
    private var free: [Int32] = []

    var count: Int { places.count }

    /// All places, those in use and those that are free.
    var range: Range<Int> { 0..<slots.count }

    func isUsed(_ place: Int) -> Bool { used[place] }

    /// The place of a sequence.
    func find(_ sequence: UInt64) -> Int? { places[sequence].map(Int.init) }

    /// The entry at a place in use.
    subscript(place: Int) -> Entry {
        get { slots[place] }
        _modify { yield &slots[place] }
    }

    /// Enters a sequence that is not in the table.
    mutating func insert(_ entry: Entry, for sequence: UInt64) -> Int {
        let place: Int
        if let last = free.popLast() {
            place = Int(last)
            slots[place] = entry
            used[place] = true
        } else {
            place = slots.count
            slots.append(entry)
            used.append(true)
        }
        places[sequence] = Int32(place)
        return place
    }

    mutating func remove(_ sequence: UInt64, at place: Int) {
        places[sequence] = nil
        used[place] = false
        free.append(Int32(place))
    }
}
