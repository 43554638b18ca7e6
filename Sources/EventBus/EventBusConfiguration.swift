public import JetStream

/// The settings of an ``EventBus``: which servers, which streams, which limits.
public struct EventBusConfiguration: Sendable {
    /// The NATS servers, tried in turn.
    public var servers: [ServerURL]
    /// The name of the connection as nats-server shows it.
    public var connectionName: String
    /// The first tokens of every event's subject.
    public var subjectPrefix: SubjectPrefix
    /// The streams that must be there.
    public var streams: StreamPlan
    /// Change a stream that exists with other settings, instead of reporting the difference.
    public var updateStreams: Bool
    /// Most bytes of a stored event; `nil` is the server's `max_payload` less ``headerRoomBytes``.
    public var eventBytesMax: Int?
    /// How long a publish may wait for its PubAck.
    public var publishTimeout: Duration
    /// Most messages that wait for a PubAck at a time.
    public var inFlightMax: Int

    /// What is kept free of the server's `max_payload` for our own headers, in bytes: they count against it, and a message
    /// over it would close the connection of everybody.
    public static let headerRoomBytes = 8 * 1024

    /// A configuration of defaults for the given servers and streams.
    public init(servers: [ServerURL], subjectPrefix: SubjectPrefix, streams: StreamPlan) {
        self.servers = servers
        self.connectionName = "sluice"
        self.subjectPrefix = subjectPrefix
        self.streams = streams
        self.updateStreams = false
        self.eventBytesMax = nil
        self.publishTimeout = .seconds(5)
        self.inFlightMax = 4096
    }
}

/// The streams of an event bus and their settings (design: limits retention, nothing discarded unasked).
public struct StreamPlan: Sendable {
    /// The stream that holds the events.
    public var events: StreamConfiguration
    /// The stream that holds what could not be delivered.
    public var deadLetters: StreamConfiguration
    /// The stream that keeps the server's advisories about deliveries which ended without us (N-08: they are
    /// plain messages, lost unless a stream captures them).
    public var advisories: StreamConfiguration
    /// The stream that a replica publishes to in order to know that publishing works.
    public var canary: StreamConfiguration
    /// The stream that remembers what was acknowledged, so that a loss is found; `nil` does without.
    public var audit: StreamConfiguration?

    /// All of them, in the order in which they are created.
    public var all: [StreamConfiguration] { [events, deadLetters, advisories, canary] + (audit.map { [$0] } ?? []) }

    /// The settings of the event stream that a deployment may choose.
    public struct Limits: Sendable {
        /// Most messages, −1 for no limit.
        public var messagesMax: Int64 = -1
        /// Most bytes, −1 for the server's own limit.
        public var bytesMax: Int64 = -1
        /// How long an event is kept, in seconds; 0 for ever.
        public var ageMaxSeconds: Int64 = 604_800
        /// Whether a full stream lets the oldest go instead of refusing the newest.
        public var discardsOldest = false
        /// Copies in a cluster: 1, 3 or 5.
        public var replicas = 1
        /// How long a message id is remembered, in seconds.
        public var duplicateWindowSeconds: Int64 = 120

        /// Most bytes of dead letters, −1 for the server's own limit.
        public var deadLetterBytesMax: Int64 = -1
        /// How long a dead letter is kept, in seconds; 0 for ever.
        public var deadLetterAgeMaxSeconds: Int64 = 0

        /// Whether what was acknowledged is remembered in a stream of its own.
        public var audits = true

        /// The defaults.
        public init() {}
    }

    /// The name of the audit stream.
    package static let auditName = StreamName.literal("SLUICE_AUDIT")

    /// The plan for the given names and limits.
    public init(events name: StreamName, deadLetters: StreamName, prefix: SubjectPrefix, limits: Limits) {
        var events = StreamConfiguration(name: name, subjects: [prefix.description + ".>"])
        events.maxMessages = limits.messagesMax
        events.maxBytes = limits.bytesMax
        events.maxAge = .seconds(limits.ageMaxSeconds)
        events.discard = limits.discardsOldest ? .old : .new
        events.replicas = limits.replicas
        events.duplicateWindow = .seconds(
            Self.window(limits.duplicateWindowSeconds, ageMaxSeconds: limits.ageMaxSeconds)
        )
        self.events = events

        var letters = StreamConfiguration(name: deadLetters, subjects: ["dl.>"])
        letters.replicas = limits.replicas
        letters.maxBytes = limits.deadLetterBytesMax
        letters.maxAge = .seconds(limits.deadLetterAgeMaxSeconds)
        // A crash between a letter's PubAck and the event's settlement brings the event back after its `ackWait`.
        letters.duplicateWindow = .seconds(
            Self.window(max(600, limits.duplicateWindowSeconds), ageMaxSeconds: limits.deadLetterAgeMaxSeconds)
        )
        self.deadLetters = letters

        var advisories = StreamConfiguration(
            name: .literal("SLUICE_ADVISORIES"),
            subjects: [
                "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>", "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>",
            ]
        )
        advisories.replicas = limits.replicas
        advisories.maxAge = .seconds(604_800)
        advisories.discard = .old
        self.advisories = advisories

        var canary = StreamConfiguration(name: .literal("SLUICE_CANARY"), subjects: ["sluice.canary.*"])
        canary.storage = .memory
        canary.maxMessagesPerSubject = 1
        canary.discard = .old
        canary.replicas = limits.replicas
        canary.maxAge = .seconds(3600)
        self.canary = canary

        guard limits.audits else { return }
        var audit = StreamConfiguration(name: Self.auditName, subjects: ["audit.>"])
        audit.replicas = limits.replicas
        audit.maxAge = events.maxAge
        audit.discard = .old
        audit.duplicateWindow = events.duplicateWindow
        self.audit = audit
    }

    /// JetStream refuses a window longer than the age limit.
    private static func window(_ seconds: Int64, ageMaxSeconds: Int64) -> Int64 {
        ageMaxSeconds > 0 ? min(seconds, ageMaxSeconds) : seconds
    }
}

extension StreamPlan {
    /// What the plan promises about events, as audit records repeat it.
    package var auditPromise: AuditRecord.Promise {
        AuditRecord.Promise(
            ageMaxSeconds: UInt64(max(0, events.maxAge.components.seconds)),
            discardsOldest: events.discard == .old
        )
    }
}
