/// The settings of a stream, as far as Sluice creates and verifies them.
public struct StreamConfiguration: Sendable, Equatable {
    /// What a full stream does: refuse what is new, or let the oldest go.
    public enum Discard: String, Sendable, CaseIterable {
        case new, old
    }

    /// Where a stream is kept.
    public enum Storage: String, Sendable, CaseIterable {
        case file, memory
    }

    /// When messages leave: by the limits alone, or also by what consumers do.
    public enum Retention: String, Sendable, CaseIterable {
        case limits, interest, workqueue
    }

    /// The stream's name.
    public var name: StreamName
    /// The subjects it listens on, with wildcards; from configuration, never from clients.
    public var subjects: [String]
    /// Words for people; not compared.
    public var description: String
    /// `limits`: others acknowledge what they do not keep.
    public var retention: Retention = .limits
    /// Where it is kept.
    public var storage: Storage = .file
    /// What it does when full.
    public var discard: Discard = .new
    /// Copies in a cluster.
    public var replicas = 1
    /// Most messages; -1 is no limit.
    public var maxMessages: Int64 = -1
    /// Most bytes; -1 is no limit.
    public var maxBytes: Int64 = -1
    /// Oldest age; zero is no limit.
    public var maxAge: Duration = .zero
    /// Largest message in bytes; -1 is no limit.
    public var maxMessageSize: Int64 = -1
    /// Most messages of one subject; -1 is no limit.
    public var maxMessagesPerSubject: Int64 = -1
    /// How long a message id is remembered.
    public var duplicateWindow: Duration = .seconds(120)
    /// Whether single messages can't be deleted through the API; can't be undone.
    public var denyDelete = false
    /// Whether the stream can't be purged through the API; can't be undone.
    public var denyPurge = false
    /// Whether a `Nats-Rollup` header may replace earlier messages.
    public var allowRollup = false
    /// Whether the stream takes no more messages at all.
    public var sealed = false
    /// Whether it takes messages without answering.
    public var noAcknowledgement = false
    /// Features found on a stream that Sluice never asks for and that change what it holds: `mirror`, `sources`,
    /// `republish`, `subject_transform`.
    ///
    /// Only read, never written.
    public internal(set) var otherFeatures: [String] = []

    /// A file stream with limits retention that refuses what is new when full.
    public init(name: StreamName, subjects: [String], description: String = "") {
        self.name = name
        self.subjects = subjects
        self.description = description
    }

    /// What differs from what was found, field by field in the API's names; empty if all is as wanted.
    public func differences(from actual: StreamConfiguration) -> [FieldDifference] {
        let pairs: [(field: String, expected: String, actual: String)] = zip(fields, actual.fields).map {
            ($0.name, $0.value, $1.value)
        }
        return pairs.filter { $0.expected != $0.actual }.map(FieldDifference.init)
    }

    private var fields: [(name: String, value: String)] {
        [
            ("name", name.text), ("subjects", subjects.sorted().joined(separator: ", ")),
            ("retention", retention.rawValue), ("storage", storage.rawValue), ("discard", discard.rawValue),
            ("num_replicas", "\(replicas)"), ("max_msgs", Self.limit(maxMessages)), ("max_bytes", Self.limit(maxBytes)),
            ("max_age", "\(maxAge)"), ("max_msg_size", Self.limit(maxMessageSize)),
            ("max_msgs_per_subject", Self.limit(maxMessagesPerSubject)), ("duplicate_window", "\(duplicateWindow)"),
            ("deny_delete", "\(denyDelete)"), ("deny_purge", "\(denyPurge)"), ("allow_rollup_hdrs", "\(allowRollup)"),
            ("sealed", "\(sealed)"), ("no_ack", "\(noAcknowledgement)"),
            ("other features", otherFeatures.sorted().joined(separator: ", ")),
        ]
    }

    /// The server writes "no limit" as -1 or 0, depending on the field and its version.
    private static func limit(_ value: Int64) -> String { value <= 0 ? "unlimited" : "\(value)" }
}

/// One setting that is not as wanted.
public struct FieldDifference: Sendable, Equatable, CustomStringConvertible {
    /// The field's name in JetStream's API.
    public let field: String
    /// The value wanted.
    public let expected: String
    /// The value found.
    public let actual: String

    init(field: String, expected: String, actual: String) {
        self.field = field
        self.expected = expected
        self.actual = actual
    }

    /// One line for people.
    public var description: String { "\(field) is \(actual), expected \(expected)" }
}

/// How full a stream is.
public struct StreamState: Sendable, Equatable {
    /// Messages held.
    public internal(set) var messages: UInt64 = 0
    /// Bytes held, as the server counts them.
    public internal(set) var bytes: UInt64 = 0
    /// Sequence of the oldest message.
    public internal(set) var firstSequence: UInt64 = 0
    /// Sequence of the newest message.
    public internal(set) var lastSequence: UInt64 = 0
    /// When the newest message was stored, RFC 3339 as the server wrote it; the year 1 in a stream without messages yet.
    public internal(set) var lastTime = ""
    /// Messages missing between the oldest and the newest.
    package internal(set) var deletedCount: UInt64 = 0
    /// Subjects held.
    package internal(set) var subjectCount: UInt64 = 0
    /// Consumers that count against the stream's limit.
    package internal(set) var consumerCount: UInt64 = 0
    /// Sequences of the missing messages, if they were asked for.
    package internal(set) var deleted: [UInt64] = []
    /// Messages of each subject, if they were asked for.
    package internal(set) var subjects: [String: UInt64] = [:]
}

/// A stream's settings and fill.
public struct StreamInfo: Sendable, Equatable {
    /// The settings found.
    public let configuration: StreamConfiguration
    /// The fill when the server answered.
    public let state: StreamState
    /// When the stream was created, RFC 3339 as the server wrote it.
    public let created: String
    /// The server's clock when it answered; empty before nats-server 2.10.
    public let serverTime: String
}

/// What the account uses of JetStream, and may use.
public struct AccountInfo: Sendable, Equatable {
    /// Bytes of memory streams.
    public internal(set) var memoryBytes: UInt64 = 0
    /// Bytes of file streams.
    public internal(set) var storageBytes: UInt64 = 0
    /// Number of streams.
    public internal(set) var streams = 0
    /// Most bytes of memory streams; -1 is no limit.
    public internal(set) var memoryBytesMax: Int64 = -1
    /// Most bytes of file streams; -1 is no limit.
    public internal(set) var storageBytesMax: Int64 = -1
}

/// A message read back from a stream.
public struct StoredMessage: Sendable {
    /// The subject it was published to.
    public let subject: String
    /// Its sequence in the stream.
    public let sequence: UInt64
    /// Its headers in the order they were written.
    ///
    /// What clients sent may be here: treat as outside data (C-13).
    public let headers: [(name: String, value: String)]
    /// Its payload.
    public let payload: [UInt8]
    /// When it was stored, RFC 3339 as the server wrote it.
    public let time: String

    /// The first value of a header, compared without regard to ASCII case.
    public func header(_ name: String) -> String? {
        headers.first { $0.name.lowercased().utf8.elementsEqual(name.lowercased().utf8) }?.value
    }
}
