import JetStream

/// Why the dead letters could not be read or changed.
package enum DeadLetterError: Error, Sendable, Equatable, CustomStringConvertible {
    /// NATS or JetStream cannot answer now.
    case unavailable(String)
    /// Too many lists are being read at this moment; another try may work.
    case busy
    /// The task was cancelled.
    case cancelled

    init(_ error: JetStreamError) { self = .unavailable(error.description) }

    /// Whether another try may succeed.
    var isPassing: Bool { self != .cancelled }

    /// One line for people.
    package var description: String {
        switch self {
        case .unavailable(let detail): detail
        case .busy: "too many lists of dead letters are being read"
        case .cancelled: "cancelled"
        }
    }
}
