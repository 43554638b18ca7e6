/// How the counting goes.
///
/// Every folded event is in exactly one of `pendingEvents`, `recordedEvents` and `droppedEvents`, and in exactly one of the
/// same three of the series; and every folded count of deliveries in exactly one of `pendingDeliveries`,
/// `recordedDeliveries` and `droppedDeliveries`.
public struct TenantMetricsStatus: Sendable, Equatable {
    /// Tenants that wait to be written.
    public var pendingTenants = 0
    /// Types that wait, over all tenants.
    public var pendingTypes = 0
    /// Pairs of a tenant and a minute that wait.
    public var pendingMinutes = 0
    /// Events, accepted and rejected, folded since the start.
    public var foldedEvents: UInt64 = 0
    /// Events that wait to be written to the totals.
    public var pendingEvents: UInt64 = 0
    /// Events written to the totals.
    public var recordedEvents: UInt64 = 0
    /// Events that are in no totals: there was no room here or in Redis, or a key there is foreign.
    public var droppedEvents: UInt64 = 0
    /// Events that wait to be written to the per-minute series.
    public var pendingSeriesEvents: UInt64 = 0
    /// Events written to the per-minute series.
    public var recordedSeriesEvents: UInt64 = 0
    /// Events that are in no per-minute series, for the same reasons.
    public var droppedSeriesEvents: UInt64 = 0
    /// Counts of deliveries of all kinds (delivered, failed, retried, dead-lettered), folded since the start.
    public var foldedDeliveries: UInt64 = 0
    /// Counts of deliveries that wait to be written.
    public var pendingDeliveries: UInt64 = 0
    /// Counts of deliveries written.
    public var recordedDeliveries: UInt64 = 0
    /// Counts of deliveries that are in no totals, for the same reasons as events.
    public var droppedDeliveries: UInt64 = 0
    /// Writes that Redis refused because a key or field there is not what it should be.
    public var failedWrites: UInt64 = 0
    /// Chunks written.
    public var flushes: UInt64 = 0
    /// Attempts that failed, or whose outcome is unknown.
    public var failures: UInt64 = 0
    /// Attempts with a chunk that had been sent before.
    public var retries: UInt64 = 0
    /// When Redis last took a chunk.
    public var lastSuccess: ContinuousClock.Instant?
    /// Why the last attempt failed; `nil` once one succeeded.
    public var lastFailure: String?

    /// Nothing counted.
    public init() {}
}

/// What is worth a line in the log; each is told once per change, not once per flush.
public enum TenantMetricsEvent: Sendable, Equatable {
    /// Redis does not take the counts; they are kept and sent again.
    case waiting(reason: String)
    /// Redis takes the counts again.
    case resumed(failedAttempts: UInt64)
    /// Events that will be missing in the totals or series, since the last such line; at most one line a minute.
    case dropped(events: UInt64, seriesEvents: UInt64)
}

/// Why a report cannot be had.
public enum TenantMetricsError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Redis is away or did not answer in time.
    case unavailable(String)
    /// Redis answered with an error.
    case refused(String)

    /// The reason, for a log line.
    public var description: String {
        switch self {
        case .unavailable(let reason): "Redis is not available: \(reason)"
        case .refused(let reason): "Redis answers: \(reason)"
        }
    }
}
