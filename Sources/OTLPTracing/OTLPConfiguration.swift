/// Where spans go, which are recorded, and how much may wait.
public struct OTLPConfiguration: Sendable {
    /// Where the collector takes traces.
    public var endpoint: CollectorEndpoint
    /// Header fields of every request; their values may be secrets.
    public var headers: [(name: String, value: String)] = []
    /// The attributes of the program that reports, `service.name` among them.
    public var resource: [String: String] = [:]
    /// The name and version under which the spans are reported (instrumentation scope).
    public var scope: (name: String, version: String?) = ("sluice", nil)
    /// Which traces are recorded.
    public var sampler = OTLPSampler.standard
    /// Time for one request, from connecting to the whole answer.
    public var timeout = Duration.seconds(10)
    /// Time between exports when there is less than a whole batch.
    public var delay = Duration.seconds(1)
    /// Most spans that wait; further ones are dropped.
    public var queueMax = 2048
    /// Most spans of one request.
    public var batchMax = 512
    /// The first pause before a failed request is repeated; doubled each time, with jitter.
    public var retryDelay = Duration.milliseconds(500)
    /// The longest pause before a request is repeated, unless the collector asks for a longer one.
    public var retryDelayMax = Duration.seconds(30)
    /// How long a batch is repeated before it is dropped; also the longest pause that the collector can ask for.
    public var retryBudget = Duration.seconds(120)
    /// Time for exporting what is left when ``OTLPTracer/run()`` is cancelled.
    public var shutdownTimeout = Duration.seconds(5)

    /// The name of the service unless one is given.
    public static let defaultServiceName = "sluice"

    /// A configuration with defaults for all but the endpoint.
    public init(endpoint: CollectorEndpoint, serviceName: String = OTLPConfiguration.defaultServiceName) {
        self.endpoint = endpoint
        resource["service.name"] = serviceName
    }

    /// Reads the values of OpenTelemetry's variables, given by name; those of other names are ignored.
    ///
    /// An empty value counts as none, as OpenTelemetry's configuration specification has it. Values that are wrong are never
    /// replaced by defaults.
    ///
    /// - Throws: Everything that is wrong with them, at once.
    public init(values: [String: String]) throws(OTLPConfigurationError) {
        var reader = OTLPValueReader(values: values)
        let endpoint = reader.endpoint()
        let serviceName = reader.text(.serviceName)
        headers = reader.headers()
        resource = reader.resourceAttributes()
        sampler = reader.sampler()
        timeout = reader.milliseconds(.tracesTimeout) ?? reader.milliseconds(.timeout) ?? timeout
        delay = reader.milliseconds(.scheduleDelay) ?? delay
        queueMax = reader.count(.queueSize, 1...1_000_000) ?? queueMax
        batchMax = reader.count(.batchSize, 1...10_000) ?? min(batchMax, queueMax)
        if batchMax > queueMax {
            reader.note(.batchSize, "must not be above \(OTLPVariable.queueSize.rawValue), which is \(queueMax)")
        }
        reader.checkProtocolAndCompression()
        guard let endpoint, reader.problems.isEmpty else { throw OTLPConfigurationError(problems: reader.problems) }
        self.endpoint = endpoint
        resource["service.name"] = serviceName ?? resource["service.name"] ?? Self.defaultServiceName
    }
}

/// What is wrong with the values of OpenTelemetry's variables.
public struct OTLPConfigurationError: Error, Sendable, Equatable, CustomStringConvertible {
    /// One value that cannot be used.
    public struct Problem: Sendable, Equatable {
        /// The variable's name.
        public let variable: String
        /// Why, such as `must be a number from 0 to 1`; never holds a header's value.
        public let reason: String
    }

    /// At least one.
    public let problems: [Problem]

    /// One line for each problem.
    public var description: String { problems.map { "\($0.variable) \($0.reason)" }.joined(separator: "\n") }
}

/// OpenTelemetry's variables that ``OTLPConfiguration`` reads.
public enum OTLPVariable: String, Sendable, CaseIterable {
    case endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"
    case tracesEndpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
    case headers = "OTEL_EXPORTER_OTLP_HEADERS"
    case tracesHeaders = "OTEL_EXPORTER_OTLP_TRACES_HEADERS"
    case timeout = "OTEL_EXPORTER_OTLP_TIMEOUT"
    case tracesTimeout = "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"
    case transport = "OTEL_EXPORTER_OTLP_PROTOCOL"
    case tracesTransport = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
    case compression = "OTEL_EXPORTER_OTLP_COMPRESSION"
    case tracesCompression = "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION"
    case serviceName = "OTEL_SERVICE_NAME"
    case resourceAttributes = "OTEL_RESOURCE_ATTRIBUTES"
    case sampler = "OTEL_TRACES_SAMPLER"
    case samplerArgument = "OTEL_TRACES_SAMPLER_ARG"
    case scheduleDelay = "OTEL_BSP_SCHEDULE_DELAY"
    case queueSize = "OTEL_BSP_MAX_QUEUE_SIZE"
    case batchSize = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"
}
