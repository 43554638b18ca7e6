/// The handles of swift-metrics, and which metrics they can stand for.
enum Handle {
    case counter
    case meter
    /// A recorder that does not aggregate.
    case gauge
    case recorder
    case timer

    /// The name of the metric with this label.
    func name(_ label: String) -> String {
        switch self {
        case .counter: MetricName.counter(label)
        case .meter, .gauge, .recorder: MetricName.metric(label)
        case .timer: MetricName.timer(label)
        }
    }

    /// Another name that a declared metric with this label may have: a histogram of durations without its unit.
    func declaredName(_ label: String) -> String? {
        self == .timer ? MetricName.metric(label) : nil
    }

    /// A declaration decides whether recorders of either sort set a gauge or fill a histogram.
    func fits(_ kind: Family.Kind) -> Bool {
        switch (self, kind) {
        case (.counter, .counter), (.meter, .gauge), (.timer, .histogram): true
        case (.gauge, .gauge), (.gauge, .histogram), (.recorder, .gauge), (.recorder, .histogram): true
        default: false
        }
    }

    var newKind: Family.Kind {
        switch self {
        case .counter: .counter
        case .meter, .gauge: .gauge
        case .recorder, .timer: .histogram(.standard)
        }
    }
}
