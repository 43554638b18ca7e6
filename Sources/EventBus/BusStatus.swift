public import JetStream

/// What an event bus knows of its own health, as of the last second.
public struct BusStatus: Sendable {
    /// A stream and how it differs from its plan.
    public struct StreamFault: Sendable, Equatable {
        /// The stream's name.
        public let stream: String
        /// One sentence for each field that differs, or what the server said when it refused the stream.
        public let differences: [String]
    }

    /// How full a stream is.
    public struct Fill: Sendable, Equatable {
        /// Messages in the stream, and the limit (−1: none).
        public let messages: UInt64, messagesMax: Int64
        /// Bytes in the stream, and the limit (−1: none).
        public let bytes: UInt64, bytesMax: Int64

        /// The larger share of the two limits, 0…1; 0 without limits.
        public var share: Double {
            let byCount = messagesMax > 0 ? Double(messages) / Double(messagesMax) : 0
            let bySize = bytesMax > 0 ? Double(bytes) / Double(bytesMax) : 0
            return max(byCount, bySize)
        }
    }

    /// The connection to NATS.
    public internal(set) var connection: ConnectionState
    /// Whether every stream has been seen with the planned settings since the last connect.
    public internal(set) var streamsVerified: Bool
    /// The streams that differ from their plan.
    public internal(set) var faults: [StreamFault]
    /// How the audit stream differs from its plan: nobody's publish depends on that one.
    public internal(set) var auditFaults: [StreamFault] = []
    /// How full the event stream is, where it has been read.
    public internal(set) var fill: Fill?
    /// How full the dead letter stream is, where it has been read.
    public internal(set) var deadLetterFill: Fill?
    /// When the last canary was acknowledged.
    public internal(set) var lastCanary: ContinuousClock.Instant?
    /// Since when a publish can be expected to succeed; `nil` if it cannot.
    package internal(set) var readySince: ContinuousClock.Instant?
    /// Whether the bus is being stopped.
    public internal(set) var draining: Bool
    /// Whether the event stream acknowledges nothing although events are sent to it.
    public internal(set) var streamIsSilent = false
    /// Whether the event stream, or the server's storage, refused the last events because it is full.
    public internal(set) var storeIsFull = false

    /// Whether a canary was acknowledged within the last ``canaryLife``.
    public var canaryAlive: Bool {
        guard let lastCanary else { return false }
        return ContinuousClock.now - lastCanary < Self.canaryLife
    }

    /// How long an acknowledged canary counts: two may be late, the third means trouble.
    public static let canaryLife = Duration.seconds(3)

    /// Whether a publish can be expected to succeed now.
    public var isReady: Bool {
        connection.isConnected && streamsVerified && canaryAlive && !streamIsSilent && !draining
    }

    /// Why the bus is not ready, or not quite well, as sentences; empty when all is well.
    public var reasons: [String] {
        var reasons: [String] = []
        if draining { reasons.append("shutting down") }
        if !connection.isConnected { reasons.append("NATS is not connected") }
        for fault in faults {
            reasons += fault.differences.map { "stream \(fault.stream): \($0)" }
        }
        if connection.isConnected && faults.isEmpty && !streamsVerified {
            reasons.append("the streams have not been verified yet")
        }
        if connection.isConnected && streamsVerified && !canaryAlive {
            reasons.append("no recent PubAck for the readiness canary")
        }
        for fault in auditFaults { reasons += fault.differences.map { "stream \(fault.stream): \($0)" } }
        if streamIsSilent { reasons.append("the event stream acknowledges nothing") }
        if storeIsFull { reasons.append("the event stream, or the server's storage, is full") }
        return reasons
    }
}

extension FieldDifference {
    /// The difference as a sentence for people.
    package var sentence: String { "\(field) is \(actual), expected \(expected)" }
}

extension NotSentReason {
    /// The reason as a sentence for people.
    package var explanation: String {
        switch self {
        case .disconnected: "not connected to NATS"
        case .overloaded: "too many events are waiting for JetStream"
        case .expired: "JetStream did not take the event in time"
        case .closing: "the gateway is shutting down"
        }
    }
}

extension UnknownReason {
    /// The reason as a sentence for people.
    package var explanation: String {
        switch self {
        case .timeout: "no PubAck came in time"
        case .connectionLost: "the connection to NATS was lost before the PubAck came"
        case .wrongStream: "another stream than the configured one answered"
        case .sequenceZero: "the PubAck carries no sequence"
        case .badAcknowledgement: "the PubAck cannot be read"
        case .duplicateInProcess: "the same event is still being stored"
        }
    }
}
