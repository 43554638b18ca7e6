/// What Redis answered to one command (RESP2).
public enum RedisReply: Sendable, Equatable {
    /// Nothing: a nil bulk string or a nil array.
    case null
    case integer(Int64)
    /// A bulk string, as it is.
    case bytes([UInt8])
    /// A simple string such as `OK`; bytes that are no UTF-8 are replaced.
    case status(String)
    /// An error; its first word tells the kind: `ERR`, `NOSCRIPT`, `OOM`, `LOADING`, `READONLY`, `MISCONF` …
    case error(String)
    /// At most seven arrays deep.
    case array([RedisReply])

    /// The number, if it is one.
    public var integer: Int64? {
        if case .integer(let value) = self { value } else { nil }
    }

    /// The bulk string, if it is one.
    public var bytes: [UInt8]? {
        if case .bytes(let value) = self { value } else { nil }
    }

    /// The bulk or simple string as text, if it is one; bytes that are no UTF-8 are replaced.
    public var text: String? {
        switch self {
        case .bytes(let value): String(decoding: value, as: UTF8.self)
        case .status(let value): value
        case .null, .integer, .error, .array: nil
        }
    }

    /// The elements, if it is an array.
    public var elements: [RedisReply]? {
        if case .array(let value) = self { value } else { nil }
    }

    /// The error's text, if it is one; it comes from the server.
    public var errorText: String? {
        if case .error(let value) = self { value } else { nil }
    }
}
