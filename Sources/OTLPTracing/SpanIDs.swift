import Synchronization

/// Makes ids for traces and spans: random-looking, from two counters, without lock or system call.
///
/// SplitMix64 (Steele, Lea, Flood 2014) over an atomic counter that starts at a random number: a permutation of 64 bits, so
/// that a process never makes a span id twice. The ids are not secrets and must not be used as such.
final class SpanIDs: Sendable {
    private let first: Atomic<UInt64>
    private let second: Atomic<UInt64>

    init() {
        var random = SystemRandomNumberGenerator()
        first = Atomic(random.next())
        second = Atomic(random.next())
    }

    /// A span id, never zero.
    func makeSpanID() -> UInt64 { Self.next(first) }

    /// A trace id, never all zeros.
    func makeTraceID() -> (high: UInt64, low: UInt64) { (Self.next(second), Self.next(first)) }

    private static func next(_ counter: borrowing Atomic<UInt64>) -> UInt64 {
        while true {
            let number = mix(counter.wrappingAdd(0x9E37_79B9_7F4A_7C15, ordering: .relaxed).newValue)
            if number != 0 { return number }
        }
    }

    private static func mix(_ counter: UInt64) -> UInt64 {
        var z = counter
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
