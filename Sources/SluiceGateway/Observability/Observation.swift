import EventBus
import JetStream
import Logging
import OTLPTracing
import RedisStore
import TenantMetrics

/// What watches the gateway: metrics, the counters of tenants in Redis, the audit, traces.
///
/// Each may be switched off, and none of them is on a request's path.
struct Observation: Sendable {
    private let bus: EventBus
    /// `nil` with `METRICS=false`.
    let metrics: GatewayMetrics?
    /// `nil` with `REDIS_URL=off`, as ``tenants`` then is.
    let redis: RedisClient?
    let tenants: TenantMetrics?
    /// `nil` with `AUDIT=false`.
    let audit: AckAudit?
    /// `nil` without a collector.
    let tracer: OTLPTracer?
    private let logLinesDropped: @Sendable () -> UInt64

    /// How long the last counts may take to Redis, and the last records to the audit, when the gateway stops.
    private static let lastFlush = Duration.seconds(2)

    /// Makes what the configuration asks for; nothing is connected before ``run()``.
    ///
    /// - Throws: ``GatewayConfigurationError`` when the Redis URL is none.
    init(
        _ configuration: GatewayConfiguration,
        bus: EventBus,
        logger: Logger,
        logLinesDropped: @escaping @Sendable () -> UInt64
    ) throws(GatewayConfigurationError) {
        self.bus = bus
        self.logLinesDropped = logLinesDropped
        metrics = configuration.metrics ? GatewayMetrics() : nil
        audit = AckAudit(bus: bus)
        tracer = try configuration.tracingConfiguration().map { OTLPTracer(configuration: $0, logger: logger) }
        guard let url = configuration.redisURL else {
            redis = nil
            tenants = nil
            return
        }
        do throws(RedisURLError) {
            let redis = RedisClient(
                configuration: try RedisConfiguration(url: url),
                log: { CounterLog.event($0, logger) }
            )
            self.redis = redis
            tenants = TenantMetrics(
                client: redis,
                replica: bus.replica,
                log: { CounterLog.event($0, logger) }
            )
        } catch {
            throw GatewayConfigurationError(faults: ["REDIS_URL: not a usable Redis URL: \(error)"])
        }
    }

    /// Where event loops hand their counts.
    var accounting: Accounting { Accounting(bus: bus, metrics: metrics, tenants: tenants, audit: audit) }

    /// Flushes counts and records until the task is cancelled.
    func run() async {
        redis?.start()
        await withTaskGroup(of: Void.self) { tasks in
            if let tenants { tasks.addTask { await tenants.run() } }
            if let audit { tasks.addTask { await audit.run() } }
            if let tracer { tasks.addTask { await tracer.run() } }
        }
    }

    /// Writes what is left, after the last count and before the bus is closed; then closes the connection to Redis.
    func finish() async {
        await withTaskGroup(of: Void.self) { tasks in
            if let tenants { tasks.addTask { await tenants.flush(within: Self.lastFlush) } }
            if let audit { tasks.addTask { await audit.flush(within: Self.lastFlush) } }
        }
        await redis?.close()
    }

    /// What `/metrics` shows of the moment.
    func state(_ loops: LoopState, _ connections: ConnectionCounts) -> GatewayState {
        let streams = bus.configuration.streams
        var state = GatewayState(
            status: bus.status,
            streamName: bus.streamName.description,
            deadLetterStreamName: streams.deadLetters.name.description,
            loops: loops
        )
        state.eventAgeMaxSeconds = Double(streams.events.maxAge.components.seconds)
        state.connections = connections.open
        state.connectionsRefused = (connections.refusedGlobal, connections.refusedAddress)
        state.reconnects = max(bus.client.connectCount, 1) - 1
        state.redisIsConnected = redis?.state.isConnected
        if let status = tenants?.status {
            state.flushes = status.flushes
            state.flushFailures = status.failures
            state.countsPending = status.pendingTenants
            state.countsDropped = status.droppedEvents + status.droppedDeliveries
        }
        if let status = audit?.status {
            state.auditRecorded = status.recorded
            state.auditDropped = status.dropped
        }
        if let tracer {
            state.spansExported = tracer.status.exported
            state.spansDropped = tracer.dropped
        }
        state.logLinesDropped = logLinesDropped()
        return state
    }
}

/// The log lines about Redis and the counters: every message and key once.
enum CounterLog {
    static func event(_ event: RedisEvent, _ logger: Logger) {
        switch event {
        case .connected(let address, let version):
            var metadata: Logger.Metadata = ["address": "\(address)"]
            if let version { metadata["server_version"] = "\(version)" }
            logger.info("connected to Redis", metadata: metadata)
        case .disconnected(let address, let reason):
            logger.warning("lost Redis", metadata: ["address": "\(address)", "reason": "\(reason)"])
        case .connectFailed(let address, let reason, let attempts):
            logger.warning(
                "Redis cannot be reached; counts are kept",
                metadata: ["address": "\(address)", "reason": "\(reason)", "attempts": "\(attempts)"]
            )
        }
    }

    static func event(_ event: TenantMetricsEvent, _ logger: Logger) {
        switch event {
        case .waiting(let reason):
            logger.warning("Redis does not take the counts; they are kept", metadata: ["reason": "\(reason)"])
        case .resumed(let attempts):
            logger.info("Redis takes the counts again", metadata: ["failed_attempts": "\(attempts)"])
        case .dropped(let events, let seriesEvents):
            logger.warning(
                "counts dropped",
                metadata: ["events": "\(events)", "series_events": "\(seriesEvents)"]
            )
        }
    }
}
