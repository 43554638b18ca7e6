/// Follows the numbers that every replica gives its records, so that a missing record is seen.
///
/// A number that is not there is excused only if the record before the next one is so old that the stream may have let
/// it go.
struct AuditChain {
    private struct Replica {
        var lastNumber: UInt64 = 0
        var lastTime: UInt64 = 0
        var hasEnded = false
    }

    private var replicas: [String: Replica] = [:]
    /// Records that are not there and should be.
    private(set) var missing: UInt64 = 0

    var count: Int { replicas.count }
    var withoutEnd: Int { replicas.values.count { !$0.hasEnded } }

    /// Notes a record; one that was stored twice counts once.
    ///
    /// - Parameters:
    ///   - previousMayBeGone: whether the replica's record before this one may have been removed by age.
    ///   - allMustBeThere: whether the audit stream is too young for anything to have been removed by age.
    /// - Returns: Whether the record is new.
    mutating func note(
        _ record: AuditRecord,
        of replica: String,
        previousMayBeGone: Bool,
        allMustBeThere: Bool
    ) -> Bool {
        var known = replicas[replica] ?? Replica()
        if record.number <= known.lastNumber {
            // A later record with an earlier number comes from a later process that was given the same name.
            guard record.time > known.lastTime else { return false }
            known = Replica()
        }
        let skipped = record.number - known.lastNumber - 1
        if skipped > 0, !previousMayBeGone {
            // Of those before the first one found, all but the last may be gone by age.
            missing = missing.addingSaturated(known.lastNumber > 0 || allMustBeThere ? skipped : 1)
        }
        known.lastNumber = record.number
        known.lastTime = record.time
        known.hasEnded = record.isLast
        replicas[replica] = known
        return true
    }
}

extension UInt64 {
    /// The sum, or the greatest number: what a record says may be forged.
    func addingSaturated(_ other: UInt64) -> UInt64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}
