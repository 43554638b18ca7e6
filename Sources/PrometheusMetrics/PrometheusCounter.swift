public import CoreMetrics
import Synchronization

/// A number that only grows, from any thread, without a lock or an allocation.
///
/// Whole amounts are kept as integers and stay exact up to 2^64; Prometheus itself reads them as doubles.
public final class PrometheusCounter: CounterHandler, FloatingPointCounterHandler, Series {
    private let head: [UInt8]
    private let whole = Atomic<UInt64>(0)
    private let fraction = AtomicDouble()

    init(name: String, labels: String) {
        head = TextFormat.head(name, labels: labels)
    }

    /// Adds an amount; nothing when it is negative.
    public func increment(by amount: Int64) {
        if amount > 0 { add(UInt64(amount)) }
    }

    /// Adds an amount; nothing when it is negative or not finite.
    public func increment(by amount: Double) {
        guard amount > 0, amount.isFinite else { return }
        if amount < 0x1p53, amount == amount.rounded(.towardZero) {
            add(UInt64(amount))
        } else {
            fraction.add(amount)
        }
    }

    /// Takes over a total that is counted elsewhere; a lower one than is there already changes nothing.
    ///
    /// Not for a counter that is also incremented.
    public func raise(to total: UInt64) {
        _ = whole.max(total, ordering: .relaxed)
    }

    /// Takes over a total that is counted elsewhere; one that is lower or not finite changes nothing.
    ///
    /// Not for a counter that is also incremented or raised to integers.
    public func raise(to total: Double) {
        if total.isFinite { fraction.raise(to: total) }
    }

    /// Starts again at 0, which Prometheus takes for a restart.
    public func reset() {
        whole.store(0, ordering: .relaxed)
        fraction.store(0)
    }

    /// Large amounts are added with a check, so that the sum stays at its largest value instead of starting again.
    private func add(_ amount: UInt64) {
        if amount < 1 << 32 {
            whole.wrappingAdd(amount, ordering: .relaxed)
            return
        }
        var seen = whole.load(ordering: .relaxed)
        while true {
            // Half of the range is left for small amounts, which would take decades to fill it.
            let sum = seen > Self.largest || amount > Self.largest - seen ? max(seen, Self.largest) : seen + amount
            let (exchanged, original) = whole.weakCompareExchange(expected: seen, desired: sum, ordering: .relaxed)
            if exchanged { return }
            seen = original
        }
    }

    private static let largest: UInt64 = 1 << 63

    // MARK: Series

    var textSizeMax: Int { head.count + numberSizeMax }

    func write(to body: inout [UInt8]) {
        let (count, rest) = (whole.load(ordering: .relaxed), fraction.value)
        if rest == 0 {
            body.appendSample(head, count)
        } else {
            body.appendSample(head, Double(count) + rest)
        }
    }
}
