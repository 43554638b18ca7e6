import TenantMetrics

/// What one event loop counted since the last fold: plain integers, confined to the loop.
struct LoopCounts: Sendable {
    private static let classes = StatusClass.allCases.count
    private var answers = [UInt64](repeating: 0, count: RouteLabel.allCases.count * LoopCounts.classes)
    /// Events answered 202, duplicates included.
    var accepted: UInt64 = 0
    /// Of these, stored before.
    var duplicates: UInt64 = 0
    /// Events that were stored, or may have been, when their client had gone: nobody was told.
    var storedUnanswered: UInt64 = 0
    var unknownUnanswered: UInt64 = 0
    /// Payload bytes that were stored.
    var bytes: UInt64 = 0
    /// Events and requests refused, by reason.
    private(set) var rejected: [RejectReason: UInt64] = [:]

    /// Counts an answer.
    mutating func answered(_ route: RouteLabel, _ status: UInt) {
        answers[route.rawValue * Self.classes + StatusClass(status).rawValue] += 1
    }

    /// Counts what was refused.
    mutating func refused(_ reason: RejectReason, _ count: Int) { rejected[reason, default: 0] += UInt64(count) }

    /// Hands every count of answers that is not zero to `body`.
    func forEachAnswer(_ body: (RouteLabel, StatusClass, UInt64) -> Void) {
        for route in RouteLabel.allCases {
            for status in StatusClass.allCases {
                let count = answers[route.rawValue * Self.classes + status.rawValue]
                if count > 0 { body(route, status, count) }
            }
        }
    }
}
