import ArgumentParser
import ServiceLifecycle
import SluiceGateway

/// `sluice dev`: everything a first event needs, on this machine.
struct DevCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dev",
        abstract: "Run the gateway together with a nats-server and a redis-server of its own.",
        discussion: """
            Starts nats-server with JetStream and redis-server as children on 127.0.0.1, waits until they answer, and \
            runs the gateway in this process. Ctrl-C stops all; the children never outlive this process. Events and \
            counters are kept in the data directory. --redis-url off does without Redis.

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

    @Option(help: ArgumentHelp("The port of redis-server; 0 takes a free one.", valueName: "port"))
    var redisPort = 0

    @Option(help: ArgumentHelp("The redis-server program, a path or a name in PATH.", valueName: "program"))
    var redisServer = "redis-server"

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
        guard (0...65535).contains(redisPort) else {
            throw ValidationError("--redis-port: '\(redisPort)' is not a port (0 to 65535)")
        }
        guard settings.natsURL == nil else {
            throw ValidationError("--nats-url is for 'sluice serve'; 'sluice dev' starts a nats-server of its own")
        }
    }

    func run() async throws {
        try await reportingFailures {
            var configuration = try sources().resolve().configuration
            if configuration.gateway.port == 0 {
                configuration.gateway.port = try LocalPort.free()
            } else {
                try LocalPort.checkFree(
                    configuration.gateway.port,
                    host: configuration.gateway.host,
                    flag: "--api-port"
                )
            }
            let servers = try await startServers()
            configuration.gateway.natsServers = [servers.nats.url]
            if settings.redisURL == nil { configuration.gateway.redisURL = servers.redis?.url }
            do {
                let log = try ProcessLog.start(configuration)
                let banner = DevBanner(servers: servers, configuration: configuration, log: log)
                try await GatewayRun(
                    configuration: configuration,
                    log: log,
                    before: servers.services,
                    after: [banner],
                    grace: .zero
                ).run()
            } catch {
                await servers.stop()
                throw error
            }
            await servers.stop()
        }
    }

    /// The settings: where the servers are is not asked of an environment that was made for another gateway.
    private func sources() -> ConfigurationSources {
        var sources = settings.sources(defaults: Self.defaults)
        sources.environment["NATS_URL"] = nil
        sources.environment["REDIS_URL"] = nil
        return sources
    }

    private func startServers() async throws -> DevServers {
        let directory = FileContent.absolute(data)
        let lock = try DataLock(directory: directory)
        defer { lock.release() }
        let nats = try await DevServer.start(
            binary: natsServer,
            port: natsPort,
            directory: directory,
            lock: lock.descriptor
        )
        guard settings.redisURL == nil else { return DevServers(directory: directory, nats: nats, redis: nil) }
        do {
            let redis = try await DevRedis.start(
                program: try DevProgram.locate(redisServer, package: "redis-server", flag: "--redis-server"),
                port: redisPort,
                directory: directory,
                lock: lock.descriptor
            )
            return DevServers(directory: directory, nats: nats, redis: redis)
        } catch {
            await nats.stop()
            throw error
        }
    }
}

/// The servers that `sluice dev` started.
struct DevServers: Sendable {
    let directory: String
    let nats: DevServer
    /// `nil` if `--redis-url` named another one, or none.
    let redis: DevRedis?

    /// What runs them beside the gateway.
    var services: [any Service] {
        var services = [DevChildService(name: "nats-server", child: nats.child, logPath: nats.logPath)]
        if let redis {
            services.append(DevChildService(name: "redis-server", child: redis.child, logPath: redis.logPath))
        }
        return services
    }

    /// Stops them and waits until they are gone.
    func stop() async {
        await nats.stop()
        await redis?.stop()
    }
}

/// Waits until the gateway is ready and says how to use it.
struct DevBanner: Service, CustomStringConvertible {
    let servers: DevServers
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

    private var redisText: String {
        guard let redis = servers.redis else {
            return configuration.gateway.redisURL.map { SafeText.escaped(SafeText.maskingCredentials($0)) } ?? "off"
        }
        return "\(redis.url)  (redis-server \(SafeText.escaped(redis.version)), pid \(redis.child.pid))"
    }

    func text(isReady: Bool) -> String {
        """

        Sluice \(ToolVersion.text) \(isReady ? "is ready" : "is running, but not ready yet: see \(url)/health").

          HTTP   \(url)
          NATS   \(servers.nats.url)  (nats-server \(SafeText.escaped(servers.nats.version)), pid \(servers.nats.child.pid))
          Redis  \(redisText)
          data   \(SafeText.escaped(servers.directory))
          log    \(SafeText.escaped(servers.nats.logPath))

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
