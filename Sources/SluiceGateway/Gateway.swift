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
    private let logger: Logger

    /// Makes a gateway; nothing is bound or connected before ``run()``.
    ///
    /// - Throws: ``GatewayConfigurationError`` with everything that is wrong.
    public init(configuration: GatewayConfiguration, logger: Logger) throws {
        self.configuration = configuration
        self.logger = logger
        self.bus = EventBus(configuration: try configuration.busConfiguration(), logger: logger)
    }

    /// Binds the listener, connects to NATS and serves until the service is asked to shut down.
    public func run() async throws {
        let bus = bus
        let drainTime = TimeAmount.milliseconds(Int64(configuration.drainTimeoutSeconds * 1000))
        let group = MultiThreadedEventLoopGroup(numberOfThreads: configuration.effectiveHTTPThreads)
        let loops = PublishLoops(group) {
            PublishLoop(eventLoop: $0, bus: bus, batchEventsMax: configuration.maxBatchEvents)
        }
        loops.startSweeping()
        let application = makeApplication(group, loops)
        do {
            try await serve(application, loops, drainTime)
        } catch {
            await bus.close(within: .zero)
            try? await group.shutdownGracefully()
            throw error
        }
        await bus.close(within: .seconds(configuration.drainTimeoutSeconds))
        try await group.shutdownGracefully()
    }

    /// Runs the listener and the bus until the listener ends: drained, or with an error such as a port that is taken.
    private func serve(
        _ application: Application<Routes>,
        _ loops: PublishLoops,
        _ drainTime: TimeAmount
    ) async throws {
        let bus = bus
        try await withThrowingTaskGroup(of: Bool.self) { tasks in
            tasks.addTask {
                await bus.run()
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

    private func makeApplication(_ group: any EventLoopGroup, _ loops: PublishLoops) -> Application<Routes> {
        let settings = PublishSettings(configuration)
        let gate = ConnectionGate(
            connectionsMax: configuration.effectiveMaxConnections,
            perAddressMax: configuration.maxConnectionsPerAddress
        )
        let logger = logger
        // Hummingbird would announce the listener in its own words as well.
        var quietLogger = logger
        quietLogger.logLevel = max(logger.logLevel, .notice)
        let health = Health(bus: bus, clusterID: configuration.natsClusterID)
        return Application(
            responder: Routes(health: health, logger: logger),
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
            onServerRunning: { channel in
                logger.info("listening", metadata: ["address": "\(channel.localAddress?.description ?? "?")"])
            },
            eventLoopGroupProvider: .shared(group),
            logger: quietLogger
        )
    }
}
