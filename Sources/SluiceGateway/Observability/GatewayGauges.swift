import CoreMetrics
import EventBus
import JetStream
import PrometheusMetrics

/// What is read anew for each scrape.
struct GatewayState: Sendable {
    var status: BusStatus
    var streamName: String
    var deadLetterStreamName: String
    /// How long the event stream keeps an event, in seconds; 0 without a limit.
    var eventAgeMaxSeconds = 0.0
    var reconnects: UInt64 = 0
    var loops: LoopState
    var connections = 0
    var connectionsRefused = (global: 0, address: 0)
    /// `nil` with `REDIS_URL=off`: the series is then absent.
    var redisIsConnected: Bool?
    var flushes: UInt64 = 0
    var flushFailures: UInt64 = 0
    var countsPending = 0
    var countsDropped: UInt64 = 0
    var auditRecorded: UInt64 = 0
    var auditDropped: UInt64 = 0
    var spansExported: UInt64 = 0
    var spansDropped: UInt64 = 0
    var logLinesDropped: UInt64 = 0
    var process = ProcessSample.read()
}

/// The metrics that show a ``GatewayState``.
struct GatewayGauges: Sendable {
    private let registry: PrometheusRegistry

    init(_ registry: PrometheusRegistry) {
        self.registry = registry
        Meter(label: "sluice_build_info", dimensions: [("version", GatewayConfiguration.version)], factory: registry)
            .set(1)
        set("sluice_process_start_time_seconds", ProcessSample.unixSeconds())
    }

    func update(_ state: GatewayState) {
        let status = state.status
        set("sluice_ready", status.isReady ? 1 : 0)
        set("sluice_draining", status.draining ? 1 : 0)
        set("sluice_nats_connected", status.connection.isConnected ? 1 : 0)
        set("sluice_canary_age_seconds", status.lastCanary.map { Self.seconds(since: $0) } ?? -1)
        if let fill = status.fill { show(fill, of: state.streamName) }
        if let fill = status.deadLetterFill { show(fill, of: state.deadLetterStreamName) }
        set("sluice_event_max_age_seconds", state.eventAgeMaxSeconds)
        set("sluice_publish_in_flight", Double(state.loops.inFlight))
        set("sluice_publish_in_flight_limit", Double(state.loops.inFlightLimit))
        raise("sluice_overload_rejections_total", state.loops.overloadRejections)
        set("sluice_http_connections", Double(state.connections))
        let refused = "sluice_http_connections_refused_total"
        raise(refused, UInt64(max(state.connectionsRefused.global, 0)), [("reason", "global")])
        raise(refused, UInt64(max(state.connectionsRefused.address, 0)), [("reason", "address")])
        set("sluice_http_body_bytes", Double(state.loops.bodyBytes))
        if let connected = state.redisIsConnected { set("sluice_redis_connected", connected ? 1 : 0) }
        set("sluice_tenant_counts_pending", Double(state.countsPending))
        raise("sluice_nats_reconnects_total", state.reconnects)
        raise("sluice_tenant_flushes_total", state.flushes)
        raise("sluice_tenant_flush_failures_total", state.flushFailures)
        raise("sluice_tenant_counts_dropped_total", state.countsDropped)
        raise("sluice_audit_entries_recorded_total", state.auditRecorded)
        raise("sluice_audit_entries_dropped_total", state.auditDropped)
        raise("sluice_trace_spans_exported_total", state.spansExported)
        raise("sluice_trace_spans_dropped_total", state.spansDropped)
        raise("sluice_log_lines_dropped_total", state.logLinesDropped)
        registry.counter("sluice_process_cpu_seconds_total")?.raise(to: state.process.cpuSeconds)
        set("sluice_process_resident_memory_bytes", Double(state.process.residentBytes))
        set("sluice_process_open_fds", Double(state.process.openFiles))
        set("sluice_process_max_fds", Double(state.process.openFilesMax))
        set("sluice_process_threads", Double(state.process.threads))
    }

    private func show(_ fill: BusStatus.Fill, of name: String) {
        let stream = [("stream", name)]
        set("sluice_stream_messages", Double(fill.messages), stream)
        set("sluice_stream_bytes", Double(fill.bytes), stream)
        set("sluice_stream_fill_ratio", fill.share, stream)
    }

    /// Fifty look-ups for each scrape cost less than as many properties would cost the reader.
    private func set(_ name: String, _ value: Double, _ dimensions: [(String, String)] = []) {
        Meter(label: name, dimensions: dimensions, factory: registry).set(value)
    }

    private func raise(_ name: String, _ value: UInt64, _ dimensions: [(String, String)] = []) {
        registry.counter(name, dimensions: dimensions)?.raise(to: value)
    }

    private static func seconds(since instant: ContinuousClock.Instant) -> Double {
        let age = (ContinuousClock.now - instant).components
        return Double(age.seconds) + Double(age.attoseconds) / 1e18
    }
}
