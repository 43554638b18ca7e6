import ArgumentParser
import Glibc
import Logging
import NIOCore
import ServiceLifecycle
import SluiceGateway

/// `sluice serve`: the gateway.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Run the gateway.",
        discussion: """
            Every setting is a flag, an environment variable (NATS_URL for --nats-url) or a member of the configuration \
            file (nats_url); a flag wins over the environment, the environment over the file.

            While NATS is away the gateway keeps running and answers 503. SIGTERM and SIGINT stop it gracefully: after \
            SIGTERM it is unready at once and serves on for DRAIN_GRACE, so that a load balancer can turn away.

            Examples:
              sluice serve
              NATS_URL=nats://n1:4222,nats://n2:4222 API_PORT=9000 sluice serve
              sluice serve --config sluice.json --log-level debug
            """
    )

    @OptionGroup(title: "Settings") var settings: ConfigurationOptions

    func run() async throws {
        try await reportingFailures {
            let configuration = try settings.sources().resolve().configuration
            try await GatewayRun(configuration: configuration, log: try .start(configuration)).run()
        }
    }
}

/// One run of the gateway in this process, with what a command adds to it.
struct GatewayRun {
    let configuration: Configuration
    let log: ProcessLog
    /// Services that start before the gateway and stop after it.
    var before: [any Service] = []
    /// Services that start after the gateway; they may end whenever they like.
    var after: [any Service] = []
    /// How long it goes on serving after SIGTERM before it closes the listener.
    var grace: Duration?

    /// Runs until SIGTERM or SIGINT, or until a service fails; what was logged is written when it returns.
    ///
    /// - Throws: ``CommandFailure`` when something could not start or ended by itself.
    func run() async throws {
        ProcessLimits.raiseOpenFiles()
        defer { log.flush() }
        do {
            let gateway = try Gateway(configuration: configuration.gateway, logger: log.logger)
            var services = before.map {
                ServiceGroupConfiguration.ServiceConfiguration(
                    service: $0,
                    failureTerminationBehavior: .gracefullyShutdownGroup
                )
            }
            services.append(.init(service: gateway, failureTerminationBehavior: .gracefullyShutdownGroup))
            services += after.map { .init(service: $0, successTerminationBehavior: .ignore) }
            var group = ServiceGroupConfiguration(
                services: services,
                logger: lifecycleLogger(log.logger)
            )
            group.maximumGracefulShutdownDuration = .seconds(configuration.gateway.drainTimeoutSeconds + 15)
            let grace = grace ?? .milliseconds(Int64(configuration.gateway.drainGraceSeconds * 1000))
            try await ShutdownSignals(gateway: gateway, grace: grace).run(ServiceGroup(configuration: group))
        } catch let failure as CommandFailure {
            throw failure
        } catch let error as GatewayConfigurationError {
            throw ConfigurationErrors(problems: error.faults)
        } catch let error as IOError {
            let server = configuration.gateway
            throw CommandFailure(
                "cannot listen on \(SafeText.escaped(server.host)):\(server.port): \(ConnectFailure.reason(error)); "
                    + "choose another address with --api-host and --api-port",
                code: ExitStatus.unavailable
            )
        } catch {
            throw CommandFailure(
                SafeText.escaped(SafeText.maskingCredentials("\(error)"), limit: 2048),
                code: ExitStatus.unavailable
            )
        }
    }

    /// The service group tells every step at debug and info; only what goes wrong is of interest here.
    private func lifecycleLogger(_ logger: Logger) -> Logger {
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .warning)
        return quiet
    }
}

/// Limits of the operating system on this process.
enum ProcessLimits {
    /// Raises the bound on open files to what the administrator allows: every connection is one.
    static func raiseOpenFiles() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
