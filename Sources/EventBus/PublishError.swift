public import CloudEvents
package import JetStream

/// Why an event was not published, or may not have been.
///
/// `label` is stable and bounded, for metrics and problem types; `description` is for people.
public enum PublishError: Error, Sendable, CustomStringConvertible {
    /// The event breaks the CloudEvents specification; every violation is listed.
    case invalid(InvalidEvent)
    /// The encoded event has `bytes` bytes and `limit` are allowed.
    case tooLarge(bytes: Int, limit: Int)
    /// Certainly not stored: the stream or the server refuses a message of this size, although ours is within the limit.
    case refusedForSize(String)
    /// Certainly not stored: the server refuses headers of this size.
    case refusedForHeaders(String)
    /// Certainly not stored: the stream, or the server's storage, is full.
    case storeFull(String)
    /// Certainly not stored: the broker is away, refuses, or the process has too much to do already.
    case unavailable(String)
    /// Certainly not stored: the stream's settings do not fit; an operator has to act.
    case misconfigured(String)
    /// It left the process and no PubAck came: it may be stored or not, and a retry with the same id is safe.
    case outcomeUnknown(String)

    /// A short, stable name of the kind.
    public var label: String {
        switch self {
        case .invalid: "invalid-event"
        case .tooLarge, .refusedForSize: "too-large"
        case .refusedForHeaders: "header-too-large"
        case .storeFull: "store-full"
        case .unavailable: "broker-unavailable"
        case .misconfigured: "misconfigured"
        case .outcomeUnknown: "outcome-unknown"
        }
    }

    /// What happened, in a sentence.
    public var description: String {
        switch self {
        case .invalid(let error): "the event is invalid: \(error.violations.map(\.detail).joined(separator: "; "))"
        case .tooLarge(let bytes, let limit): "the encoded event has \(bytes) bytes, \(limit) are allowed"
        case .refusedForSize(let reason), .refusedForHeaders(let reason), .storeFull(let reason),
            .unavailable(let reason), .misconfigured(let reason),
            .outcomeUnknown(let reason):
            reason
        }
    }
}

/// What the stream acknowledged.
public struct Receipt: Sendable, Hashable {
    /// The stream's name.
    public let stream: String
    /// The sequence number in the stream, at least 1.
    public let sequence: UInt64
    /// Whether the same event had been stored before: then `sequence` is the first one's.
    public let isDuplicate: Bool
}

extension PublishOutcome {
    /// The outcome as a receipt or an error, in the words of the layer above.
    package func receipt(stream: StreamName) -> Result<Receipt, PublishError> {
        switch self {
        case .stored(let sequence, let duplicate):
            return .success(Receipt(stream: stream.description, sequence: sequence, isDuplicate: duplicate))
        case .rejected(let rejection):
            return .failure(rejection.publishError)
        case .notSent(let reason):
            return .failure(.unavailable(reason.explanation))
        case .unknown(let reason):
            return .failure(.outcomeUnknown(reason.explanation))
        }
    }
}

extension Rejection {
    fileprivate var publishError: PublishError {
        let text = code == 0 ? description : "\(description) (JetStream error \(code))"
        switch kind {
        case .storeFull: return .storeFull(text)
        case .tooLarge: return .refusedForSize(text)
        case .headersTooLarge: return .refusedForHeaders(text)
        case .noResponders: return .unavailable("no stream answers: \(text)")
        case .unavailable: return .unavailable(text)
        case .misconfigured: return .misconfigured(text)
        }
    }
}
