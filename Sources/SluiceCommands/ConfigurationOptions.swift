import ArgumentParser

/// The flags of all settings, derived from the table of settings: `serve`, `dev` and `check-config` share them.
struct ConfigurationOptions: ParsableArguments {
    @Option(
        name: .customLong("config"),
        help: ArgumentHelp("A configuration file: one JSON object (environment: SLUICE_CONFIG).", valueName: "file"),
        completion: .file()
    )
    var configFile: String?

    @Option(setting: "NATS_URL") var natsURL: String?
    @Option(setting: "NATS_CLUSTER_ID") var natsClusterID: String?
    @Option(setting: "API_HOST") var apiHost: String?
    @Option(setting: "API_PORT") var apiPort: String?
    @Option(setting: "HTTP_THREADS") var httpThreads: String?
    @Option(setting: "MAX_CONNECTIONS") var maxConnections: String?
    @Option(setting: "MAX_CONNECTIONS_PER_ADDRESS") var maxConnectionsPerAddress: String?
    @Option(setting: "HEADER_TIMEOUT") var headerTimeout: String?
    @Option(setting: "IDLE_TIMEOUT") var idleTimeout: String?
    @Option(setting: "NATS_MONITOR_URL") var natsMonitorURL: String?
    @Option(setting: "DURABILITY") var durability: String?
    @Option(setting: "DRAIN_GRACE") var drainGrace: String?
    @Option(setting: "DRAIN_TIMEOUT") var drainTimeout: String?
    @Option(setting: "STREAM_NAME") var streamName: String?
    @Option(setting: "DEAD_LETTER_STREAM") var deadLetterStream: String?
    @Option(setting: "SUBJECT_PREFIX") var subjectPrefix: String?
    @Option(setting: "MAX_MSGS") var maxMessages: String?
    @Option(setting: "MAX_BYTES") var maxBytes: String?
    @Option(setting: "MAX_AGE") var maxAge: String?
    @Option(setting: "STREAM_DISCARD") var streamDiscard: String?
    @Option(setting: "STREAM_REPLICAS") var streamReplicas: String?
    @Option(setting: "DUPLICATE_WINDOW") var duplicateWindow: String?
    @Flag(setting: "UPDATE_STREAMS") var updateStreams: Bool?
    @Option(setting: "MAX_EVENT_BYTES") var maxEventBytes: String?
    @Option(setting: "MAX_BODY_BYTES") var maxBodyBytes: String?
    @Option(setting: "MAX_BATCH_EVENTS") var maxBatchEvents: String?
    @Option(setting: "PUBLISH_TIMEOUT") var publishTimeout: String?
    @Option(setting: "MAX_IN_FLIGHT") var maxInFlight: String?
    @Option(setting: "LOG_LEVEL") var logLevel: String?
    @Option(setting: "LOG_FORMAT") var logFormat: String?
    @Option(setting: "REDIS_URL") var redisURL: String?
    @Flag(setting: "METRICS") var metrics: Bool?
    @Flag(setting: "AUDIT") var audit: Bool?
    @Option(setting: "OTEL_EXPORTER_OTLP_ENDPOINT") var otlpEndpoint: String?
    @Option(setting: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") var otlpTracesEndpoint: String?
    @Option(setting: "OTEL_EXPORTER_OTLP_HEADERS") var otlpHeaders: String?
    @Option(setting: "OTEL_EXPORTER_OTLP_PROTOCOL") var otlpProtocol: String?
    @Option(setting: "OTEL_EXPORTER_OTLP_TIMEOUT") var otlpTimeout: String?
    @Option(setting: "OTEL_SERVICE_NAME") var otelServiceName: String?
    @Option(setting: "OTEL_RESOURCE_ATTRIBUTES") var otelResourceAttributes: String?
    @Option(setting: "OTEL_TRACES_SAMPLER") var otelTracesSampler: String?
    @Option(setting: "OTEL_TRACES_SAMPLER_ARG") var otelTracesSamplerArgument: String?
    @Option(setting: "DEAD_LETTER_MAX_BYTES") var deadLetterMaxBytes: String?
    @Option(setting: "DEAD_LETTER_MAX_AGE") var deadLetterMaxAge: String?
    @Option(setting: "MAX_DELIVER_ATTEMPTS") var maxDeliverAttempts: String?
    @Option(setting: "SINK_ALLOW_NETWORKS") var sinkAllowNetworks: String?
    @Flag(setting: "SINK_ALLOW_HTTP") var sinkAllowHTTP: Bool?
    @Option(setting: "SINK_HANDSHAKE") var sinkHandshake: String?
    @Option(setting: "SINK_ORIGIN") var sinkOrigin: String?
    @Option(setting: "SINK_TIMEOUT") var sinkTimeout: String?
    @Option(setting: "SINK_CA_FILE") var sinkCAFile: String?
    @Option(setting: "PUBLIC_URL") var publicURL: String?
    @Option(setting: "MAX_SUBSCRIPTIONS") var maxSubscriptions: String?
    /// The values that were given, by environment name.
    var given: [String: String] {
        let texts: [(name: String, value: String?)] = [
            ("NATS_URL", natsURL), ("NATS_CLUSTER_ID", natsClusterID), ("API_HOST", apiHost), ("API_PORT", apiPort),
            ("HTTP_THREADS", httpThreads), ("MAX_CONNECTIONS", maxConnections),
            ("MAX_CONNECTIONS_PER_ADDRESS", maxConnectionsPerAddress), ("HEADER_TIMEOUT", headerTimeout),
            ("IDLE_TIMEOUT", idleTimeout),
            ("NATS_MONITOR_URL", natsMonitorURL), ("DURABILITY", durability), ("DRAIN_GRACE", drainGrace),
            ("DRAIN_TIMEOUT", drainTimeout), ("STREAM_NAME", streamName), ("DEAD_LETTER_STREAM", deadLetterStream),
            ("SUBJECT_PREFIX", subjectPrefix), ("MAX_MSGS", maxMessages), ("MAX_BYTES", maxBytes), ("MAX_AGE", maxAge),
            ("STREAM_DISCARD", streamDiscard), ("STREAM_REPLICAS", streamReplicas),
            ("DUPLICATE_WINDOW", duplicateWindow), ("UPDATE_STREAMS", updateStreams.map(String.init)),
            ("MAX_EVENT_BYTES", maxEventBytes), ("MAX_BODY_BYTES", maxBodyBytes),
            ("MAX_BATCH_EVENTS", maxBatchEvents), ("PUBLISH_TIMEOUT", publishTimeout), ("MAX_IN_FLIGHT", maxInFlight),
            ("LOG_LEVEL", logLevel), ("LOG_FORMAT", logFormat), ("REDIS_URL", redisURL),
            ("METRICS", metrics.map(String.init)),
            ("AUDIT", audit.map(String.init)),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", otlpEndpoint),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", otlpTracesEndpoint),
            ("OTEL_EXPORTER_OTLP_HEADERS", otlpHeaders),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", otlpProtocol),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", otlpTimeout),
            ("OTEL_SERVICE_NAME", otelServiceName),
            ("OTEL_RESOURCE_ATTRIBUTES", otelResourceAttributes),
            ("OTEL_TRACES_SAMPLER", otelTracesSampler),
            ("OTEL_TRACES_SAMPLER_ARG", otelTracesSamplerArgument),
            ("DEAD_LETTER_MAX_BYTES", deadLetterMaxBytes), ("DEAD_LETTER_MAX_AGE", deadLetterMaxAge),
            ("MAX_DELIVER_ATTEMPTS", maxDeliverAttempts), ("SINK_ALLOW_NETWORKS", sinkAllowNetworks),
            ("SINK_ALLOW_HTTP", sinkAllowHTTP.map(String.init)), ("SINK_HANDSHAKE", sinkHandshake),
            ("SINK_ORIGIN", sinkOrigin), ("SINK_TIMEOUT", sinkTimeout), ("SINK_CA_FILE", sinkCAFile),
            ("PUBLIC_URL", publicURL), ("MAX_SUBSCRIPTIONS", maxSubscriptions),
        ]
        var given: [String: String] = [:]
        for (name, value) in texts { given[name] = value }
        return given
    }

    /// Resolves the configuration from these flags, the process's environment and the file that either names.
    func sources(defaults: [String: String] = [:]) -> ConfigurationSources {
        var sources = ConfigurationSources()
        sources.flags = given
        sources.environment = ProcessEnvironment.values(Setting.all.map(\.name))
        sources.defaults = defaults
        if let path = configFile ?? ProcessEnvironment.value("SLUICE_CONFIG") {
            sources.file = ConfigurationFile(path: path, content: FileContent.read(path, limit: 1 << 20))
        }
        return sources
    }
}

extension Option where Value == String? {
    /// An option whose names and help come from the table; its value may begin with a dash (`--max-bytes -1`).
    fileprivate init(setting name: String) {
        self.init(name: .setting(name), parsing: .unconditional, help: .setting(name))
    }
}

extension Flag where Value == Bool? {
    fileprivate init(setting name: String) {
        self.init(name: .setting(name), inversion: .prefixedNo, help: .setting(name))
    }
}

extension NameSpecification {
    fileprivate static func setting(_ name: String) -> NameSpecification {
        .customLong(Setting.named(name)?.flag ?? name)
    }
}

extension ArgumentHelp {
    fileprivate static func setting(_ name: String) -> ArgumentHelp {
        guard let setting = Setting.named(name) else { return "" }
        var text = setting.help.prefix(1).uppercased() + setting.help.dropFirst()
        if !setting.fallback.isEmpty { text += " (default: \(setting.fallback))" }
        return ArgumentHelp(stringLiteral: text).named(setting.placeholder)
    }

    private func named(_ valueName: String) -> ArgumentHelp {
        var help = self
        help.valueName = valueName
        return help
    }
}
