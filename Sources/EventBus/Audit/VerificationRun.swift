import CloudEvents
import JetStream

/// The state of one verification: what was read so far, and the rules by which a missing event is excused or not.
struct VerificationRun {
    /// One event to look for.
    struct Item: Sendable {
        let entry: AuditEntry
        /// When its event had been stored for certain, by the clock of whoever is earlier; milliseconds since 1970.
        let time: UInt64
        /// When its record was stored, by the server's clock.
        let recorded: UInt64
        /// What was promised for it.
        let promise: AuditRecord.Promise
    }

    /// An event that is not in its place.
    struct Doubt: Sendable {
        let item: Item
        let comparison: AuditVerifier.Comparison
    }

    private(set) var report = AuditReport()
    private let settings: AuditVerifier.Settings
    private let audit: StreamInfo
    private let auditNow: UInt64
    private var chain = AuditChain()
    private var present = SequenceSet()
    private var looksLeft: Int

    init(settings: AuditVerifier.Settings, audit: StreamInfo, isReplicated: Bool) {
        self.settings = settings
        self.audit = audit
        auditNow = Self.now(audit)
        looksLeft = isReplicated ? 6 : 0
    }

    /// Reads a message of the audit stream; returns the events it names.
    mutating func take(_ sequence: UInt64, _ lookup: AuditReader.Lookup) -> [Item] {
        let message: StoredMessage
        switch lookup {
        case .absent: return []
        case .unreadable(let reason):
            report.recordsUnreadable.append((sequence, reason))
            return []
        case .found(let found): message = found
        }
        let prefix = "audit.acks."
        guard message.subject.utf8.starts(with: prefix.utf8) else { return [] }
        let replica = String(message.subject.dropFirst(prefix.utf8.count))
        do throws(AuditRecord.Fault) {
            let record = try AuditRecord(decoding: message.payload)
            return take(record, of: replica, recorded: Self.milliseconds(message.time))
        } catch {
            report.recordsUnreadable.append((sequence, error.description))
            return []
        }
    }

    private mutating func take(_ record: AuditRecord, of replica: String, recorded: UInt64?) -> [Item] {
        let promise = narrowed(record.promise)
        let previousMayBeGone = isPast(record.previousTime, promise, auditNow)
        let allMustBeThere = nothingMayBeGone(promise)
        let isNew = chain.note(
            record,
            of: replica,
            previousMayBeGone: previousMayBeGone,
            allMustBeThere: allMustBeThere
        )
        guard isNew else { return [] }
        let recorded = recorded ?? record.time
        if let since = settings.since, recorded < since { return [] }
        report.records += 1
        report.dropped = report.dropped.addingSaturated(record.dropped)
        guard record.stream == settings.events.description else {
            report.otherStreams[record.stream, default: 0] += 1
            return []
        }
        report.audited += UInt64(record.entries.count)
        let time = min(record.earliestTime, recorded)
        return record.entries.map { Item(entry: $0, time: time, recorded: recorded, promise: promise) }
    }

    /// Notes what was found; returns what is not in its place.
    mutating func note(_ items: [Item], _ comparisons: [AuditVerifier.Comparison]) -> [Doubt] {
        var doubts: [Doubt] = []
        var found: [UInt64] = []
        for (item, comparison) in zip(items, comparisons) {
            if comparison == .same {
                found.append(item.entry.sequence)
            } else {
                doubts.append(Doubt(item: item, comparison: comparison))
            }
        }
        report.present += UInt64(found.count)
        present.insert(ascending: found.sorted())
        return doubts
    }

    /// Whether to look a third time or more before a loss is believed: in a cluster, a few times in all.
    mutating func mayLookAgain() -> Bool {
        guard looksLeft > 0 else { return false }
        looksLeft -= 1
        return true
    }

    /// Decides what became of events that are not in their place.
    mutating func judge(_ doubts: [Doubt], _ events: StreamInfo?) {
        var missing: [UInt64] = []
        var changed: [UInt64] = []
        let now = events.map(Self.now) ?? WallClock.milliseconds
        let created = events.flatMap { Self.milliseconds($0.created) } ?? 0
        for doubt in doubts {
            let sequence = doubt.item.entry.sequence
            let isBefore = doubt.item.recorded < created
            if let events, sequence < events.state.firstSequence {
                if isPast(doubt.item.time, doubt.item.promise, now) {
                    report.agedOut += 1
                    continue
                }
                if doubt.item.promise.discardsOldest, Self.isAtLimit(events) {
                    report.discarded += 1
                    continue
                }
            }
            if doubt.comparison == .other, !isBefore { changed.append(sequence) } else { missing.append(sequence) }
            if isBefore { report.beforeCreation += 1 }
        }
        report.missing.insert(ascending: missing.sorted())
        report.changed.insert(ascending: changed.sorted())
    }

    /// The report, with what is known only at the end.
    consuming func finish(events: StreamInfo?) -> AuditReport {
        report.replicas = chain.count
        report.replicasWithoutEnd = chain.withoutEnd
        report.recordsMissing = chain.missing
        report.auditSequencesMissing = auditSequencesMissing
        report.messages = events?.state.messages ?? 0
        report.firstSequence = events?.state.firstSequence ?? 0
        report.lastSequence = events?.state.lastSequence ?? 0
        // A sequence that now belongs to another audited event: its first owner is not changed but gone.
        let taken = report.changed.intersection(present)
        report.changed.subtract(taken)
        report.missing.formUnion(taken)
        if settings.since == nil {
            let audited = present.count(from: report.firstSequence, through: report.lastSequence)
            report.unaudited = report.messages - min(audited, report.messages)
        }
        return report
    }

    // MARK: Rules

    /// The weaker of a record's promise and the configuration's of now: either may have let the event go.
    private func narrowed(_ promise: AuditRecord.Promise) -> AuditRecord.Promise {
        let ages = [promise.ageMaxSeconds, settings.promise.ageMaxSeconds].filter { $0 > 0 }
        return AuditRecord.Promise(
            ageMaxSeconds: ages.min() ?? 0,
            discardsOldest: promise.discardsOldest || settings.promise.discardsOldest
        )
    }

    /// Whether what was stored at `time` has been kept as long as promised.
    private func isPast(_ time: UInt64, _ promise: AuditRecord.Promise, _ now: UInt64) -> Bool {
        guard promise.ageMaxSeconds > 0 else { return false }
        let grace = UInt64(max(0, settings.grace.components.seconds)) &* 1000
        let (age, overflow) = promise.ageMaxSeconds.multipliedReportingOverflow(by: 1000)
        guard !overflow, time <= now &+ grace else { return false }
        return now &+ grace &- time >= age
    }

    /// Whether the audit stream is younger than what it keeps, so that nothing can have left it by age.
    private func nothingMayBeGone(_ promise: AuditRecord.Promise) -> Bool {
        guard let created = Self.milliseconds(audit.created) else { return false }
        return !isPast(created, promise, auditNow)
    }

    /// Sequences of the audit stream without a message: none within, none before its first as long as nothing aged out.
    private var auditSequencesMissing: UInt64 {
        let state = audit.state
        let promise = narrowed(settings.promise)
        let isComplete = nothingMayBeGone(promise)
        guard state.messages > 0 else {
            guard state.lastSequence > 0 else { return 0 }
            if isComplete { return state.lastSequence }
            return Self.milliseconds(state.lastTime).map { isPast($0, promise, auditNow) } == false ? 1 : 0
        }
        let span = state.lastSequence &- state.firstSequence &+ 1
        return span - min(span, state.messages) + (isComplete ? max(1, state.firstSequence) - 1 : 0)
    }

    /// Whether a stream that lets the oldest go is as full as it gets.
    ///
    /// By the span of its sequences: single messages may have been deleted since. By bytes it stays below its limit by
    /// less than its next message.
    static func isAtLimit(_ stream: StreamInfo) -> Bool {
        let state = stream.state
        guard state.messages > 0 else { return false }
        let span = state.lastSequence &- state.firstSequence &+ 1
        if stream.configuration.maxMessages > 0, span >= UInt64(stream.configuration.maxMessages) { return true }
        guard stream.configuration.maxBytes > 0 else { return false }
        let bytes = Double(state.bytes) / Double(state.messages) * Double(span)
        return bytes >= Double(stream.configuration.maxBytes) * 0.9
    }

    private static func now(_ info: StreamInfo) -> UInt64 {
        milliseconds(info.serverTime) ?? WallClock.milliseconds
    }

    /// Milliseconds since 1970 of a time in the server's answers; `nil` for one before, or none.
    static func milliseconds(_ text: String) -> UInt64? {
        guard let time = Timestamp(text), time.secondsSinceEpoch >= 0 else { return nil }
        return UInt64(time.secondsSinceEpoch) * 1000 + UInt64(time.nanoseconds) / 1_000_000
    }
}
