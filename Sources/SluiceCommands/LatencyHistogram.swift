/// Counts durations in buckets that are narrow where values are small and widen with them: a quantile is at most 1/128
/// (0.8 %) above the true value, from 1 ns to centuries, in 60 KiB.
package struct LatencyHistogram: Sendable {
    /// Every power of two is cut into this many buckets.
    private static let steps: UInt64 = 128
    private static let stepBits: UInt64 = 7

    private var counts = [UInt64](repeating: 0, count: Int(steps) * 58)
    /// How many values were recorded.
    package private(set) var count: UInt64 = 0
    /// The largest value, exact; 0 when there is none.
    package private(set) var max: UInt64 = 0
    private var sum: Double = 0

    package init() {}

    /// Adds a duration in nanoseconds.
    package mutating func record(_ nanoseconds: UInt64) {
        counts[Self.bucket(of: nanoseconds)] += 1
        count += 1
        sum += Double(nanoseconds)
        if nanoseconds > max { max = nanoseconds }
    }

    /// Adds all values of another histogram.
    package mutating func merge(_ other: LatencyHistogram) {
        for index in counts.indices { counts[index] += other.counts[index] }
        count += other.count
        sum += other.sum
        max = Swift.max(max, other.max)
    }

    /// The mean in nanoseconds; 0 when there are no values.
    package var mean: Double { count == 0 ? 0 : sum / Double(count) }

    /// The smallest bucket's upper end that at least this share of all values does not exceed, in nanoseconds.
    ///
    /// - Parameter share: From 0 to 1; `0.99` is the 99th percentile. 0 when there are no values.
    package func quantile(_ share: Double) -> UInt64 {
        guard count > 0 else { return 0 }
        let rank = Swift.max(1, UInt64((Swift.min(1, Swift.max(0, share)) * Double(count)).rounded(.up)))
        var seen: UInt64 = 0
        for (index, inBucket) in counts.enumerated() {
            seen += inBucket
            if seen >= rank { return Swift.min(max, Self.upperEnd(of: index)) }
        }
        return max
    }

    private static func bucket(of value: UInt64) -> Int {
        guard value >= steps else { return Int(value) }
        let shift = UInt64(63 - value.leadingZeroBitCount) - stepBits
        return Int((shift + 1) * steps + (value >> shift) - steps)
    }

    private static func upperEnd(of bucket: Int) -> UInt64 {
        let bucket = UInt64(bucket)
        guard bucket >= steps else { return bucket }
        let shift = bucket / steps - 1
        let lower = (steps + bucket % steps) << shift
        return lower + ((1 << shift) - 1)
    }
}
