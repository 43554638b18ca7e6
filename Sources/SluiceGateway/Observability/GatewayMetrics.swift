import CoreMetrics
import EventBus
import JetStream
import PrometheusMetrics
import TenantMetrics

/// The gateway's handles on its metrics, through the swift-metrics API with a Prometheus backend.
///
/// Handles are made once; recording takes no lock. What event loops count as plain integers is added a few times a
/// second by ``fold(_:_:)``. All methods may be called from any thread.
final class GatewayMetrics: Sendable {
    let registry = PrometheusRegistry()
    /// From the head of a request to its answer.
    private let durations: [Timer]
    /// From handing events to JetStream to the outcome.
    let acknowledgement: Timer
    let eventLoopLag: Timer
    /// From the start of an attempt to deliver to its result.
    let attempts: Timer
    let batchEvents: Recorder
    private let answers: [Counter]
    private let accepted: Counter
    private let duplicates: Counter
    private let bytes: Counter
    private let rejected: [RejectReason: Counter]
    private let tenants: Locked<TenantSeries>
    private let gauges: GatewayGauges
    private let deliveries: DeliverySeries

    init() {
        for metric in MetricsTable.all { registry.declare(metric) }
        let registry = registry
        durations = [RouteLabel.events, .publish].map {
            Timer(label: "sluice_http_request_duration_seconds", dimensions: [("route", $0.text)], factory: registry)
        }
        acknowledgement = Timer(label: "sluice_publish_ack_duration_seconds", factory: registry)
        attempts = Timer(label: "sluice_delivery_attempt_duration_seconds", factory: registry)
        eventLoopLag = Timer(label: "sluice_event_loop_lag_seconds", factory: registry)
        batchEvents = Recorder(label: "sluice_batch_events", factory: registry)
        answers = RouteLabel.allCases.flatMap { route in
            StatusClass.allCases.map { status in
                Counter(
                    label: "sluice_http_requests_total",
                    dimensions: [("route", route.text), ("status", status.text)],
                    factory: registry
                )
            }
        }
        accepted = Counter(label: "sluice_events_accepted_total", factory: registry)
        duplicates = Counter(label: "sluice_events_duplicates_total", factory: registry)
        bytes = Counter(label: "sluice_event_bytes_total", factory: registry)
        rejected = Dictionary(
            uniqueKeysWithValues: RejectReason.allCases.map { reason in
                let label = [("reason", reason.label)]
                return (reason, Counter(label: "sluice_events_rejected_total", dimensions: label, factory: registry))
            }
        )
        tenants = Locked(TenantSeries(registry: registry))
        gauges = GatewayGauges(registry)
        deliveries = DeliverySeries(registry)
    }

    /// Notes how long a publishing request took, in nanoseconds.
    func took(_ nanoseconds: Int64, _ route: RouteLabel) {
        guard durations.indices.contains(route.rawValue) else { return }
        durations[route.rawValue].recordNanoseconds(nanoseconds)
    }

    /// Adds what an event loop counted.
    func fold(_ counts: LoopCounts, _ delta: TenantDelta?) {
        counts.forEachAnswer { route, status, count in
            answers[route.rawValue * StatusClass.allCases.count + status.rawValue].increment(by: Int64(count))
        }
        accepted.increment(by: counts.accepted)
        duplicates.increment(by: counts.duplicates)
        bytes.increment(by: counts.bytes)
        for (reason, count) in counts.rejected { rejected[reason]?.increment(by: count) }
        if let delta { tenants.withLock { series in for counts in delta.tenants { series.add(counts) } } }
    }

    /// Brings the gauges up to date and renders the page.
    func page(_ state: GatewayState, _ deliveries: DeliveryState) -> [UInt8] {
        gauges.update(state)
        self.deliveries.update(deliveries)
        return registry.render()
    }
}

/// The series of tenants: the first ones have their own, the rest share one.
private struct TenantSeries {
    private struct Handles {
        let accepted: Counter, duplicates: Counter, rejected: Counter, bytes: Counter
    }

    private let registry: PrometheusRegistry
    private var handles: [String: Handles] = [:]

    init(registry: PrometheusRegistry) { self.registry = registry }

    mutating func add(_ counts: TenantDelta.Counts) {
        // Who never had an event accepted takes no place: a name alone costs nobody anything to make up (S-19).
        let handles = handles(of: counts.tenant, mayTakePlace: counts.accepted > 0)
        handles.accepted.increment(by: counts.accepted)
        handles.duplicates.increment(by: counts.duplicates)
        handles.rejected.increment(by: counts.rejected.total)
        handles.bytes.increment(by: counts.bytes)
    }

    private mutating func handles(of tenant: String, mayTakePlace: Bool) -> Handles {
        let hasPlace = mayTakePlace && handles.count < MetricsTable.tenantsMax
        let name = hasPlace ? tenant : PrometheusLabel.other
        if let known = handles[tenant] ?? handles[name] { return known }
        let label = [("tenant", name)]
        let made = Handles(
            accepted: Counter(label: "sluice_tenant_events_accepted_total", dimensions: label, factory: registry),
            duplicates: Counter(label: "sluice_tenant_events_duplicates_total", dimensions: label, factory: registry),
            rejected: Counter(label: "sluice_tenant_events_rejected_total", dimensions: label, factory: registry),
            bytes: Counter(label: "sluice_tenant_event_bytes_total", dimensions: label, factory: registry)
        )
        handles[name] = made
        return made
    }
}
