/// Entries that wait for their record, in the order in which they came, bounded.
package struct AuditBacklog: Sendable {
    private struct Chunk {
        let time: UInt64
        var entries: ArraySlice<AuditEntry>
    }

    private var chunks: [Chunk] = []
    private var head = 0
    private let countMax: Int
    /// Entries that wait.
    package private(set) var count = 0
    /// Entries that found no room since the last ``takeDropped()``.
    private var dropped: UInt64 = 0

    package init(countMax: Int) { self.countMax = countMax }

    /// Whether there is anything to record.
    package var isEmpty: Bool { count == 0 && dropped == 0 }

    /// Adds entries taken over at `time`, milliseconds since 1970.
    ///
    /// - Returns: How many found no room.
    package mutating func add(_ entries: [AuditEntry], time: UInt64) -> Int {
        let room = max(0, min(entries.count, countMax - count))
        if room > 0 {
            chunks.append(Chunk(time: time, entries: entries[..<room]))
            count += room
        }
        dropped += UInt64(entries.count - room)
        return entries.count - room
    }

    /// Takes the oldest entries, at most `most` of them, and the earliest time among them; `nil` if none waits.
    package mutating func take(atMost most: Int) -> (entries: [AuditEntry], earliestTime: UInt64)? {
        guard count > 0, most > 0 else { return nil }
        var taken: [AuditEntry] = []
        var earliest = UInt64.max
        while head < chunks.count, taken.count < most {
            let part = chunks[head].entries.prefix(most - taken.count)
            earliest = min(earliest, chunks[head].time)
            taken += part
            chunks[head].entries = chunks[head].entries.dropFirst(part.count)
            if chunks[head].entries.isEmpty { head += 1 }
        }
        count -= taken.count
        if head == chunks.count || head > 256 {
            chunks.removeFirst(head)
            head = 0
        }
        return (taken, earliest)
    }

    /// Puts entries back that were taken, before all others.
    package mutating func putBack(_ entries: [AuditEntry], time: UInt64, dropped: UInt64) {
        self.dropped += dropped
        guard !entries.isEmpty else { return }
        chunks.replaceSubrange(..<head, with: [Chunk(time: time, entries: entries[...])])
        head = 0
        count += entries.count
    }

    /// How many entries found no room since the last call.
    package mutating func takeDropped() -> UInt64 {
        defer { dropped = 0 }
        return dropped
    }
}
