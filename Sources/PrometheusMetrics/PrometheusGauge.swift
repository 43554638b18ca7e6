public import CoreMetrics

/// A number that goes up and down, from any thread, without a lock or an allocation.
///
/// Integers are exact up to 2^53. NaN and infinities are kept and written as such.
public final class PrometheusGauge: MeterHandler, RecorderHandler, Series {
    private let head: [UInt8]
    private let number = AtomicDouble()

    init(name: String, labels: String) {
        head = TextFormat.head(name, labels: labels)
    }

    /// Replaces the value.
    public func set(_ value: Int64) { number.store(Double(value)) }

    /// Replaces the value.
    public func set(_ value: Double) { number.store(value) }

    /// Adds to the value.
    public func increment(by amount: Double) { number.add(amount) }

    /// Takes from the value.
    public func decrement(by amount: Double) { number.add(-amount) }

    /// Replaces the value: the recorder of a gauge keeps the last one.
    public func record(_ value: Int64) { set(value) }

    /// Replaces the value: the recorder of a gauge keeps the last one.
    public func record(_ value: Double) { set(value) }

    // MARK: Series

    var textSizeMax: Int { head.count + numberSizeMax }

    func write(to body: inout [UInt8]) {
        body.appendSample(head, number.value)
    }
}
