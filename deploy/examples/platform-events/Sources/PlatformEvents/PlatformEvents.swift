import EventBus
import Foundation
import Logging
import ServiceLifecycle
import UnixSignals

/// Runs the platform at `NATS_URL` until its story is complete: exit code 0, or 1 and the reason.
@main
enum PlatformEvents {
    static func main() async {
        do {
            try await run()
        } catch {
            FileHandle.standardError.write(Data("platform-events: \(error)\n".utf8))
            exit(1)
        }
    }

    private static func run() async throws {
        var logger = Logger(label: "platform-events", factory: { StreamLogHandler.standardError(label: $0) })
        logger.logLevel = .warning
        let url = ProcessInfo.processInfo.environment["NATS_URL"] ?? "nats://localhost:4222"
        let bus = EventBus(configuration: try EventBusConfiguration(url: url), logger: logger)
        let tenant = TenantName("platform") ?? .default
        let journal = Journal()
        let platform = Platform(bus: bus, tenant: tenant, journal: journal)
        let story = Story(bus: bus, platform: platform, tenant: tenant, journal: journal)

        // The bus first: services are shut down from the last to the first, and handlers need it until they are done.
        var services = ([bus] + platform.services).map { ServiceGroupConfiguration.ServiceConfiguration(service: $0) }
        services.append(
            ServiceGroupConfiguration.ServiceConfiguration(
                service: story,
                successTerminationBehavior: .gracefullyShutdownGroup,
                failureTerminationBehavior: .gracefullyShutdownGroup
            )
        )
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: services,
                gracefulShutdownSignals: [.sigterm, .sigint],
                logger: logger
            )
        )
        try await group.run()
    }
}
