/// Why an event was not accepted: the classes that are counted per tenant.
///
/// The set is closed, so that it can be a label of a metric (S-19). The raw value is the name in JSON and in Redis.
public enum RejectReason: String, Sendable, CaseIterable {
    /// Well-formed, but violates CloudEvents (400, 422).
    case invalid
    /// Not JSON, not HTTP, not a batch (400).
    case malformed
    /// Event, batch or header over a limit (413, 431).
    case tooLarge
    /// A media type or content coding that is not taken (415).
    case unsupported
    /// Certainly not stored: broker away, no responders (503).
    case unavailable
    /// Certainly not stored: a queue of ours is full (503).
    case overloaded
    /// Stream or tenant store full (507).
    case storeFull
    /// The stream's configuration does not allow it.
    case misconfigured
    /// It left the process and no PubAck came (504).
    case outcomeUnknown
    /// Over a limit of the tenant (429).
    case rateLimited
    /// No or bad credentials, or not allowed (401, 403).
    case notAllowed
    /// Any other reason.
    case other

    /// The snake_case name, for Prometheus labels.
    public var label: String {
        switch self {
        case .tooLarge: "too_large"
        case .storeFull: "store_full"
        case .outcomeUnknown: "outcome_unknown"
        case .rateLimited: "rate_limited"
        case .notAllowed: "not_allowed"
        case .invalid, .malformed, .unsupported, .unavailable, .overloaded, .misconfigured, .other: rawValue
        }
    }

    /// The place in `allCases`.
    var index: Int {
        switch self {
        case .invalid: 0
        case .malformed: 1
        case .tooLarge: 2
        case .unsupported: 3
        case .unavailable: 4
        case .overloaded: 5
        case .storeFull: 6
        case .misconfigured: 7
        case .outcomeUnknown: 8
        case .rateLimited: 9
        case .notAllowed: 10
        case .other: 11
        }
    }
}

/// A count for each reason.
public struct RejectCounts: Sendable, Equatable {
    // Empty until something is rejected: most tenants never are.
    private var counts: [UInt64] = []

    /// All zero.
    public init() {}

    /// The count of one reason.
    public subscript(_ reason: RejectReason) -> UInt64 {
        counts.isEmpty ? 0 : counts[reason.index]
    }

    /// The sum over all reasons.
    public var total: UInt64 {
        counts.reduce(0) { $0.adding($1) }
    }

    /// The reasons that occurred, in the order of `RejectReason.allCases`.
    public var nonzero: [(reason: RejectReason, count: UInt64)] {
        counts.isEmpty ? [] : RejectReason.allCases.map { ($0, self[$0]) }.filter { $0.1 > 0 }
    }

    mutating func add(_ count: UInt64, for reason: RejectReason) {
        guard count > 0 else { return }
        if counts.isEmpty { counts = Array(repeating: 0, count: RejectReason.allCases.count) }
        counts[reason.index].add(count)
    }

    mutating func add(_ other: RejectCounts) {
        for (reason, count) in other.nonzero { add(count, for: reason) }
    }
}
