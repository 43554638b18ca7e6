/// Why an established connection, or one about to be, is of no use any more.
enum LinkFailure: Error {
    /// It ended, for this reason.
    case lost(String)
    /// The peer does not speak RESP2 within our limits.
    case protocolViolation(String)
    /// No complete answer in time.
    case timedOut
    /// The client is closing.
    case closing

    var text: String {
        switch self {
        case .lost(let reason): reason
        case .protocolViolation(let reason): "protocol error: \(reason)"
        case .timedOut: "no answer in time"
        case .closing: "the client was closed"
        }
    }

    /// What it means for commands that were sent, at least in part.
    var errorOfSent: RedisError {
        switch self {
        case .protocolViolation(let reason): .protocolError(reason)
        case .lost, .timedOut, .closing: .connectionLost(text)
        }
    }

    /// What it means for commands of which nothing was sent.
    var errorOfUnsent: RedisError {
        if case .closing = self { .closed } else { .notConnected(text) }
    }
}
