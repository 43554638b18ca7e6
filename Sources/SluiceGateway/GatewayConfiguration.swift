package import EventBus
import Glibc
import JetStream
import NIOCore
import OTLPTracing

/// Every setting of a gateway, as plain values: read once at the edge, never from the environment below it.
///
/// The command line builds it from flags, environment, file and defaults (in this order of precedence). Units are in
/// the names; a value that makes no sense is refused where it is read, not here.
public struct GatewayConfiguration: Sendable {
    /// One or several NATS server URLs (`nats://user:password@host:port`); tried in turn.
    public var natsServers: [String] = ["nats://localhost:4222"]
    /// A name shown in the NATS connection's name and in `/health`.
    public var natsClusterID: String?
    /// The monitoring of every nats-server, as evidence of durability.
    public var natsMonitors: [MonitorAddress] = []
    /// What is claimed of the durability of acknowledged events.
    public var durability: DurabilityClaim = .auto

    /// Where the counters of tenants live (`redis://…`); `nil` runs without.
    public var redisURL: String? = "redis://localhost:6379"
    /// Whether `/metrics` exists.
    public var metrics: Bool = true
    /// Whether acknowledged events are recorded in the audit stream, for `sluice verify`.
    public var audit: Bool = true

    /// OpenTelemetry's own variables by name; without an endpoint among them nothing is traced.
    public var tracing: [String: String] = [:]

    /// The address the HTTP listener binds.
    public var host: String = "0.0.0.0"
    /// The port the HTTP listener binds; 0 takes a free one, which the log names.
    public var port: Int = 8080
    /// Event loops for HTTP; `nil` is half of the processors, at least one: the other half belongs to NATS.
    public var httpThreads: Int?

    /// The stream that holds the events.
    public var streamName: String = "SLUICE_EVENTS"
    /// The stream that holds the dead letters.
    public var deadLetterStream: String = "SLUICE_DEAD_LETTERS"
    /// Most bytes of dead letters, −1 for no limit but the server's own.
    public var deadLetterMaxBytes: Int64 = -1
    /// How long a dead letter is kept, in seconds; 0 keeps it for ever.
    public var deadLetterMaxAgeSeconds: Int64 = 0
    /// The first tokens of every event's subject.
    public var subjectPrefix: String = "ce"
    /// Most messages in the event stream, −1 for no limit.
    public var maxMessages: Int64 = -1
    /// Most bytes in the event stream, −1 for no limit but the server's own.
    public var maxBytes: Int64 = -1
    /// How long an event is kept, in seconds; 0 keeps it for ever.
    public var maxAgeSeconds: Int64 = 604_800
    /// What a full stream does.
    public var discard: DiscardPolicy = .new
    /// Copies of the stream in a cluster: 1, 3 or 5.
    public var replicas: Int = 1
    /// How long JetStream remembers a message id, in seconds.
    public var duplicateWindowSeconds: Int64 = 120
    /// Change a stream that exists with other settings, instead of reporting the difference.
    public var updateStreams: Bool = false

    /// Most bytes of one stored event (the NATS payload after encoding); `nil` is the server's `max_payload` less 8 KiB.
    public var maxEventBytes: Int?
    /// Most bytes of a request body.
    public var maxBodyBytes: Int = 16 * 1024 * 1024
    /// Most events in a batch.
    public var maxBatchEvents: Int = 1000
    /// How long a publish may wait for its PubAck, in seconds.
    public var publishTimeoutSeconds: Double = 5
    /// Most messages that wait for a PubAck at a time, in this process.
    public var maxInFlight: Int = 4096
    /// Most open HTTP connections.
    public var maxConnections: Int = 20_000
    /// Most open HTTP connections of one client address, 0 for no limit of its own: behind a proxy or an address
    /// translator all clients have one.
    public var maxConnectionsPerAddress: Int = 0
    /// How long the head of an HTTP request may take to arrive, in seconds from its first byte.
    public var headerTimeoutSeconds: Double = 10
    /// How long an idle HTTP connection is kept, in seconds.
    public var idleTimeoutSeconds: Double = 60
    /// How long a gateway that was told to stop goes on accepting requests, in seconds, for load balancers to turn away.
    public var drainGraceSeconds: Double = 5
    /// How long a stopping gateway waits for requests under way, in seconds.
    public var drainTimeoutSeconds: Double = 10

    /// Delivery attempts of a subscription that does not say how many.
    public var maxDeliverAttempts: Int = 5
    /// Private networks that sinks may live in, as CIDR; every other private address is refused (S-05).
    public var sinkNetworks: [String] = []
    /// Whether sinks may be reached without TLS.
    public var sinkAllowsHTTP: Bool = false
    /// Whether a sink has to consent before it is sent events (CloudEvents webhook handshake).
    public var sinkHandshake: SinkHandshake = .required
    /// The DNS name that sinks are asked to consent to; `nil` is the host's name.
    public var sinkOrigin: String?
    /// How long a sink may take to answer, in seconds.
    public var sinkTimeoutSeconds: Double = 30
    /// A PEM file of roots that sinks' certificates are trusted by beside the system's.
    public var sinkCAFile: String?
    /// Where sinks reach this gateway, for consent by callback; `nil` offers none.
    public var publicURL: String?
    /// Most subscriptions of a tenant.
    public var maxSubscriptions: Int = 1000

    /// The version that `/health` and `--version` tell.
    public static let version = "0.1.0"

    /// A configuration of defaults.
    public init() {}
}

/// Whether sinks have to consent.
public enum SinkHandshake: String, Sendable, CaseIterable {
    /// Nothing is sent before the sink has consented.
    case required
    /// Sinks are not asked: for networks where every sink is one's own.
    case off
}

/// What a stream does when it reaches a limit.
public enum DiscardPolicy: String, Sendable, CaseIterable {
    /// Refuses the new event: the publisher gets 507 and nothing is lost.
    case new
    /// Lets the oldest event go, delivered or not.
    case old
}

extension GatewayConfiguration {
    /// How many connections may be open, which file descriptors limit too: some are needed for other things.
    var effectiveMaxConnections: Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return maxConnections }
        return min(maxConnections, max(Int(clamping: limit.rlim_cur) - 128, 16))
    }

    /// How many event loops serve HTTP.
    var effectiveHTTPThreads: Int { httpThreads ?? max(1, System.coreCount / 2) }

    /// Where spans go; `nil` without a collector.
    ///
    /// - Throws: ``GatewayConfigurationError`` with every value that cannot be one.
    func tracingConfiguration() throws(GatewayConfigurationError) -> OTLPConfiguration? {
        let endpoints = [OTLPVariable.endpoint, .tracesEndpoint].compactMap { tracing[$0.rawValue] }
        guard endpoints.contains(where: { !$0.isEmpty }) else { return nil }
        do throws(OTLPConfigurationError) {
            var configuration = try OTLPConfiguration(values: tracing)
            configuration.scope = ("sluice", Self.version)
            return configuration
        } catch {
            throw GatewayConfigurationError(faults: error.problems.map { "\($0.variable): \($0.reason)" })
        }
    }

    /// The bounds of what one event loop may have in flight.
    var concurrency: ConcurrencyLimit.Settings {
        ConcurrencyLimit.Settings(
            inFlightMax: maxInFlight,
            shares: effectiveHTTPThreads,
            timeout: .milliseconds(Int64(publishTimeoutSeconds * 1000))
        )
    }

    /// The settings of the event bus.
    ///
    /// - Throws: ``GatewayConfigurationError`` with every value that cannot be one.
    package func busConfiguration() throws(GatewayConfigurationError) -> EventBusConfiguration {
        var faults: [String] = []
        var servers: [ServerURL] = []
        for text in natsServers {
            do throws(ServerURL.Problem) {
                servers.append(try ServerURL(text))
            } catch {
                // The text may hold a password: it is not repeated.
                faults.append("NATS_URL: not a usable server URL: \(error)")
            }
        }
        if servers.isEmpty && faults.isEmpty { faults.append("NATS_URL: no server is given") }
        let events = StreamName(streamName)
        if events == nil { faults.append("STREAM_NAME: \(streamName.quotedForDetail) is no stream name") }
        let letters = StreamName(deadLetterStream)
        if letters == nil {
            faults.append("DEAD_LETTER_STREAM: \(deadLetterStream.quotedForDetail) is no stream name")
        }
        let prefix = SubjectPrefix(subjectPrefix)
        if prefix == nil { faults.append("SUBJECT_PREFIX: \(subjectPrefix.quotedForDetail) is no subject prefix") }
        guard faults.isEmpty, let events, let letters, let prefix else {
            throw GatewayConfigurationError(faults: faults)
        }
        var limits = StreamPlan.Limits()
        limits.messagesMax = maxMessages
        limits.bytesMax = maxBytes
        limits.ageMaxSeconds = maxAgeSeconds
        limits.discardsOldest = discard == .old
        limits.replicas = replicas
        limits.duplicateWindowSeconds = duplicateWindowSeconds
        limits.audits = audit
        limits.deadLetterBytesMax = deadLetterMaxBytes
        limits.deadLetterAgeMaxSeconds = deadLetterMaxAgeSeconds
        var bus = EventBusConfiguration(
            servers: servers,
            subjectPrefix: prefix,
            streams: StreamPlan(events: events, deadLetters: letters, prefix: prefix, limits: limits)
        )
        bus.connectionName = natsClusterID.map { "sluice-\($0)" } ?? "sluice"
        bus.updateStreams = updateStreams
        bus.eventBytesMax = maxEventBytes
        bus.publishTimeout = .milliseconds(Int64(publishTimeoutSeconds * 1000))
        bus.inFlightMax = maxInFlight
        return bus
    }
}
