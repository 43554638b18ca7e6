/// All metrics of a registry.
///
/// Pure but for the series, which are shared with those who record.
struct FamilyTable {
    private(set) var families: [Family] = []
    /// How many samples the series have.
    private(set) var sampleCount = 0
    /// An upper bound of the bytes that all lines take.
    private(set) var textSizeMax = 0
    private let seriesMax: Int
    private var indexOfName: [String: Int] = [:]
    /// Every name that a line may start with: no two metrics share one.
    private var takenNames: Set<String> = []

    /// How many series a declared metric may have at 0 from the start.
    private static let combinationsMax = 1000

    init(seriesMax: Int) {
        self.seriesMax = seriesMax
    }

    /// Adds a declared metric, at 0 where all its series are known; false when its name is taken.
    mutating func declare(_ metric: PrometheusMetric) -> Bool {
        let kind: Family.Kind
        let name: String
        switch metric.kind {
        case .counter: (kind, name) = (.counter, MetricName.counter(metric.name))
        case .gauge: (kind, name) = (.gauge, MetricName.metric(metric.name))
        case .histogram(let buckets):
            (kind, name) = (.histogram(HistogramBounds(buckets)), MetricName.metric(metric.name))
        }
        guard let index = add(name, kind, help: metric.help, labels: LabelRules(metric.labels)) else { return false }
        // A gauge that nobody set says nothing; a counter that counted nothing says 0, so that its first step is seen.
        if case .gauge = kind { return true }
        for dimensions in LabelRules.combinations(of: metric.labels, atMost: Self.combinationsMax) ?? [] {
            _ = series(in: index, dimensions)
        }
        return true
    }

    /// The series for a handle: the one that exists, or a new one.
    ///
    /// - Returns: nil when the name belongs to a metric of another type, or the cap is reached.
    mutating func series(for handle: Handle, _ label: String, _ dimensions: [(String, String)]) -> (any Series)? {
        if let name = handle.declaredName(label), let index = indexOfName[name], families[index].isDeclared,
            handle.fits(families[index].kind)
        {
            return series(in: index, dimensions)
        }
        let name = handle.name(label)
        if let index = indexOfName[name] {
            return handle.fits(families[index].kind) ? series(in: index, dimensions) : nil
        }
        let kind = handle.newKind
        guard kind.sampleCount <= seriesMax - sampleCount,
            let index = add(name, kind, help: "", labels: LabelRules())
        else { return nil }
        return series(in: index, dimensions)
    }

    private mutating func add(_ name: String, _ kind: Family.Kind, help: String, labels: LabelRules) -> Int? {
        let names = kind.sampleNames(of: name)
        guard takenNames.isDisjoint(with: names) else { return nil }
        takenNames.formUnion(names)
        indexOfName[name] = families.count
        families.append(Family(name: name, kind: kind, help: help, labels: labels))
        textSizeMax += families[families.count - 1].header.count
        return families.count - 1
    }

    private mutating func series(in index: Int, _ dimensions: [(String, String)]) -> (any Series)? {
        let labels = families[index].labels.text(of: dimensions)
        if let existing = families[index].series(labels: labels) { return existing }
        let count = families[index].kind.sampleCount
        guard count <= seriesMax - sampleCount else { return nil }
        let new = families[index].makeSeries(labels: labels)
        sampleCount += count
        textSizeMax += new.textSizeMax
        families[index].insert(new, labels: labels)
        return new
    }
}
