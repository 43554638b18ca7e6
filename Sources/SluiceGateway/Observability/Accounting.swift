import EventBus
import TenantMetrics

/// Where the counts of all event loops come together: `/metrics`, the counters in Redis, the audit.
///
/// Every part may be missing. Nothing here waits; any thread may call.
struct Accounting: Sendable {
    var metrics: GatewayMetrics?
    var tenants: TenantMetrics?
    var audit: AckAudit?

    /// Takes what an event loop counted.
    func fold(_ counts: LoopCounts, _ delta: TenantDelta?, _ entries: [AuditEntry]) {
        metrics?.fold(counts, delta)
        if let delta { tenants?.fold(delta) }
        if !entries.isEmpty { audit?.fold(entries) }
    }
}
