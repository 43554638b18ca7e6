import DeliveryRules

/// Seeded choices.
struct Dice {
    private var source: SplitMix

    init(seed: UInt64) {
        source = SplitMix(seed: seed)
    }

    mutating func below(_ bound: Int) -> Int { Int(((source.next() >> 32) * UInt64(max(bound, 1))) >> 32) }

    mutating func within(_ range: ClosedRange<Int64>) -> Int64 {
        range.lowerBound + Int64(source.next() % UInt64(range.upperBound - range.lowerBound + 1))
    }

    /// True with the probability of so many in a hundred.
    mutating func percent(_ share: Int) -> Bool { below(100) < share }

    mutating func pick<Value>(_ values: [Value]) -> Value { values[below(values.count)] }

    mutating func seed() -> UInt64 { source.next() }
}

let millisecond: Int64 = 1_000_000
let second: Int64 = 1_000_000_000

/// A duration in whole nanoseconds.
func nanoseconds(_ duration: Duration) -> Int64 {
    duration.components.seconds * second + duration.components.attoseconds / 1_000_000_000
}
