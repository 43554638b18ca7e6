import Logging
import SluiceGateway

extension Setting {
    /// Every setting there is: the one table behind flags, environment, file, help and `check-config`.
    package static let all: [Setting] = connection + listener + streams + limits + observability + tracing + delivery

    private static let connection: [Setting] = [
        Setting("NATS_URL", "url,…", default: "nats://localhost:4222", "NATS servers, one URL or several") {
            text,
            target throws(SettingFault) in target.gateway.natsServers = try SettingText.natsServers(text)
        },
        Setting("REDIS_URL", "url|off", default: "redis://localhost:6379", "where the counters live; off: nowhere") {
            text,
            target throws(SettingFault) in target.gateway.redisURL = try SettingText.redisURL(text)
        },
        Setting("NATS_CLUSTER_ID", "name", default: "", "a name shown in the NATS connection's name and in /health") {
            text,
            target throws(SettingFault) in target.gateway.natsClusterID = try SettingText.label(text)
        },
        Setting("NATS_MONITOR_URL", "url,…", default: "", "monitoring of every nats-server, to prove durability") {
            text,
            target throws(SettingFault) in target.gateway.natsMonitors = try SettingText.monitors(text)
        },
        Setting("DURABILITY", "auto|process|fsync", default: "auto", "what /health claims; auto: what is proved") {
            text,
            target throws(SettingFault) in target.gateway.durability = try SettingText.choice(text)
        },
    ]

    private static let listener: [Setting] = [
        Setting("API_HOST", "host", default: "0.0.0.0", "the address the HTTP listener binds") {
            text,
            target throws(SettingFault) in target.gateway.host = try SettingText.host(text)
        },
        Setting("API_PORT", "port", default: "8080", "the port the HTTP listener binds; 0 takes a free one") {
            text,
            target throws(SettingFault) in
            target.gateway.port = Int(try SettingText.integer(text, 0...65535, "a port (0 to 65535)"))
        },
        Setting("HTTP_THREADS", "count", default: "auto", "event loops for HTTP; auto: half of the processors") {
            text,
            target throws(SettingFault) in
            target.gateway.httpThreads = try SettingText.automatic(text) { text throws(SettingFault) in
                Int(try SettingText.integer(text, 1...1024, "a whole number from 1 to 1024, or auto"))
            }
        },
        Setting("MAX_CONNECTIONS", "count", default: "20000", "most open HTTP connections") {
            text,
            target throws(SettingFault) in
            target.gateway.maxConnections = Int(try SettingText.count(text, 1...1_000_000))
        },
        Setting(
            "MAX_CONNECTIONS_PER_ADDRESS",
            "count",
            default: "0",
            "most open HTTP connections of one client address (of one /64 in IPv6); 0: no limit of its own"
        ) {
            text,
            target throws(SettingFault) in
            target.gateway.maxConnectionsPerAddress = Int(try SettingText.count(text, 0...1_000_000))
        },
        Setting("HEADER_TIMEOUT", "seconds", default: "10", "how long a request's header may take to arrive") {
            text,
            target throws(SettingFault) in
            target.gateway.headerTimeoutSeconds = try SettingText.seconds(text, 0.1...3600)
        },
        Setting("IDLE_TIMEOUT", "seconds", default: "60", "how long an idle HTTP connection is kept") {
            text,
            target throws(SettingFault) in
            target.gateway.idleTimeoutSeconds = try SettingText.seconds(text, 0.1...86_400)
        },
        Setting("DRAIN_GRACE", "seconds", default: "5", "how long a gateway serves on after SIGTERM, not ready") {
            text,
            target throws(SettingFault) in
            target.gateway.drainGraceSeconds = try SettingText.seconds(text, 0...3600)
        },
        Setting("DRAIN_TIMEOUT", "seconds", default: "10", "how long a stopping gateway waits for requests under way") {
            text,
            target throws(SettingFault) in
            target.gateway.drainTimeoutSeconds = try SettingText.seconds(text, 0...3600)
        },
    ]

    private static let streams: [Setting] = [
        Setting("STREAM_NAME", "name", default: "SLUICE_EVENTS", "the stream that holds the events") {
            text,
            target throws(SettingFault) in target.gateway.streamName = try SettingText.streamName(text)
        },
        Setting("DEAD_LETTER_STREAM", "name", default: "SLUICE_DEAD_LETTERS", "the stream that holds dead letters") {
            text,
            target throws(SettingFault) in target.gateway.deadLetterStream = try SettingText.streamName(text)
        },
        Setting("SUBJECT_PREFIX", "prefix", default: "ce", "the first tokens of every event's subject") {
            text,
            target throws(SettingFault) in target.gateway.subjectPrefix = try SettingText.subjectPrefix(text)
        },
        Setting("MAX_MSGS", "count", default: "-1", "most events in the stream; -1: no limit") {
            text,
            target throws(SettingFault) in target.gateway.maxMessages = try SettingText.limit(text)
        },
        Setting("MAX_BYTES", "bytes", default: "-1", "most bytes in the stream; -1: only JetStream's own limit") {
            text,
            target throws(SettingFault) in target.gateway.maxBytes = try SettingText.byteLimit(text)
        },
        Setting("MAX_AGE", "seconds", default: "604800", "how long an event is kept; 0: for ever") {
            text,
            target throws(SettingFault) in
            target.gateway.maxAgeSeconds = try SettingText.wholeSeconds(text, 0...SettingText.secondsMax)
        },
        Setting("DEAD_LETTER_MAX_BYTES", "bytes", default: "-1", "most bytes of dead letters; -1: JetStream's limit") {
            text,
            target throws(SettingFault) in
            target.gateway.deadLetterMaxBytes = try SettingText.byteLimit(text)
        },
        Setting("DEAD_LETTER_MAX_AGE", "seconds", default: "0", "how long a dead letter is kept; 0: for ever") {
            text,
            target throws(SettingFault) in
            target.gateway.deadLetterMaxAgeSeconds = try SettingText.wholeSeconds(text, 0...SettingText.secondsMax)
        },
        Setting("STREAM_DISCARD", "new|old", default: "new", "a full stream refuses new events, or drops the oldest") {
            text,
            target throws(SettingFault) in target.gateway.discard = try SettingText.choice(text)
        },
        Setting("STREAM_REPLICAS", "count", default: "1", "copies of the stream in a cluster: 1, 3 or 5") {
            text,
            target throws(SettingFault) in target.gateway.replicas = try SettingText.replicas(text)
        },
        Setting("DUPLICATE_WINDOW", "seconds", default: "120", "how long an event's identity is remembered") {
            text,
            target throws(SettingFault) in
            target.gateway.duplicateWindowSeconds = try SettingText.wholeSeconds(text, 1...SettingText.secondsMax)
        },
        Setting(
            "UPDATE_STREAMS",
            "true|false",
            default: "false",
            "change a stream that exists with other settings instead of refusing to start on it"
        ) { text, target throws(SettingFault) in target.gateway.updateStreams = try SettingText.boolean(text) },
    ]

    private static let limits: [Setting] = [
        Setting(
            "MAX_EVENT_BYTES",
            "bytes",
            default: "auto",
            "most bytes of one stored event; auto: the server's max_payload less 8 KiB"
        ) { text, target throws(SettingFault) in
            target.gateway.maxEventBytes = try SettingText.automatic(text) { text throws(SettingFault) in
                Int(try SettingText.bytes(text, 1024...67_108_864))
            }
        },
        Setting("MAX_BODY_BYTES", "bytes", default: "16777216", "most bytes of a request body") {
            text,
            target throws(SettingFault) in
            target.gateway.maxBodyBytes = Int(try SettingText.bytes(text, 1024...2_147_483_647))
        },
        Setting("MAX_BATCH_EVENTS", "count", default: "1000", "most events in a batch") {
            text,
            target throws(SettingFault) in
            target.gateway.maxBatchEvents = Int(try SettingText.count(text, 1...100_000))
        },
        Setting("PUBLISH_TIMEOUT", "seconds", default: "5", "how long a publish may wait for its PubAck") {
            text,
            target throws(SettingFault) in
            target.gateway.publishTimeoutSeconds = try SettingText.seconds(text, 0.05...600)
        },
        Setting("MAX_IN_FLIGHT", "count", default: "4096", "most messages that wait for a PubAck at a time") {
            text,
            target throws(SettingFault) in
            target.gateway.maxInFlight = Int(try SettingText.count(text, 1...65_536))
        },
    ]

    private static let observability: [Setting] = [
        Setting("LOG_LEVEL", "level", default: "info", "trace, debug, info, notice, warning, error or critical") {
            text,
            target throws(SettingFault) in target.logLevel = try SettingText.logLevel(text)
        },
        Setting("LOG_FORMAT", "text|json", default: "auto", "auto: text on a terminal, json elsewhere") {
            text,
            target throws(SettingFault) in
            target.logFormat = try SettingText.automatic(text) { text throws(SettingFault) in
                try SettingText.choice(text)
            }
        },
        Setting("METRICS", "true|false", default: "true", "count for /metrics; false: the page does not exist") {
            text,
            target throws(SettingFault) in target.gateway.metrics = try SettingText.boolean(text)
        },
        Setting("AUDIT", "true|false", default: "true", "record what was acknowledged, for sluice verify") {
            text,
            target throws(SettingFault) in target.gateway.audit = try SettingText.boolean(text)
        },
    ]

    /// OpenTelemetry's own names and meanings; their values are checked together, when all of them are known.
    private static let tracing: [Setting] = [
        Setting(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "url",
            default: "",
            "the trace collector (OTLP over HTTP); none: nothing is traced",
            apply: openTelemetry("OTEL_EXPORTER_OTLP_ENDPOINT")
        ),
        Setting(
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "url",
            default: "",
            "the same, with the path for traces",
            apply: openTelemetry("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
        ),
        Setting(
            "OTEL_EXPORTER_OTLP_HEADERS",
            "name=value,…",
            default: "",
            "header fields for the collector",
            isSecret: true,
            apply: openTelemetry("OTEL_EXPORTER_OTLP_HEADERS")
        ),
        Setting(
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "name",
            default: "",
            "http/protobuf is the only one",
            apply: openTelemetry("OTEL_EXPORTER_OTLP_PROTOCOL")
        ),
        Setting(
            "OTEL_EXPORTER_OTLP_TIMEOUT",
            "milliseconds",
            default: "",
            "how long an export may take",
            apply: openTelemetry("OTEL_EXPORTER_OTLP_TIMEOUT")
        ),
        Setting(
            "OTEL_SERVICE_NAME",
            "name",
            default: "",
            "the service's name in traces (sluice)",
            apply: openTelemetry("OTEL_SERVICE_NAME")
        ),
        Setting(
            "OTEL_RESOURCE_ATTRIBUTES",
            "name=value,…",
            default: "",
            "what is told of this process in traces",
            apply: openTelemetry("OTEL_RESOURCE_ATTRIBUTES")
        ),
        Setting(
            "OTEL_TRACES_SAMPLER",
            "name",
            default: "",
            "which traces are recorded (parentbased_always_on)",
            apply: openTelemetry("OTEL_TRACES_SAMPLER")
        ),
        Setting(
            "OTEL_TRACES_SAMPLER_ARG",
            "ratio",
            default: "",
            "the share of a ratio sampler",
            apply: openTelemetry("OTEL_TRACES_SAMPLER_ARG")
        ),
    ]

    private static func openTelemetry(
        _ name: String
    ) -> @Sendable (String, inout Configuration) throws(SettingFault) -> Void {
        { text, target throws(SettingFault) in target.gateway.tracing[name] = text }
    }
}
