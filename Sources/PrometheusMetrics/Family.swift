/// One metric: what its series have in common, and the series.
struct Family {
    let name: String
    let kind: Kind
    /// The HELP and TYPE lines.
    let header: [UInt8]
    private(set) var series: [any Series] = []
    private var indexOfLabels: [String: Int] = [:]
    var labels: LabelRules
    /// False when it came to be with its first handle.
    let isDeclared: Bool

    /// The type of a metric, with what its series share.
    enum Kind {
        case counter
        case gauge
        case histogram(HistogramBounds)

        var word: String {
            switch self {
            case .counter: "counter"
            case .gauge: "gauge"
            case .histogram: "histogram"
            }
        }

        /// How many samples one series has.
        var sampleCount: Int {
            guard case .histogram(let bounds) = self else { return 1 }
            return bounds.bucketCount + 2
        }

        /// The names that samples or TYPE lines of this metric have.
        func sampleNames(of name: String) -> [String] {
            guard case .histogram = self else { return [name] }
            return [name, "\(name)_bucket", "\(name)_sum", "\(name)_count"]
        }
    }

    init(name: String, kind: Kind, help: String, labels: LabelRules) {
        self.name = name
        self.kind = kind
        self.labels = labels
        isDeclared = !labels.isOpen
        let help = help.isEmpty ? "Not described." : help
        header = Array("# HELP \(name) \(TextFormat.help(help))\n# TYPE \(name) \(kind.word)\n".utf8)
    }

    /// The series with these labels, if it exists.
    func series(labels: String) -> (any Series)? {
        indexOfLabels[labels].map { series[$0] }
    }

    /// A new series, not yet part of the family.
    func makeSeries(labels: String) -> any Series {
        switch kind {
        case .counter: PrometheusCounter(name: name, labels: labels)
        case .gauge: PrometheusGauge(name: name, labels: labels)
        case .histogram(let bounds): PrometheusHistogram(name: name, labels: labels, bounds: bounds)
        }
    }

    /// Adds a series whose labels no other has.
    mutating func insert(_ new: any Series, labels: String) {
        indexOfLabels[labels] = series.count
        series.append(new)
    }
}
