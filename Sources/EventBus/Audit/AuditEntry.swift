/// One acknowledged event as the audit remembers it.
package struct AuditEntry: Sendable, Hashable {
    /// The event's sequence in its stream, at least 1.
    package let sequence: UInt64
    /// ``PayloadDigest`` of the payload that was sent.
    package let digest: UInt64

    package init(sequence: UInt64, digest: UInt64) {
        self.sequence = sequence
        self.digest = digest
    }
}

/// Collects what one event loop acknowledged, until somebody takes it.
///
/// Not thread-safe and without a lock: one for each event loop. Noting costs an append; the owner takes a few times a
/// second, which bounds what a crash leaves unaudited.
package final class AuditTally {
    private var entries: [AuditEntry] = []

    package init() {}

    /// Notes an event that was newly stored; a duplicate is noted by the one who stored it.
    @inline(__always)
    package func note(sequence: UInt64, digest: UInt64) {
        entries.append(AuditEntry(sequence: sequence, digest: digest))
    }

    /// All entries since the last call, in the order in which they were noted; the tally is empty afterwards.
    package func take() -> [AuditEntry] {
        guard !entries.isEmpty else { return [] }
        let taken = entries
        entries = []
        entries.reserveCapacity(min(taken.count, 4096))
        return taken
    }
}
