/// Why commands have no replies.
public enum RedisError: Error, Sendable, Equatable, CustomStringConvertible {
    /// There is no connection, for this reason; certainly nothing was sent.
    case notConnected(String)
    /// Too much is waiting already; certainly nothing was sent.
    case overloaded
    /// The client is closed; certainly nothing was sent.
    case closed
    /// No complete answer before the deadline; the commands may have been executed.
    case timedOut
    /// The connection ended before the answer; the commands may have been executed.
    case connectionLost(String)
    /// The peer does not speak RESP2 within our limits; the commands may have been executed.
    case protocolError(String)

    /// True if the commands certainly were not executed.
    public var isCertainlyNotSent: Bool {
        switch self {
        case .notConnected, .overloaded, .closed: true
        case .timedOut, .connectionLost, .protocolError: false
        }
    }

    /// One line for people, without secrets.
    public var description: String {
        switch self {
        case .notConnected(let reason): "not connected to Redis: \(reason)"
        case .overloaded: "too many commands are waiting for Redis"
        case .closed: "the Redis client is closed"
        case .timedOut: "no answer from Redis in time"
        case .connectionLost(let reason): "the connection to Redis ended before the answer: \(reason)"
        case .protocolError(let reason): "unreadable answer from Redis: \(reason)"
        }
    }
}
