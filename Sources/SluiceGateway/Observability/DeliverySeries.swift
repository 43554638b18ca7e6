import CoreMetrics
import DeliveryRules
import EventBus
import JetStream
import PrometheusMetrics

/// What is read of deliveries for each scrape.
struct DeliveryState: Sendable {
    /// What this replica has done, by subscription.
    var reports: [SubscriptionKey: DeliveryReport] = [:]
    /// Where the consumers stand, by subscription.
    var positions: [SubscriptionKey: SubscriptionPosition] = [:]
    /// What this replica wrote as dead letters for native consumers.
    var nativeLetters: [SubscriptionKey: NativeLetters] = [:]
    /// How many subscriptions are in each state, by the state's name.
    var states: [String: Int] = [:]
    /// Whether this replica can deliver.
    var isReady = false

    /// Reads everything now.
    init(_ host: DeliveryHost) async {
        reports = await host.engine.reports()
        positions = host.engine.positions
        nativeLetters = host.nativeDeadLetters
        isReady = host.isReady
        for record in host.registry.all { states[record.state.name, default: 0] += 1 }
    }
}

/// The series of subscriptions: the first ones have their own, the rest share one (S-19).
struct DeliverySeries: Sendable {
    private let registry: PrometheusRegistry
    /// The subscriptions that have series of their own, in the order in which they came.
    private let named = Locked<Set<SubscriptionKey>>([])

    init(_ registry: PrometheusRegistry) {
        self.registry = registry
    }

    /// Brings all series up to date.
    func update(_ state: DeliveryState) {
        Meter(label: "sluice_delivery_ready", factory: registry).set(state.isReady ? 1 : 0)
        for name in SubscriptionState.names {
            set("sluice_subscriptions", Double(state.states[name] ?? 0), ("state", name))
        }
        var reasons: [String: UInt64] = [:]
        var sums: [String: Sum] = [:]
        for (key, report) in state.reports {
            for reason in DeadLetterReason.allCases {
                reasons[reason.rawValue, default: 0] += report.counters.deadLettered(reason)
            }
            sums[label(of: key), default: Sum()].add(report)
        }
        for (key, letters) in state.nativeLetters {
            for (reason, count) in letters.written { reasons[reason.rawValue, default: 0] += count }
            sums[label(of: key), default: Sum()].add(letters)
        }
        for (key, position) in state.positions { sums[label(of: key), default: Sum()].add(position) }
        // Nothing waits any more for a subscription that is gone; what was counted stays.
        for key in named.withLock({ $0 }) where sums[key.description] == nil { sums[key.description] = Sum() }
        for reason in DeadLetterReason.allCases {
            raise("sluice_dead_letters_total", reasons[reason.rawValue] ?? 0, ("reason", reason.rawValue))
        }
        for (label, sum) in sums { show(sum, ("subscription", label)) }
    }

    private func show(_ sum: Sum, _ label: (String, String)) {
        raise("sluice_deliveries_total", sum.delivered, label)
        raise("sluice_delivery_attempts_total", sum.attempts, label)
        raise("sluice_delivery_failures_total", sum.failed, label)
        raise("sluice_delivery_retries_total", sum.retried, label)
        raise("sluice_delivery_dead_letters_total", sum.deadLettered, label)
        raise("sluice_delivery_dead_letter_failures_total", sum.lettersFailed, label)
        raise("sluice_delivery_skipped_total", sum.skipped, label)
        registry.counter("sluice_delivery_attempt_seconds_total", dimensions: [label])?.raise(to: sum.attemptSeconds)
        set("sluice_delivery_in_flight", Double(sum.inFlight), label)
        set("sluice_delivery_breakers_open", Double(sum.breakersOpen), label)
        set("sluice_subscription_pending", Double(sum.pending), label)
        set("sluice_subscription_unsettled", Double(sum.unsettled), label)
        set("sluice_subscription_oldest_age_seconds", Double(sum.oldestAge), label)
        raise("sluice_subscription_expired_undelivered_total", sum.expired, label)
    }

    /// The subscription's own label while there is room, and then the common one.
    private func label(of key: SubscriptionKey) -> String {
        let isNamed = named.withLock { named in
            if named.contains(key) { return true }
            guard named.count < MetricsTable.subscriptionsMax else { return false }
            named.insert(key)
            return true
        }
        return isNamed ? key.description : PrometheusLabel.other
    }

    private func set(_ name: String, _ value: Double, _ label: (String, String)) {
        Meter(label: name, dimensions: [label], factory: registry).set(value)
    }

    private func raise(_ name: String, _ value: UInt64, _ label: (String, String)) {
        registry.counter(name, dimensions: [label])?.raise(to: value)
    }

    /// What all subscriptions under one label come to; ages are the greatest.
    private struct Sum {
        var delivered: UInt64 = 0, attempts: UInt64 = 0, failed: UInt64 = 0, retried: UInt64 = 0
        var deadLettered: UInt64 = 0, lettersFailed: UInt64 = 0, skipped: UInt64 = 0, expired: UInt64 = 0,
            pending: UInt64 = 0
        var attemptSeconds = 0.0
        var inFlight = 0, breakersOpen = 0, unsettled = 0
        var oldestAge: Int64 = 0

        mutating func add(_ report: DeliveryReport) {
            delivered += report.counters.delivered
            attempts += report.counters.attempts
            retried += report.counters.retried
            deadLettered += report.counters.deadLettered
            lettersFailed += report.lettersFailed
            failed += report.failed
            skipped += report.skipped
            attemptSeconds += report.attemptSeconds
            inFlight += report.inFlight
            if let breaker = report.breaker, breaker != "closed" { breakersOpen += 1 }
        }

        mutating func add(_ letters: NativeLetters) {
            deadLettered += letters.written.values.reduce(0, +)
            lettersFailed += letters.failed
        }

        mutating func add(_ position: SubscriptionPosition) {
            pending += position.pending
            unsettled += position.unsettled
            expired += position.expiredUndelivered
            oldestAge = max(oldestAge, position.oldestAgeSeconds ?? 0)
        }
    }
}

extension SubscriptionState {
    /// The names of all states.
    static let names = ["active", "awaiting-consent", "paused", "disabled"]
}

extension MetricsTable {
    /// How many subscriptions have series of their own; all others share `other` (S-19).
    static let subscriptionsMax = 200

    private static let subscription = PrometheusLabel.first(subscriptionsMax, of: "subscription")

    static let delivery: [PrometheusMetric] = [
        .gauge("sluice_delivery_ready", help: "1 while this replica can deliver."),
        .gauge(
            "sluice_subscriptions",
            help: "Subscriptions, by state.",
            labels: [.closed("state", SubscriptionState.names)]
        ),
        .counter("sluice_deliveries_total", help: "Events delivered and settled.", labels: [subscription]),
        .counter("sluice_delivery_attempts_total", help: "Attempts to deliver.", labels: [subscription]),
        .counter("sluice_delivery_failures_total", help: "Attempts that failed.", labels: [subscription]),
        .counter("sluice_delivery_retries_total", help: "Failed attempts to be made again.", labels: [subscription]),
        .counter("sluice_delivery_dead_letters_total", help: "Events dead-lettered.", labels: [subscription]),
        .counter(
            "sluice_delivery_dead_letter_failures_total",
            help: "Tries to store a dead letter that failed.",
            labels: [subscription]
        ),
        .counter("sluice_delivery_skipped_total", help: "Events read and not wanted.", labels: [subscription]),
        .counter("sluice_delivery_attempt_seconds_total", help: "Time that attempts took.", labels: [subscription]),
        .gauge("sluice_delivery_in_flight", help: "Events in hand.", labels: [subscription]),
        .gauge("sluice_delivery_breakers_open", help: "Circuit breakers not closed.", labels: [subscription]),
        .histogram("sluice_delivery_attempt_duration_seconds", help: "How long an attempt took."),
        .counter(
            "sluice_dead_letters_total",
            help: "Events dead-lettered, by reason.",
            labels: [.closed("reason", DeadLetterReason.allCases.map(\.rawValue))]
        ),
        .gauge(
            "sluice_subscription_pending",
            help: "Events not delivered yet, of all replicas.",
            labels: [subscription]
        ),
        .gauge("sluice_subscription_unsettled", help: "Delivered and not settled, likewise.", labels: [subscription]),
        .gauge(
            "sluice_subscription_oldest_age_seconds",
            help: "Age of the oldest event that is not settled; 0 without one.",
            labels: [subscription]
        ),
        .counter(
            "sluice_subscription_expired_undelivered_total",
            help: "Events that the stream's limits took unsettled; at least so many.",
            labels: [subscription]
        ),
    ]
}
