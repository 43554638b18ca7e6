import CoreMetrics
import PrometheusMetrics

extension GatewaySet {
    private static let subscription = PrometheusLabel.first(200, of: "subscription")

    static let deliveryCounters = [
        "sluice_deliveries_total", "sluice_delivery_attempts_total", "sluice_delivery_failures_total",
        "sluice_delivery_retries_total", "sluice_delivery_dead_letters_total",
        "sluice_delivery_dead_letter_failures_total", "sluice_delivery_skipped_total",
        "sluice_delivery_attempt_seconds_total", "sluice_subscription_expired_undelivered_total",
    ]

    static let deliveryGauges = [
        "sluice_delivery_in_flight", "sluice_delivery_breakers_open", "sluice_subscription_pending",
        "sluice_subscription_unsettled", "sluice_subscription_oldest_age_seconds",
    ]

    static let deliveries: [PrometheusMetric] =
        deliveryCounters.map { .counter($0, help: "Of a subscription.", labels: [subscription]) }
        + deliveryGauges.map { .gauge($0, help: "Of a subscription.", labels: [subscription]) }
        + [
            .gauge("sluice_delivery_ready", help: "1 while this replica can deliver."),
            .gauge(
                "sluice_subscriptions",
                help: "Subscriptions.",
                labels: [.closed("state", ["active", "awaiting-consent", "paused", "disabled"])]
            ),
            .histogram("sluice_delivery_attempt_duration_seconds", help: "How long an attempt took."),
            .counter(
                "sluice_dead_letters_total",
                help: "Dead letters.",
                labels: [.closed("reason", ["rejected", "retries-exhausted"])]
            ),
        ]

    /// Gives every series of one subscription a value, so that all of them show.
    static func fillDeliveries(of registry: PrometheusRegistry) {
        let label = [("subscription", "acme/orders")]
        for name in deliveryCounters { Counter(label: name, dimensions: label, factory: registry).increment() }
        for name in deliveryGauges { Gauge(label: name, dimensions: label, factory: registry).record(1) }
        Gauge(label: "sluice_delivery_ready", factory: registry).record(1)
        Gauge(label: "sluice_subscriptions", dimensions: [("state", "disabled")], factory: registry).record(1)
    }
}
