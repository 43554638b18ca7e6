/// A set of stream sequences as disjoint ranges in ascending order: small where sequences are nearly contiguous.
package struct SequenceSet: Sendable, Equatable {
    /// The ranges, ascending, with a gap between any two.
    package private(set) var ranges: [ClosedRange<UInt64>] = []

    package init() {}

    /// How many sequences are in it.
    package var count: UInt64 { ranges.reduce(0) { $0 + UInt64($1.count) } }

    /// Whether nothing is in it.
    package var isEmpty: Bool { ranges.isEmpty }

    /// How many of its sequences lie between the bounds.
    package func count(from first: UInt64, through last: UInt64) -> UInt64 {
        guard first <= last else { return 0 }
        return ranges.reduce(0) { sum, range in
            range.overlaps(first...last) ? sum + UInt64(range.clamped(to: first...last).count) : sum
        }
    }

    /// Whether the sequence is in it.
    package func contains(_ sequence: UInt64) -> Bool {
        let index = firstRange(endingAtOrAfter: sequence)
        return index < ranges.count && ranges[index].contains(sequence)
    }

    /// Adds sequences that are in ascending order, some perhaps twice.
    ///
    /// Only the ranges from the first of them on are touched: sequences that arrive nearly in order cost little.
    package mutating func insert(ascending sequences: [UInt64]) {
        guard let first = sequences.first else { return }
        let start = firstRange(endingAtOrAfter: first == 0 ? 0 : first - 1)
        let tail = Array(ranges[start...])
        ranges.removeSubrange(start...)
        var next = 0
        for sequence in sequences {
            while next < tail.count, tail[next].lowerBound <= sequence {
                append(tail[next])
                next += 1
            }
            append(sequence...sequence)
        }
        for range in tail[next...] { append(range) }
    }

    /// The sequences that are in both sets.
    package func intersection(_ other: SequenceSet) -> SequenceSet {
        var common = SequenceSet()
        var index = 0
        var otherIndex = 0
        while index < ranges.count, otherIndex < other.ranges.count {
            let range = ranges[index]
            let otherRange = other.ranges[otherIndex]
            if range.overlaps(otherRange) { common.ranges.append(range.clamped(to: otherRange)) }
            if range.upperBound < otherRange.upperBound { index += 1 } else { otherIndex += 1 }
        }
        return common
    }

    /// Adds the sequences of another set.
    package mutating func formUnion(_ other: SequenceSet) {
        guard !other.isEmpty else { return }
        let all = (ranges + other.ranges).sorted { $0.lowerBound < $1.lowerBound }
        ranges = []
        for range in all { append(range) }
    }

    /// Removes the sequences of another set.
    package mutating func subtract(_ other: SequenceSet) {
        guard !other.isEmpty else { return }
        var rest: [ClosedRange<UInt64>] = []
        for range in ranges {
            var start = range.lowerBound
            var isDone = false
            for hole in intersectionRanges(other, range) {
                if hole.lowerBound > start { rest.append(start...(hole.lowerBound - 1)) }
                isDone = hole.upperBound >= range.upperBound
                if !isDone { start = hole.upperBound + 1 }
            }
            if !isDone { rest.append(start...range.upperBound) }
        }
        ranges = rest
    }

    private func intersectionRanges(_ other: SequenceSet, _ range: ClosedRange<UInt64>) -> [ClosedRange<UInt64>] {
        var found: [ClosedRange<UInt64>] = []
        var index = other.firstRange(endingAtOrAfter: range.lowerBound)
        while index < other.ranges.count, other.ranges[index].lowerBound <= range.upperBound {
            found.append(other.ranges[index].clamped(to: range))
            index += 1
        }
        return found
    }

    /// Appends a range that begins at or after the last one's beginning.
    private mutating func append(_ range: ClosedRange<UInt64>) {
        guard let last = ranges.last, range.lowerBound <= last.upperBound || range.lowerBound - 1 == last.upperBound
        else { return ranges.append(range) }
        ranges[ranges.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
    }

    /// The index of the first range that ends at `sequence` or later; `ranges.count` if none does.
    private func firstRange(endingAtOrAfter sequence: UInt64) -> Int {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound < sequence { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension SequenceSet: CustomStringConvertible {
    /// `5, 9-12, 20`.
    package var description: String {
        ranges.map { $0.lowerBound == $0.upperBound ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
            .joined(separator: ", ")
    }
}
