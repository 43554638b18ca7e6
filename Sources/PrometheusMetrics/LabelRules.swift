/// Which labels the series of one metric have, and which values.
///
/// Whatever the code that asks for a handle passes, the number of different results is bounded.
struct LabelRules {
    /// Values longer than this become `other`.
    private static let valueSizeMax = 200
    /// The bounds of a metric that was not declared.
    private static let openLabelsMax = 8
    private static let openValuesMax = 200

    private struct Rule {
        let name: String
        var known: Set<String>
        /// How many more values it admits.
        var room: Int
    }

    private var rules: [Rule]
    /// Whether labels that were not declared are taken.
    let isOpen: Bool

    /// The labels of a declared metric.
    init(_ labels: [PrometheusLabel]) {
        rules = []
        isOpen = false
        for label in labels {
            let name = MetricName.label(label.name)
            guard !rules.contains(where: { $0.name == name }) else { continue }
            switch label.values {
            case .closed(let values): rules.append(Rule(name: name, known: Set(values), room: 0))
            case .first(let count): rules.append(Rule(name: name, known: [], room: count))
            }
        }
    }

    /// The labels of a metric that was not declared: the first few names met, the first few values of each.
    init() {
        rules = []
        isOpen = true
    }

    /// The labels of a series as they are printed, in the order of the rules.
    ///
    /// Two sets of dimensions that Prometheus would take for the same series give the same text: an empty value is a
    /// missing label, an unknown name is left out, and of two values for one name the first counts.
    mutating func text(of dimensions: [(String, String)]) -> String {
        guard !dimensions.isEmpty else { return "" }
        var values = [String?](repeating: nil, count: rules.count)
        for (rawName, rawValue) in dimensions where !rawValue.isEmpty {
            let name = MetricName.label(rawName)
            guard let index = index(of: name) else { continue }
            if index == values.count { values.append(nil) }
            if values[index] == nil { values[index] = admitted(rawValue, at: index) }
        }
        var text = ""
        for (rule, value) in zip(rules, values) {
            guard let value else { continue }
            if !text.isEmpty { text += "," }
            text += rule.name
            text += "=\""
            text += TextFormat.labelValue(value)
            text += "\""
        }
        return text
    }

    /// Every combination of the values of closed labels; nil if a label is not closed or there are too many.
    static func combinations(of labels: [PrometheusLabel], atMost limit: Int) -> [[(String, String)]]? {
        var all: [[(String, String)]] = [[]]
        for label in labels {
            guard case .closed(let values) = label.values, all.count * values.count <= limit else { return nil }
            all = all.flatMap { start in values.map { start + [(label.name, $0)] } }
        }
        return all
    }

    private mutating func index(of name: String) -> Int? {
        if let index = rules.firstIndex(where: { $0.name == name }) { return index }
        guard isOpen, rules.count < Self.openLabelsMax else { return nil }
        rules.append(Rule(name: name, known: [], room: Self.openValuesMax))
        return rules.count - 1
    }

    private mutating func admitted(_ value: String, at index: Int) -> String {
        if rules[index].known.contains(value) { return value }
        guard rules[index].room > 0, value.utf8.count <= Self.valueSizeMax, value != PrometheusLabel.other else {
            return PrometheusLabel.other
        }
        rules[index].room -= 1
        rules[index].known.insert(value)
        return value
    }
}
