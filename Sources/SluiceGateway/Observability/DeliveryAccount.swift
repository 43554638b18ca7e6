import DeliveryRules
import EventBus
import JetStream
import TenantMetrics

/// Hands what the engine has counted of deliveries to the counters of tenants, about once a second.
///
/// It asks the engine for its totals, so that a delivery is never held up. Any task may call; a count that was handed on
/// is not handed on again, even if the engine's total should be smaller for a while.
final class DeliveryAccount: Sendable {
    private let engine: DeliveryEngine
    private let tenants: TenantMetrics
    /// What was handed on since the start.
    private let told = Locked<[SubscriptionKey: DeliveryCounts]>([:])

    /// So many subscriptions that are gone are remembered.
    private static let goneMax = 10_000
    private static let interval = Duration.seconds(1)

    /// - Returns: `nil` where no counters of tenants are kept.
    init?(_ engine: DeliveryEngine, _ tenants: TenantMetrics?) {
        guard let tenants else { return nil }
        self.engine = engine
        self.tenants = tenants
    }

    /// Counts once a second until the task is cancelled; then, with the engine drained and its loops still there, call
    /// ``count()`` a last time.
    func run() async {
        while (try? await Task.sleep(for: Self.interval)) != nil { await count() }
    }

    /// Hands on what has been counted since the last time.
    ///
    /// The engine's loops must run.
    func count() async {
        let reports = await engine.reports()
        let tally = TenantTally()
        for (tenant, counts) in growth(reports) { tally.delivered(tenant: tenant.text, counts) }
        if let delta = tally.take() { tenants.fold(delta) }
    }

    private func growth(_ reports: [SubscriptionKey: DeliveryReport]) -> [(TenantName, DeliveryCounts)] {
        told.withLock { told in
            if told.count > reports.count + Self.goneMax { told = told.filter { reports[$0.key] != nil } }
            return reports.map { key, report in
                (key.tenant, told[key, default: DeliveryCounts()].raise(to: DeliveryCounts(report)))
            }
        }
    }
}

extension DeliveryCounts {
    fileprivate init(_ report: DeliveryReport) {
        self.init()
        delivered = report.counters.delivered
        failed = report.failed
        retried = report.counters.retried
        deadLettered = report.counters.deadLettered
    }
}
