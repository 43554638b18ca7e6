public import CoreMetrics
import Synchronization

/// Counts of observations below upper bounds, and their sum, from any thread, without a lock or an allocation.
///
/// Timers record nanoseconds, which come out as seconds; recorders record in the unit of the metric.
public final class PrometheusHistogram: TimerHandler, RecorderHandler, Series {
    private let bounds: HistogramBounds
    private let heads: [[UInt8]]
    private let sumHead: [UInt8]
    private let countHead: [UInt8]
    private let counts: AtomicCounts
    // The sum in three parts: durations and whole numbers are added exactly, and only the rest needs a retry loop.
    private let nanoseconds = Atomic<Int64>(0)
    private let whole = Atomic<Int64>(0)
    private let fraction = AtomicDouble()

    init(name: String, labels: String, bounds: HistogramBounds) {
        self.bounds = bounds
        let before = labels.isEmpty ? "" : labels + ","
        heads = bounds.labels.map { TextFormat.head("\(name)_bucket", labels: "\(before)le=\"\($0)\"") }
        sumHead = TextFormat.head("\(name)_sum", labels: labels)
        countHead = TextFormat.head("\(name)_count", labels: labels)
        counts = AtomicCounts(heads.count)
    }

    /// Takes a duration; a negative one, of a clock that was set back, counts as 0.
    public func recordNanoseconds(_ duration: Int64) {
        let duration = max(duration, 0)
        counts.increment(bounds.bucket(ofNanoseconds: duration))
        if duration < Self.exactMax {
            nanoseconds.wrappingAdd(duration, ordering: .relaxed)
        } else {
            fraction.add(Double(duration) / 1e9)
        }
    }

    /// Takes a value in the unit of the metric.
    public func record(_ value: Int64) {
        counts.increment(bounds.bucket(of: Double(value)))
        if value.magnitude < Self.exactMax.magnitude {
            whole.wrappingAdd(value, ordering: .relaxed)
        } else {
            fraction.add(Double(value))
        }
    }

    /// Takes a value in the unit of the metric.
    ///
    /// NaN is no observation; infinities are counted and not summed.
    public func record(_ value: Double) {
        guard !value.isNaN else { return }
        counts.increment(bounds.bucket(of: value))
        if value.isFinite { fraction.add(value) }
    }

    /// Above this (18 minutes in nanoseconds), values are summed as doubles: the integers never overflow.
    private static let exactMax: Int64 = 1 << 40

    // MARK: Series

    var textSizeMax: Int {
        heads.reduce(sumHead.count + countHead.count) { $0 + $1.count } + (heads.count + 2) * numberSizeMax
    }

    /// The count is the last cumulative one, so that all lines of one body agree.
    func write(to body: inout [UInt8]) {
        let sum =
            Double(nanoseconds.load(ordering: .relaxed)) / 1e9 + Double(whole.load(ordering: .relaxed)) + fraction.value
        var total: UInt64 = 0
        for index in heads.indices {
            total &+= counts[index]
            body.appendSample(heads[index], total)
        }
        body.appendSample(sumHead, sum)
        body.appendSample(countHead, total)
    }
}

/// The upper bounds of a histogram's buckets, shared by its series.
final class HistogramBounds: Sendable {
    private let bounds: [Double]
    private let nanoseconds: [Int64]

    /// Sorts the bounds, makes them unique and leaves out what is not finite.
    init(_ buckets: [Double]) {
        let usable = Set(buckets.filter(\.isFinite)).sorted().prefix(PrometheusMetric.bucketsMax)
        bounds = usable.isEmpty ? PrometheusMetric.latencyBuckets : Array(usable)
        nanoseconds = bounds.map { Int64(exactly: ($0 * 1e9).rounded()) ?? ($0 < 0 ? .min : .max) }
    }

    /// Those of a metric that was not declared.
    static let standard = HistogramBounds(PrometheusMetric.latencyBuckets)

    /// How many buckets there are, with that of `+Inf`.
    var bucketCount: Int { bounds.count + 1 }

    /// The values of the label `le`.
    var labels: [String] { bounds.map(TextFormat.number) + ["+Inf"] }

    /// The first bucket whose bound is not below the value.
    func bucket(of value: Double) -> Int { Self.firstIndex(in: bounds, notBelow: value) }

    /// The first bucket whose bound is not below the duration.
    func bucket(ofNanoseconds value: Int64) -> Int { Self.firstIndex(in: nanoseconds, notBelow: value) }

    @inline(__always)
    private static func firstIndex<Value: Comparable>(in bounds: [Value], notBelow value: Value) -> Int {
        var (low, high) = (0, bounds.count)
        while low < high {
            let middle = (low + high) / 2
            if bounds[middle] < value { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// A fixed number of counts that many threads increment.
final class AtomicCounts: @unchecked Sendable {
    // Safe: the memory is initialised once, never moves, and holds only atomics.
    private let counts: UnsafeMutableBufferPointer<Atomic<UInt64>>

    init(_ count: Int) {
        counts = .allocate(capacity: count)
        for index in 0..<count { counts.initializeElement(at: index, to: Atomic(0)) }
    }

    deinit {
        counts.deinitialize()
        counts.deallocate()
    }

    subscript(index: Int) -> UInt64 { counts[index].load(ordering: .relaxed) }

    func increment(_ index: Int) {
        counts[index].wrappingAdd(1, ordering: .relaxed)
    }
}
