/// What is known of a metric before its first value: name, description, type and labels.
///
/// Names are written whole, with their unit (`_seconds`, `_bytes`), as
/// https://prometheus.io/docs/practices/naming/ asks.
public struct PrometheusMetric: Sendable {
    /// The metric types of the text format that a registry keeps.
    public enum Kind: Sendable, Equatable {
        /// Only grows; `_total` is added to a name that lacks it.
        case counter
        /// Goes up and down.
        case gauge
        /// Counts observations below upper bounds, which are sorted, made unique and rid of what is not finite; at most
        /// ``PrometheusMetric/bucketsMax`` are kept. No bounds means ``PrometheusMetric/latencyBuckets``.
        case histogram(buckets: [Double])
    }

    /// Upper bounds for durations in seconds, from 50 µs to 10 s.
    public static let latencyBuckets: [Double] = [
        0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
    ]
    /// How many upper bounds a histogram has at most, without `+Inf`.
    public static let bucketsMax = 100

    let name: String
    let help: String
    let kind: Kind
    let labels: [PrometheusLabel]

    /// Describes a metric.
    ///
    /// - Parameters:
    ///   - name: What the swift-metrics handles are made with; made valid as the names of undeclared metrics are.
    ///   - help: One line that says what the values are.
    ///   - labels: The only labels that its series have, in the order in which they are printed; other dimensions of a
    ///     handle are left out.
    public init(_ name: String, help: String, kind: Kind, labels: [PrometheusLabel] = []) {
        self.name = name
        self.help = help
        self.kind = kind
        self.labels = labels
    }

    /// A number that only grows.
    public static func counter(_ name: String, help: String, labels: [PrometheusLabel] = []) -> PrometheusMetric {
        PrometheusMetric(name, help: help, kind: .counter, labels: labels)
    }

    /// A number that goes up and down.
    public static func gauge(_ name: String, help: String, labels: [PrometheusLabel] = []) -> PrometheusMetric {
        PrometheusMetric(name, help: help, kind: .gauge, labels: labels)
    }

    /// A distribution.
    ///
    /// Timers record into it in seconds, recorders in the unit of its name.
    public static func histogram(
        _ name: String,
        help: String,
        buckets: [Double] = latencyBuckets,
        labels: [PrometheusLabel] = []
    ) -> PrometheusMetric {
        PrometheusMetric(name, help: help, kind: .histogram(buckets: buckets), labels: labels)
    }
}

/// A label of a declared metric and what bounds its values.
public struct PrometheusLabel: Sendable {
    enum Values: Sendable {
        case closed([String])
        case first(Int)
    }

    /// The value that stands for all that are not admitted.
    public static let other = "other"

    let name: String
    let values: Values

    /// A label with these values only; any other becomes ``other``.
    public static func closed(_ name: String, _ values: [String]) -> PrometheusLabel {
        PrometheusLabel(name: name, values: .closed(values))
    }

    /// A label that admits the first `count` different values it meets; any later one becomes ``other``.
    public static func first(_ count: Int, of name: String) -> PrometheusLabel {
        PrometheusLabel(name: name, values: .first(max(count, 0)))
    }
}
