/// What an ``AuditVerifier`` found.
package struct AuditReport: Sendable {
    /// Acknowledged events that were looked for: all in the audit records that were read.
    package internal(set) var audited: UInt64 = 0
    /// Those that are in the stream unchanged.
    package internal(set) var present: UInt64 = 0
    /// Those that are gone because they were kept as long as the configuration promised.
    package internal(set) var agedOut: UInt64 = 0
    /// Those that are gone because the stream is full and lets the oldest go.
    package internal(set) var discarded: UInt64 = 0
    /// Acknowledged events that are not in the stream, by their sequence: lost.
    package internal(set) var missing = SequenceSet()
    /// Acknowledged events in whose place the stream has other bytes.
    package internal(set) var changed = SequenceSet()
    /// Missing events that were recorded before the stream was created as it is now.
    package internal(set) var beforeCreation: UInt64 = 0
    /// Events in the stream that no record names; `nil` where not all records were read.
    ///
    /// Published by others or before the audit began, not recorded yet, or never, because the gateway was killed.
    package internal(set) var unaudited: UInt64?
    /// Messages in the event stream, and its first and last sequence.
    package internal(set) var messages: UInt64 = 0
    package internal(set) var firstSequence: UInt64 = 0
    package internal(set) var lastSequence: UInt64 = 0
    /// Audit records that were read.
    package internal(set) var records: UInt64 = 0
    /// Replicas that wrote them.
    package internal(set) var replicas = 0
    /// Replicas whose last record does not say that it is the last: they still run, or were killed.
    package internal(set) var replicasWithoutEnd = 0
    /// Records that are not there, by the numbers that each replica gives its records.
    package internal(set) var recordsMissing: UInt64 = 0
    /// Sequences of the audit stream that hold nothing although nothing may have been removed there.
    package internal(set) var auditSequencesMissing: UInt64 = 0
    /// Messages of the audit stream that are no readable record, with the reason.
    package internal(set) var recordsUnreadable: [(sequence: UInt64, reason: String)] = []
    /// Acknowledged events that a replica could not record, by its own count.
    package internal(set) var dropped: UInt64 = 0
    /// Records of other event streams, by the stream's name; what they name was not looked for.
    package internal(set) var otherStreams: [String: UInt64] = [:]

    package init() {}

    /// Whether acknowledged events are gone or changed.
    package var hasLoss: Bool { !missing.isEmpty || !changed.isEmpty }

    /// Whether part of the audit itself is gone, so that not everything could be looked for.
    package var auditIsDamaged: Bool {
        recordsMissing > 0 || auditSequencesMissing > 0 || !recordsUnreadable.isEmpty
    }
}

/// Why a verification could not be finished.
package enum AuditVerificationError: Error, Sendable, CustomStringConvertible {
    /// There is no audit stream of this name.
    case noAudit(String)
    /// The broker did not answer for too long.
    case unavailable(String)

    package var description: String {
        switch self {
        case .noAudit(let name): "there is no stream \(name): no gateway with an audit has run here, or it was deleted"
        case .unavailable(let reason): reason
        }
    }
}
