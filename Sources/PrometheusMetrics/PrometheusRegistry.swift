public import CoreMetrics

/// A swift-metrics backend that keeps its series in atomics and renders them in the Prometheus text format 0.0.4.
///
/// Making a handle takes a lock for a microsecond or two: keep handles. Recording takes none and allocates nothing.
/// Rendering holds the lock only to copy references, so that it delays neither.
///
/// Everything is bounded: what no declaration admits becomes the label value `other`, and at the cap a handle is still
/// made but leads nowhere, which `sluice_metrics_series_dropped_total` counts. The body is always whole and valid.
public final class PrometheusRegistry: MetricsFactory, Sendable {
    /// The value of `Content-Type` for ``render()``.
    public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    private static let keptName = "sluice_metrics_series"
    private static let droppedName = "sluice_metrics_series_dropped_total"

    private let table: Locked<FamilyTable>
    private let kept: PrometheusGauge?
    private let dropped: PrometheusCounter?

    /// Makes a registry that has the two metrics about itself.
    ///
    /// - Parameter seriesMax: How many samples a body has at most; a histogram has one for each bucket and two more.
    public init(seriesMax: Int = 20_000) {
        var families = FamilyTable(seriesMax: max(seriesMax, 2))
        _ = families.declare(.gauge(Self.keptName, help: "Series kept in memory and shown here."))
        _ = families.declare(.counter(Self.droppedName, help: "Handles made for series that are not kept."))
        kept = families.series(for: .gauge, Self.keptName, []) as? PrometheusGauge
        dropped = families.series(for: .counter, Self.droppedName, []) as? PrometheusCounter
        table = Locked(families)
    }

    /// Says what a metric is, before the first handle for it is made.
    ///
    /// Counters and histograms whose labels are all closed show all their series at 0 from now on.
    ///
    /// - Returns: false when a metric with this name, or with one that its samples need, exists already: nothing changes.
    @discardableResult
    public func declare(_ metric: PrometheusMetric) -> Bool {
        table.withLock { $0.declare(metric) }
    }

    /// How many samples ``render()`` writes.
    public var seriesCount: Int { table.withLock { $0.sampleCount } }

    /// The body of a scrape: every metric with its series, in the order in which they were declared or first used.
    ///
    /// Values are read one by one while others record: each is right, no two are of the same instant, except that the
    /// lines of one histogram agree with each other.
    public func render() -> [UInt8] {
        let (families, sampleCount, size) = table.withLock { ($0.families, $0.sampleCount, $0.textSizeMax) }
        kept?.set(Int64(sampleCount))
        var body: [UInt8] = []
        body.reserveCapacity(size)
        for family in families where !family.series.isEmpty {
            body.append(contentsOf: family.header)
            for series in family.series { series.write(to: &body) }
        }
        return body
    }

    // MARK: Handles

    /// The counter with this name and these labels, for what ``PrometheusCounter/raise(to:)-(UInt64)`` does beyond
    /// swift-metrics; nil when it is not kept.
    public func counter(_ label: String, dimensions: [(String, String)] = []) -> PrometheusCounter? {
        make(.counter, label, dimensions) as? PrometheusCounter
    }

    /// The counter with this name, with `_total` at its end, and these labels.
    public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        counter(label, dimensions: dimensions) ?? discarding
    }

    /// The counter with this name, with `_total` at its end, and these labels; the same one as for whole amounts.
    public func makeFloatingPointCounter(
        label: String,
        dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler {
        counter(label, dimensions: dimensions) ?? discarding
    }

    /// The gauge with this name and these labels.
    public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        make(.meter, label, dimensions) as? PrometheusGauge ?? discarding
    }

    /// The histogram or the gauge with this name and these labels: as declared, otherwise a histogram if it aggregates.
    public func makeRecorder(
        label: String,
        dimensions: [(String, String)],
        aggregate: Bool
    ) -> any RecorderHandler {
        switch make(aggregate ? .recorder : .gauge, label, dimensions) {
        case let histogram as PrometheusHistogram: histogram
        case let gauge as PrometheusGauge: gauge
        default: discarding
        }
    }

    /// The histogram with this name, in seconds, and these labels; `_seconds` is added unless it was declared without.
    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        make(.timer, label, dimensions) as? PrometheusHistogram ?? discarding
    }

    /// Nothing: a series stays, so that it neither vanishes from graphs nor starts again when its handle is made anew.
    public func destroyCounter(_ handler: any CounterHandler) {}

    /// Nothing: the series stays.
    public func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {}

    /// Nothing: the series stays.
    public func destroyMeter(_ handler: any MeterHandler) {}

    /// Nothing: the series stays.
    public func destroyRecorder(_ handler: any RecorderHandler) {}

    /// Nothing: the series stays.
    public func destroyTimer(_ handler: any TimerHandler) {}

    /// The series of a handle; nil, and counted, when it is not kept.
    private func make(_ handle: Handle, _ label: String, _ dimensions: [(String, String)]) -> (any Series)? {
        let series = table.withLock { $0.series(for: handle, label, dimensions) }
        if series == nil { dropped?.increment(by: Int64(1)) }
        return series
    }

    private var discarding: NOOPMetricsHandler { NOOPMetricsHandler.instance }
}
