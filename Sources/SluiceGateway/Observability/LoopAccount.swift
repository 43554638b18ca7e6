import CoreMetrics
import EventBus
import JetStream
import NIOCore
import TenantMetrics

/// What one event loop counts, and hands on a few times a second: a request only adds to integers.
///
/// Confined to its event loop.
struct LoopAccount {
    private let accounting: Accounting
    private let tally: TenantTally?
    private let audit: AuditTally?
    private var counts = LoopCounts()
    private var hasCounts = false
    private var lastTick: NIODeadline?
    private var ticks = 0

    /// How often the loop's lag is measured.
    static let tick = TimeAmount.milliseconds(100)
    /// Every so many ticks the counts are handed on.
    private static let ticksOfFold = 2

    init(_ accounting: Accounting) {
        self.accounting = accounting
        tally = accounting.metrics == nil && accounting.tenants == nil ? nil : TenantTally()
        audit = accounting.audit == nil ? nil : AuditTally()
    }

    /// Counts an event that was stored.
    mutating func stored(_ event: Intake.Single, _ receipt: Receipt) {
        let bytes = event.message.payload.count
        hasCounts = true
        counts.accepted += 1
        if receipt.isDuplicate {
            counts.duplicates += 1
        } else {
            counts.bytes += UInt64(bytes)
            // A duplicate's payload need not be the one that is stored.
            audit?.note(sequence: receipt.sequence, digest: PayloadDigest.of(event.message.payload))
        }
        tally?.accepted(tenant: event.tenant.text, type: event.type, bytes: bytes, duplicate: receipt.isDuplicate)
    }

    /// Takes note of an outcome whose client has gone: nothing was answered, but what is stored is in the audit, since a
    /// retry will be told that it is.
    mutating func orphaned(_ event: Intake.Single, _ result: Result<Receipt, PublishError>) {
        hasCounts = true
        switch result {
        case .success(let receipt):
            counts.storedUnanswered += 1
            if !receipt.isDuplicate {
                audit?.note(sequence: receipt.sequence, digest: PayloadDigest.of(event.message.payload))
            }
        case .failure(.outcomeUnknown): counts.unknownUnanswered += 1
        case .failure: break
        }
    }

    /// The same for every entry of a batch.
    mutating func orphaned(_ job: BatchJob) {
        for case .stored(let event, let receipt) in job.entries { orphaned(event, .success(receipt)) }
    }

    /// Counts what was refused; `tenant` is `nil` where the request names none that is valid.
    mutating func refused(_ kind: Problem.Kind, _ tenant: TenantName?, count: Int = 1) {
        hasCounts = true
        counts.refused(kind.rejectReason, count)
        if let tenant { tally?.rejected(tenant: tenant.text, reason: kind.rejectReason, count: count) }
    }

    /// Counts every entry of a batch.
    mutating func count(_ job: BatchJob) {
        for entry in job.entries {
            switch entry {
            case .stored(let event, let receipt): stored(event, receipt)
            case .failed(let event, let problem): refused(problem.kind, event?.tenant ?? job.request.tenant)
            case .waiting: break
            }
        }
    }

    /// Counts an answer and how long it took.
    mutating func answered(_ route: RouteLabel, _ status: UInt, startedAt: NIODeadline, now: NIODeadline) {
        guard let metrics = accounting.metrics else { return }
        hasCounts = true
        counts.answered(route, status)
        metrics.took((now - startedAt).nanoseconds, route)
    }

    /// Notes how long JetStream took for a request's events.
    func acknowledged(_ time: TimeAmount) { accounting.metrics?.acknowledgement.recordNanoseconds(time.nanoseconds) }

    /// Notes the size of a batch.
    func batch(_ events: Int) { accounting.metrics?.batchEvents.record(Int64(events)) }

    /// The timer of ``tick``: measures how late it came and hands the counts on.
    mutating func ticked(now: NIODeadline) {
        if let lastTick {
            let late = max((now - lastTick - Self.tick).nanoseconds, 0)
            accounting.metrics?.eventLoopLag.recordNanoseconds(late)
        }
        lastTick = now
        ticks += 1
        if ticks % Self.ticksOfFold == 0 { fold() }
    }

    /// Hands on what was counted.
    mutating func fold() {
        let delta = tally?.take()
        let entries = audit?.take() ?? []
        guard hasCounts || delta != nil || !entries.isEmpty else { return }
        accounting.fold(counts, delta, entries)
        counts = LoopCounts()
        hasCounts = false
    }
}
