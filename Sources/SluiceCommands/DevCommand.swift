import ArgumentParser
import ServiceLifecycle
import SluiceGateway

/// `sluice dev`: everything a first event needs, on this machine.
struct DevCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dev",
        abstract: "Run the gateway together with a nats-server of its own.",
        discussion: """
            Starts nats-server with JetStream as a child on 127.0.0.1, waits until it answers, and runs the gateway in \
            this process. Ctrl-C stops both; the child never outlives this process. Events are kept in the data \
            directory.

            Examples:
              sluice dev
              sluice dev --data /tmp/events --api-port 9000 --nats-port 4222
            """
    )

    @Option(help: ArgumentHelp("Where events are kept.", valueName: "directory"), completion: .directory)
    var data = ".sluice/data"

    @Option(help: ArgumentHelp("The port of nats-server; 0 takes a free one.", valueName: "port"))
    var natsPort = 0

    @Option(help: ArgumentHelp("The nats-server program, a path or a name in PATH.", valueName: "program"))
    var natsServer = "nats-server"

    @OptionGroup(title: "Settings") var settings: ConfigurationOptions

    /// What differs from `serve`: nothing is reachable from outside, and sinks on this machine are welcome.
    static let defaults = [
        "API_HOST": "127.0.0.1", "SINK_ALLOW_NETWORKS": "127.0.0.0/8,::1/128", "SINK_ALLOW_HTTP": "true",
        "SINK_HANDSHAKE": "off",
    ]

    func validate() throws {
        guard (0...65535).contains(natsPort) else {
            throw ValidationError("--nats-port: '\(natsPort)' is not a port (0 to 65535)")
        }
        guard settings.natsURL == nil else {
            throw ValidationError("--nats-url is for 'sluice serve'; 'sluice dev' starts a nats-server of its own")
        }
    }

    func run() async throws {
        try await reportingFailures {
            var sources = settings.sources(defaults: Self.defaults)
            sources.environment["NATS_URL"] = nil
            var configuration = try sources.resolve().configuration
            if configuration.gateway.port == 0 {
                configuration.gateway.port = try LocalPort.free()
            } else {
                try LocalPort.checkFree(
                    configuration.gateway.port,
                    host: configuration.gateway.host,
                    flag: "--api-port"
                )
            }
            let directory = FileContent.absolute(data)
            let server = try await DevServer.start(binary: natsServer, port: natsPort, directory: directory)
            configuration.gateway.natsServers = [server.url]
            do {
                let log = try ProcessLog.start(configuration)
                let banner = DevBanner(server: server, directory: directory, configuration: configuration, log: log)
                try await GatewayRun(
                    configuration: configuration,
                    log: log,
                    before: [DevServerService(server: server)],
                    after: [banner],
                    grace: .zero
                ).run()
            } catch {
                await server.stop()
                throw error
            }
            await server.stop()
        }
    }
}

/// Waits until the gateway is ready and says how to use it.
struct DevBanner: Service, CustomStringConvertible {
    let server: DevServer
    let directory: String
    let configuration: Configuration
    let log: ProcessLog

    var description: String { "banner" }

    /// An address that reaches the listener from this machine.
    private var url: String {
        let host = configuration.gateway.host
        let reachable = host == "0.0.0.0" || host == "::" ? "127.0.0.1" : host
        return "http://\(reachable.contains(":") ? "[\(reachable)]" : reachable):\(configuration.gateway.port)"
    }

    func run() async throws {
        try await cancelWhenGracefulShutdown {
            let isReady = try await waitUntilReady()
            // What led to it comes first.
            log.flush()
            Console.out(text(isReady: isReady))
        }
    }

    private func waitUntilReady() async throws -> Bool {
        guard let address = try? GatewayAddress(url: url) else { return false }
        var session = HTTPSession(address: address, timeoutSeconds: 2)
        defer { session.close() }
        let deadline = ContinuousClock.now + .seconds(30)
        while ContinuousClock.now < deadline {
            if let answer = try? await session.send(HTTPCall(path: "/health/ready")), answer.status == 200 {
                return true
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        return false
    }

    func text(isReady: Bool) -> String {
        """

        Sluice \(ToolVersion.text) \(isReady ? "is ready" : "is running, but not ready yet: see \(url)/health").

          HTTP   \(url)
          NATS   \(server.url)  (nats-server \(SafeText.escaped(server.version)), pid \(server.child.pid))
          data   \(SafeText.escaped(directory))
          log    \(SafeText.escaped(server.logPath))

        Publish an event:

          curl -i \(url)/v1/events \\
            -H 'Content-Type: application/json' \\
            -H 'ce-specversion: 1.0' -H 'ce-type: com.example.hello' \\
            -H 'ce-source: /demo' -H "ce-id: $(date +%s%N)" \\
            -d '{"hello": "world"}'

        Stop with Ctrl-C.
        """
    }
}
