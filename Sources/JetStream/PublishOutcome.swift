/// What became of one message; every submitted message gets exactly one.
public enum PublishOutcome: Sendable, Equatable {
    /// The expected stream has it under this sequence (1 or more); `duplicate` if it had it before.
    case stored(sequence: UInt64, duplicate: Bool)
    /// The server answered that it did not store it.
    case rejected(Rejection)
    /// Certainly not stored: nothing of it left the process, and nothing will.
    case notSent(NotSentReason)
    /// It left, or may have left, and no valid acknowledgement came. Retrying with the same message id is safe.
    case unknown(UnknownReason)
}

/// The server's refusal: certainly not stored.
public struct Rejection: Sendable, Equatable {
    /// What a refusal means for the caller.
    public enum Kind: String, Sendable {
        /// A limit of the stream, the account or the disk is reached.
        case storeFull
        /// The message exceeds the stream's or the server's size limit.
        case tooLarge
        /// The headers exceed what the server takes.
        case headersTooLarge
        /// No stream listens on the subject, or JetStream is away.
        case noResponders
        /// The server can't store now: overload, no leader, no quorum. Another try may work.
        case unavailable
        /// Stream and gateway do not fit together: wrong stream, sealed stream, no JetStream for the account.
        case misconfigured
    }

    /// What it means.
    public let kind: Kind
    /// JetStream's `err_code`, or 503 for no responders; 0 if refused before it was sent.
    public let code: Int
    /// The server's words.
    public let description: String

    package init(kind: Kind, code: Int, description: String) {
        self.kind = kind
        self.code = code
        self.description = description
    }
}

/// Why a message never left the process.
public enum NotSentReason: String, Sendable {
    /// There is no connection.
    case disconnected
    /// Too much is waiting already.
    case overloaded
    /// Its deadline passed while it waited to be sent.
    case expired
    /// The client is closing or closed.
    case closing
}

/// Why it is not known whether a message was stored.
public enum UnknownReason: String, Sendable {
    /// No acknowledgement before the deadline.
    case timeout
    /// The connection ended before the acknowledgement.
    case connectionLost
    /// Another stream than the expected one acknowledged it.
    case wrongStream
    /// The acknowledgement had sequence 0.
    case sequenceZero
    /// The acknowledgement could not be read.
    case badAcknowledgement
    /// The server is still storing an earlier copy of it (10158, or `duplicate` with sequence 0).
    case duplicateInProcess
}
