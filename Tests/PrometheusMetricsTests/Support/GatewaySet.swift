import CoreMetrics
import PrometheusMetrics

/// The metrics that the gateway declares, as README.md lists them.
enum GatewaySet {
    static let reasons = [
        "invalid", "malformed", "too_large", "unsupported", "unavailable", "overloaded", "store_full", "misconfigured",
        "outcome_unknown", "rate_limited", "not_allowed", "other",
    ]
    private static let tenant = PrometheusLabel.first(200, of: "tenant")

    static let metrics: [PrometheusMetric] =
        http + events + tenants + publishing + deliveries + broker + sideChannels + process

    /// The names of all samples that the gateway can show, with those that a registry adds.
    static var sampleNames: Set<String> {
        get throws {
            let registry = PrometheusRegistry()
            for metric in metrics { registry.declare(metric) }
            fill(registry)
            return Set(try Exposition(registry).samples.map(\.name))
        }
    }

    static let http: [PrometheusMetric] = [
        .counter(
            "sluice_http_requests_total",
            help: "Answers written.",
            labels: [
                .closed("route", ["events", "publish", "health", "metrics", "stats", "other"]),
                .closed("status", ["2xx", "4xx", "5xx"]),
            ]
        ),
        .histogram(
            "sluice_http_request_duration_seconds",
            help: "From a request's head to the end of its answer.",
            labels: [.closed("route", ["events", "publish"])]
        ),
        .gauge("sluice_http_connections", help: "Open connections."),
        .counter(
            "sluice_http_connections_refused_total",
            help: "Connections refused at a cap.",
            labels: [.closed("reason", ["global", "address"])]
        ),
        .gauge("sluice_http_body_bytes", help: "Bytes of bodies that are arriving."),
    ]

    static let events: [PrometheusMetric] = [
        .counter("sluice_events_accepted_total", help: "Events answered 202, duplicates included."),
        .counter("sluice_events_duplicates_total", help: "Accepted events that were stored before."),
        .counter(
            "sluice_events_rejected_total",
            help: "Events and requests refused.",
            labels: [.closed("reason", reasons)]
        ),
        .counter("sluice_event_bytes_total", help: "Payload bytes stored."),
    ]

    static let tenantCounters = [
        "sluice_tenant_events_accepted_total", "sluice_tenant_events_duplicates_total",
        "sluice_tenant_events_rejected_total", "sluice_tenant_event_bytes_total",
    ]

    static let tenants: [PrometheusMetric] = tenantCounters.map {
        .counter($0, help: "As without tenant, by tenant.", labels: [tenant])
    }

    static let publishing: [PrometheusMetric] = [
        .histogram("sluice_publish_ack_duration_seconds", help: "From the hand-over to JetStream to its answer."),
        .histogram(
            "sluice_batch_events",
            help: "Events of a batch.",
            buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
        ),
        .gauge("sluice_publish_in_flight", help: "Messages that wait for a PubAck."),
        .gauge("sluice_publish_in_flight_limit", help: "What may wait now."),
        .counter("sluice_overload_rejections_total", help: "Requests refused by that limit."),
        .histogram("sluice_event_loop_lag_seconds", help: "How late a timer of 100 ms came."),
    ]

    static let broker: [PrometheusMetric] = [
        .gauge("sluice_ready", help: "1 when events are taken."),
        .gauge("sluice_draining", help: "1 on the way down."),
        .gauge("sluice_nats_connected", help: "1 when connected to NATS."),
        .counter("sluice_nats_reconnects_total", help: "Connections made again."),
        .gauge("sluice_canary_age_seconds", help: "Since the last canary that was acknowledged."),
        .gauge("sluice_event_max_age_seconds", help: "How long the stream keeps an event."),
        .gauge("sluice_stream_messages", help: "Messages of the stream.", labels: [.first(4, of: "stream")]),
        .gauge("sluice_stream_bytes", help: "Bytes of the stream.", labels: [.first(4, of: "stream")]),
        .gauge("sluice_stream_fill_ratio", help: "Fill of the stream.", labels: [.first(4, of: "stream")]),
    ]

    static let sideChannels: [PrometheusMetric] = [
        .gauge("sluice_redis_connected", help: "1 when connected to Redis."),
        .counter("sluice_tenant_flushes_total", help: "Foldings of tenants' counts into Redis."),
        .counter("sluice_tenant_flush_failures_total", help: "Foldings that failed and are retried."),
        .counter("sluice_tenant_counts_dropped_total", help: "Counts that no Redis will show."),
        .gauge("sluice_tenant_counts_pending", help: "Tenants whose counts wait."),
        .counter("sluice_audit_entries_recorded_total", help: "Acknowledgements recorded."),
        .counter("sluice_audit_entries_dropped_total", help: "Acknowledgements not recorded."),
        .counter("sluice_trace_spans_exported_total", help: "Spans exported."),
        .counter("sluice_trace_spans_dropped_total", help: "Spans dropped."),
        .counter("sluice_log_lines_dropped_total", help: "Log lines dropped."),
    ]

    static let process: [PrometheusMetric] = [
        .gauge("sluice_build_info", help: "1.", labels: [.first(1, of: "version")]),
        .counter("sluice_process_cpu_seconds_total", help: "CPU time used."),
        .gauge("sluice_process_resident_memory_bytes", help: "Memory in RAM."),
        .gauge("sluice_process_open_fds", help: "Open descriptors."),
        .gauge("sluice_process_max_fds", help: "How many there may be."),
        .gauge("sluice_process_threads", help: "Threads."),
        .gauge("sluice_process_start_time_seconds", help: "When it started, Unix time."),
    ]

    /// Gives every metric a value, so that all of them show.
    static func fill(_ registry: PrometheusRegistry) {
        fillGauges(of: registry)
        fillDeliveries(of: registry)
        for name in tenantCounters {
            Counter(label: name, dimensions: [("tenant", "acme")], factory: registry).increment()
        }
    }

    /// Sets every gauge without a tenant or a subscription.
    static func fillGauges(of registry: PrometheusRegistry) {
        let plain = [
            "sluice_http_connections", "sluice_http_body_bytes", "sluice_publish_in_flight",
            "sluice_publish_in_flight_limit", "sluice_ready", "sluice_draining", "sluice_nats_connected",
            "sluice_canary_age_seconds", "sluice_event_max_age_seconds", "sluice_redis_connected",
            "sluice_tenant_counts_pending",
            "sluice_process_resident_memory_bytes", "sluice_process_open_fds", "sluice_process_max_fds",
            "sluice_process_threads", "sluice_process_start_time_seconds",
        ]
        for name in plain { Gauge(label: name, factory: registry).record(1) }
        for name in ["sluice_stream_messages", "sluice_stream_bytes", "sluice_stream_fill_ratio"] {
            Gauge(label: name, dimensions: [("stream", "EVENTS")], factory: registry).record(0.5)
        }
        Gauge(label: "sluice_build_info", dimensions: [("version", "1.0.0")], factory: registry).record(1)
    }
}
