/// What became of deliveries: to a tenant's subscriptions, or to one of them.
public struct DeliveryCounts: Sendable, Equatable {
    /// Events delivered and settled.
    public var delivered: UInt64 = 0
    /// Attempts that failed.
    public var failed: UInt64 = 0
    /// Attempts that are made again: the last one failed, or a client gave the event back.
    public var retried: UInt64 = 0
    /// Events dead-lettered.
    public var deadLettered: UInt64 = 0

    /// All zero.
    public init() {}

    /// All four together, or the largest value where that does not fit.
    public var total: UInt64 { delivered.adding(failed).adding(retried).adding(deadLettered) }

    /// Takes newer counts of the same thing, and returns by how much each has grown.
    ///
    /// A count that is smaller than before stays as it was: what comes back later is not counted again.
    public mutating func raise(to newer: DeliveryCounts) -> DeliveryCounts {
        var growth = DeliveryCounts()
        for field in Field.allCases where newer[field] > self[field] {
            growth[field] = newer[field] - self[field]
            self[field] = newer[field]
        }
        return growth
    }

    mutating func add(_ other: DeliveryCounts) {
        for field in Field.allCases { self[field].add(other[field]) }
    }

    /// The counts that are not zero.
    var nonzero: [(field: Field, count: UInt64)] {
        Field.allCases.map { ($0, self[$0]) }.filter { $0.1 > 0 }
    }

    subscript(_ field: Field) -> UInt64 {
        get {
            switch field {
            case .delivered: delivered
            case .failed: failed
            case .retried: retried
            case .deadLettered: deadLettered
            }
        }
        set {
            switch field {
            case .delivered: delivered = newValue
            case .failed: failed = newValue
            case .retried: retried = newValue
            case .deadLettered: deadLettered = newValue
            }
        }
    }

    /// The counts by their names in Redis.
    enum Field: String, CaseIterable {
        case delivered = "deliveries:delivered"
        case failed = "deliveries:failed"
        case retried = "deliveries:retried"
        case deadLettered = "deliveries:deadLettered"
    }
}
