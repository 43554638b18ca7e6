import EventBus
import TenantMetrics

/// Where the counts of all event loops come together: readiness, `/metrics`, the counters in Redis, the audit.
///
/// Every part but the first may be missing. Nothing here waits; any thread may call.
struct Accounting: Sendable {
    let bus: EventBus
    var metrics: GatewayMetrics?
    var tenants: TenantMetrics?
    var audit: AckAudit?

    /// Takes what an event loop counted.
    func fold(_ counts: LoopCounts, _ delta: TenantDelta?, _ entries: [AuditEntry]) {
        bus.note(
            stored: counts.accepted + counts.storedUnanswered,
            unknown: (counts.rejected[.outcomeUnknown] ?? 0) + counts.unknownUnanswered,
            full: counts.rejected[.storeFull] ?? 0
        )
        metrics?.fold(counts, delta)
        if let delta { tenants?.fold(delta) }
        if !entries.isEmpty { audit?.fold(entries) }
    }
}
