/// Why a request to the server, other than a publish, failed.
public enum JetStreamError: Error, Sendable, Equatable, CustomStringConvertible {
    /// There is no connection; nothing was sent.
    case notConnected
    /// Too much is waiting already; nothing was sent.
    case overloaded
    /// The client is closed; nothing was sent.
    case closed
    /// No answer before the deadline.
    case timeout
    /// The connection ended before the answer.
    case connectionLost
    /// Nobody answers on this subject: JetStream is off for the account, or away.
    case noResponders
    /// The server answered with an error: HTTP-like `code`, JetStream's `errorCode`, the server's words.
    case api(code: Int, errorCode: Int, description: String)
    /// The answer could not be read.
    case badResponse(String)

    /// JetStream's `err_code`, if the server sent one.
    public var errorCode: Int? {
        if case .api(_, let errorCode, _) = self { errorCode } else { nil }
    }

    /// One line for people.
    public var description: String {
        switch self {
        case .notConnected: "not connected to NATS"
        case .overloaded: "too many requests are waiting for NATS"
        case .closed: "the NATS client is closed"
        case .timeout: "no answer from NATS in time"
        case .connectionLost: "the connection to NATS ended before the answer"
        case .noResponders: "JetStream does not answer: is it enabled on this server and account?"
        case .api(_, let errorCode, let description): "JetStream error \(errorCode): \(description)"
        case .badResponse(let detail): "unreadable answer from JetStream: \(detail)"
        }
    }
}
