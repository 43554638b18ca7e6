import ArgumentParser
import Logging
import SluiceGateway

/// `sluice check-config`: what would be used, and from where.
struct CheckConfigCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check-config",
        abstract: "Check the configuration and show where every value comes from.",
        discussion: """
            Checks every value and lists all problems at once; exits with 78 when there are any. Nothing is started. \
            Passwords are shown as ***.

            Examples:
              sluice check-config --config sluice.json
              NATS_URL=nats://nats:4222 sluice check-config --connect
            """
    )

    @Flag(
        help: "Also connect to each NATS server and read its greeting; exit with 69 when none with JetStream answers."
    )
    var connect = false

    @Flag(help: "Print one JSON object instead of a table.")
    var json = false

    @OptionGroup(title: "Settings") var settings: ConfigurationOptions

    func run() async throws {
        try await reportingFailures {
            let resolved = try settings.sources().resolve()
            try Self.checkGateway(resolved.configuration)
            if json { Console.out(Self.json(resolved)) } else { Self.table(resolved).forEach(Console.out) }
            if connect { try await check(resolved.configuration.gateway.natsServers) }
        }
    }

    static func table(_ resolved: ResolvedConfiguration) -> [String] {
        let names = resolved.settings.map(\.setting.name.count).max() ?? 0
        let values = min(48, resolved.settings.map(\.shown.count).max() ?? 0)
        return resolved.settings.map { effective in
            let value = effective.shown.isEmpty ? "–" : effective.shown
            let line =
                effective.setting.name.padded(names) + "  " + value.padded(values) + "  "
                + effective.origin.label
            return line
        }
    }

    static func json(_ resolved: ResolvedConfiguration) -> String {
        var object = JSONWriter()
        for effective in resolved.settings {
            var entry = JSONWriter()
            entry.add("value", effective.masked)
            entry.add("origin", effective.origin.label)
            object.add(effective.setting.name, json: entry.text)
        }
        return object.text
    }

    /// Makes a gateway without running it: what only the gateway itself knows to be wrong is found here too.
    private static func checkGateway(_ configuration: Configuration) throws {
        do {
            _ = try Gateway(configuration: configuration.gateway, logger: Logger(label: "sluice"))
        } catch let error as GatewayConfigurationError {
            throw ConfigurationErrors(problems: error.faults)
        }
    }

    private func check(_ servers: [String]) async throws {
        var reached = 0
        for server in servers {
            let name = SafeText.escaped(SafeText.maskingCredentials(server))
            guard let address = ServerAddress(url: server, schemes: ["nats"], defaultPort: 4222) else { continue }
            do {
                let info = try await NATSGreeting.read(host: address.host, port: address.port, timeoutSeconds: 3)
                if info.hasJetStream { reached += 1 }
                Console.note("\(name): nats-server \(info.summary)")
                if !info.hasJetStream { Console.note("\(name): JetStream is not enabled: start it with -js") }
            } catch {
                Console.note("\(name): \(error.reason)")
            }
        }
        guard reached > 0 else {
            throw CommandFailure("no NATS server with JetStream answers", code: ExitStatus.unavailable)
        }
    }
}

extension String {
    /// The text with spaces behind it, to a width.
    func padded(_ width: Int) -> String {
        self + String(repeating: " ", count: max(0, width - count))
    }
}
