import PrometheusMetrics
import TenantMetrics

/// Every metric of the gateway: names, types, closed label sets and what they mean.
///
/// The README's table is the same, which a test checks.
enum MetricsTable {
    /// How many tenants have series of their own; all others share `other` (S-19).
    static let tenantsMax = 200

    static let all: [PrometheusMetric] = http + events + delivery + broker + counters + process

    private static let http: [PrometheusMetric] = [
        .gauge(
            "sluice_build_info",
            help: "1, with the version.",
            labels: [.closed("version", [GatewayConfiguration.version])]
        ),
        .counter(
            "sluice_http_requests_total",
            help: "Requests answered.",
            labels: [
                .closed("route", RouteLabel.allCases.map(\.text)), .closed("status", StatusClass.allCases.map(\.text)),
            ]
        ),
        .histogram(
            "sluice_http_request_duration_seconds",
            help: "From the head of a publishing request to its answer.",
            labels: [.closed("route", [RouteLabel.events.text, RouteLabel.publish.text])]
        ),
        .gauge("sluice_http_connections", help: "Open HTTP connections."),
        .counter(
            "sluice_http_connections_refused_total",
            help: "Connections refused at a cap.",
            labels: [.closed("reason", ["global", "address"])]
        ),
        .gauge("sluice_http_body_bytes", help: "Bytes of request bodies that are arriving."),
        .histogram("sluice_event_loop_lag_seconds", help: "How late a timer of an event loop came."),
    ]

    private static let events: [PrometheusMetric] = [
        .counter("sluice_events_accepted_total", help: "Events answered 202, duplicates included."),
        .counter("sluice_events_duplicates_total", help: "Accepted events that had been stored before."),
        .counter(
            "sluice_events_rejected_total",
            help: "Events and requests refused, by reason.",
            labels: [.closed("reason", RejectReason.allCases.map(\.label))]
        ),
        .counter("sluice_event_bytes_total", help: "Payload bytes stored."),
        .counter("sluice_tenant_events_accepted_total", help: "Events answered 202, by tenant.", labels: [tenant]),
        .counter("sluice_tenant_events_duplicates_total", help: "Duplicates among them, by tenant.", labels: [tenant]),
        .counter("sluice_tenant_events_rejected_total", help: "Events refused, by tenant.", labels: [tenant]),
        .counter("sluice_tenant_event_bytes_total", help: "Payload bytes stored, by tenant.", labels: [tenant]),
        .histogram(
            "sluice_publish_ack_duration_seconds",
            help: "From handing events to JetStream to the last outcome of their request."
        ),
        .histogram(
            "sluice_batch_events",
            help: "Events in a batch.",
            buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000]
        ),
    ]

    private static let tenant = PrometheusLabel.first(tenantsMax, of: "tenant")

    private static let stream = PrometheusLabel.first(8, of: "stream")

    private static let broker: [PrometheusMetric] = [
        .gauge("sluice_ready", help: "1 while a publish can be expected to succeed."),
        .gauge("sluice_draining", help: "1 while the gateway is shutting down."),
        .gauge("sluice_nats_connected", help: "1 while NATS is connected."),
        .counter("sluice_nats_reconnects_total", help: "Connections made to NATS after the first one."),
        .gauge("sluice_canary_age_seconds", help: "Since the last canary was acknowledged; -1 before the first."),
        .gauge("sluice_stream_messages", help: "Messages in the stream.", labels: [stream]),
        .gauge("sluice_stream_bytes", help: "Bytes in the stream.", labels: [stream]),
        .gauge(
            "sluice_stream_fill_ratio",
            help: "Used share of the stream's tightest limit; 0 without limits.",
            labels: [stream]
        ),
        .gauge("sluice_event_max_age_seconds", help: "How long the event stream keeps an event; 0 without a limit."),
        .gauge("sluice_publish_in_flight", help: "Messages that wait for a PubAck."),
        .gauge("sluice_publish_in_flight_limit", help: "How many the adaptive limit allows now."),
        .counter("sluice_overload_rejections_total", help: "Requests refused by the adaptive limit."),
    ]

    private static let counters: [PrometheusMetric] = [
        .gauge("sluice_redis_connected", help: "1 while Redis is connected; absent with REDIS_URL=off."),
        .counter("sluice_tenant_flushes_total", help: "Chunks of counters written to Redis."),
        .counter("sluice_tenant_flush_failures_total", help: "Tries to write a chunk to Redis that failed."),
        .gauge("sluice_tenant_counts_pending", help: "Tenants whose counts wait for Redis."),
        .counter("sluice_tenant_counts_dropped_total", help: "Events whose counts never reached Redis."),
        .counter("sluice_audit_entries_recorded_total", help: "Acknowledged events recorded in the audit stream."),
        .counter("sluice_audit_entries_dropped_total", help: "Acknowledged events that found no room in the audit."),
        .counter("sluice_trace_spans_exported_total", help: "Spans the collector took."),
        .counter("sluice_trace_spans_dropped_total", help: "Spans that were lost."),
        .counter("sluice_log_lines_dropped_total", help: "Log lines dropped because nobody read them."),
    ]

    private static let process: [PrometheusMetric] = [
        .counter("sluice_process_cpu_seconds_total", help: "Processor time, user and system."),
        .gauge("sluice_process_resident_memory_bytes", help: "Memory in use."),
        .gauge("sluice_process_open_fds", help: "Open file descriptors."),
        .gauge("sluice_process_max_fds", help: "Most file descriptors the process may have."),
        .gauge("sluice_process_threads", help: "Threads."),
        .gauge("sluice_process_start_time_seconds", help: "When the process started, in seconds since 1970."),
    ]
}
