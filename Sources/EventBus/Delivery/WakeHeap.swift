import DeliveryRules

/// Who wants to be woken when, the earliest first.
///
/// A worker may stand in it several times; only its newest wish counts.
struct WakeHeap {
    private var entries: [(time: Instant, worker: UInt32)] = []

    /// The earliest wish, `.max` without one.
    var earliest: Instant { entries.first?.time ?? .max }

    mutating func add(_ worker: UInt32, at time: Instant) {
        entries.append((time, worker))
        var child = entries.count - 1
        while child > 0, case let parent = (child - 1) / 2, entries[child].time < entries[parent].time {
            entries.swapAt(child, parent)
            child = parent
        }
    }

    /// Takes out one wish whose time has come.
    mutating func popDue(_ now: Instant) -> (time: Instant, worker: UInt32)? {
        guard let first = entries.first, first.time <= now else { return nil }
        let last = entries.removeLast()
        if !entries.isEmpty {
            entries[0] = last
            sink()
        }
        return first
    }

    private mutating func sink() {
        var parent = 0
        while case let left = 2 * parent + 1, left < entries.count {
            let right = left + 1
            let child = right < entries.count && entries[right].time < entries[left].time ? right : left
            if entries[parent].time <= entries[child].time { return }
            entries.swapAt(parent, child)
            parent = child
        }
    }
}
