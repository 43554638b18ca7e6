import CoreMetrics
import EventBus
import Hummingbird
import HummingbirdCore
import JetStream
public import Logging
import NIOCore
import NIOPosix
public import ServiceLifecycle

/// A configuration the gateway cannot start with; every fault at once.
public struct GatewayConfigurationError: Error, CustomStringConvertible {
    /// One sentence for each fault.
    public let faults: [String]

    /// The faults, one a line.
    public var description: String { faults.joined(separator: "\n") }
}

/// The gateway: an HTTP listener in front of an ``EventBus``.
///
/// `run()` returns after a graceful shutdown; while NATS is away it goes on and answers honestly.
public struct Gateway: Service {
    private let configuration: GatewayConfiguration
    private let bus: EventBus
    private let observation: Observation
    private let logger: Logger
    private let durability: DurabilityWatch
    private let sinkSettings: SinkSettings
    private let announcement = Locked(Announcement())

    /// That the end is near, for the loops that are there and those still to be made.
    private struct Announcement {
        var isMade = false
        var loops: PublishLoops?
        var listener: (any Channel)?
    }

    /// Makes a gateway; nothing is bound or connected before ``run()``.
    ///
    /// - Parameter logLinesDropped: how many log lines were dropped so far, for `/metrics`; called on any thread.
    /// - Throws: ``GatewayConfigurationError`` with everything that is wrong.
    public init(
        configuration: GatewayConfiguration,
        logger: Logger,
        logLinesDropped: @escaping @Sendable () -> UInt64 = { 0 }
    ) throws {
        self.configuration = configuration
        self.logger = logger
        bus = EventBus(configuration: try configuration.busConfiguration(), logger: logger)
        observation = try Observation(configuration, bus: bus, logger: logger, logLinesDropped: logLinesDropped)
        sinkSettings = try SinkSettings(configuration)
        durability = DurabilityWatch(
            bus: bus,
            claim: configuration.durability,
            monitors: configuration.natsMonitors,
            logger: logger
        )
    }

    /// Says that the gateway will be asked to shut down after `grace`: it is not ready from now on, goes on serving, and
    /// closes each connection with its next answer, so that clients and load balancers turn elsewhere (R-33).
    ///
    /// May be called on any thread and more than once.
    public func announceShutdown(grace: Duration) {
        let (isFirst, loops) = announcement.withLock { announcement in
            defer { announcement.isMade = true }
            return (!announcement.isMade, announcement.loops)
        }
        bus.startDraining()
        loops?.startLeaving()
        if isFirst { logger.info("shutting down", metadata: ["grace": "\(grace)"]) }
    }

    /// Lets no further connection queue up at the listener, and accepts those that wait there: to be called right before
    /// the shutdown.
    public func quietListener() async {
        if let listener = announcement.withLock({ $0.listener }) { await SocketRest.quiet(listener: listener) }
    }

    /// Binds the listener, connects to NATS and serves until the service is asked to shut down.
    public func run() async throws {
        let bus = bus
        let observation = observation
        let drainTime = TimeAmount.milliseconds(Int64(configuration.drainTimeoutSeconds * 1000))
        let group = MultiThreadedEventLoopGroup(numberOfThreads: configuration.effectiveHTTPThreads)
        let limit = ConcurrencyLimit(configuration.concurrency)
        let loops = PublishLoops(group) {
            PublishLoop(
                eventLoop: $0,
                bus: bus,
                batchEventsMax: configuration.maxBatchEvents,
                limit: limit,
                observation: observation
            )
        }
        loops.startTimers()
        let isAnnounced = announcement.withLock { announcement in
            announcement.loops = loops
            return announcement.isMade
        }
        if isAnnounced { loops.startLeaving() }
        let deliveries = GatewayDeliveries(
            configuration,
            sinkSettings,
            bus: bus,
            tenants: observation.tenants,
            attemptTook: { [metrics = observation.metrics] in metrics?.attempts.recordNanoseconds($0) }
        )
        let pages = DeliveryPages(
            host: deliveries.host,
            sinks: deliveries.sinks,
            configuration: configuration,
            rules: sinkSettings.rules,
            reader: sinkSettings.reader(configuration),
            logger: logger
        )
        let application = makeApplication(group, loops, deliveries, pages)
        do {
            try await serve(application, loops, drainTime, group, deliveries, pages)
        } catch {
            await deliveries.shutdown()
            await observation.finish()
            await bus.close(within: .zero)
            try? await group.shutdownGracefully()
            throw error
        }
        await deliveries.shutdown()
        await loops.settleAll(within: .seconds(configuration.drainTimeoutSeconds))
        await observation.finish()
        await bus.close(within: .seconds(configuration.drainTimeoutSeconds))
        try await group.shutdownGracefully()
    }

    /// Runs the listener and the bus until the listener ends: drained, or with an error such as a port that is taken.
    private func serve(
        _ application: Application<Routes>,
        _ loops: PublishLoops,
        _ drainTime: TimeAmount,
        _ group: any EventLoopGroup,
        _ deliveries: GatewayDeliveries,
        _ pages: DeliveryPages
    ) async throws {
        let bus = bus
        let observation = observation
        let durability = durability
        try await withThrowingTaskGroup(of: Bool.self) { tasks in
            tasks.addTask {
                await observation.run()
                return false
            }
            tasks.addTask {
                await bus.runUntilCancelled()
                return false
            }
            tasks.addTask {
                await durability.run(on: group)
                return false
            }
            tasks.addTask {
                await deliveries.run()
                return false
            }
            tasks.addTask {
                await pages.run()
                return false
            }
            tasks.addTask {
                try await withGracefulShutdownHandler {
                    try await application.run()
                } onGracefulShutdown: {
                    bus.startDraining()
                    loops.startDraining(within: drainTime)
                }
                return true
            }
            while let isListener = try await tasks.next(), !isListener {}
            tasks.cancelAll()
        }
    }

    private func makeApplication(
        _ group: any EventLoopGroup,
        _ loops: PublishLoops,
        _ deliveries: GatewayDeliveries,
        _ deliveryPages: DeliveryPages
    ) -> Application<Routes> {
        let settings = PublishSettings(configuration)
        let gate = ConnectionGate(
            connectionsMax: configuration.effectiveMaxConnections,
            perAddressMax: configuration.maxConnectionsPerAddress
        )
        let logger = logger
        // Hummingbird would announce the listener in its own words as well.
        var quietLogger = logger
        quietLogger.logLevel = max(logger.logLevel, .notice)
        let pages = Pages(
            health: Health(
                bus: bus,
                deliveries: deliveries.host,
                observation: observation,
                durability: durability,
                clusterID: configuration.natsClusterID
            ),
            reports: TenantReports(metrics: observation.tenants),
            metrics: MetricsPage(
                observation: observation,
                loops: loops,
                connections: gate.counts,
                deliveries: deliveries.host
            ),
            deliveries: deliveryPages
        )
        return Application(
            responder: Routes(pages: pages, logger: logger),
            server: HTTPServerBuilder { responder in
                GatewayChannel(
                    http: HTTP1Channel(responder: responder),
                    loops: loops,
                    settings: settings,
                    gate: gate,
                    logger: logger
                )
            },
            configuration: ApplicationConfiguration(
                address: .hostname(configuration.host, port: configuration.port),
                serverName: nil,
                backlog: 1024
            ),
            onServerRunning: { [announcement] channel in
                announcement.withLock { $0.listener = channel }
                logger.info("listening", metadata: ["address": "\(channel.localAddress?.description ?? "?")"])
            },
            eventLoopGroupProvider: .shared(group),
            logger: quietLogger
        )
    }
}
