/// Where Redis is and how long it may take.
public struct RedisConfiguration: Sendable, CustomStringConvertible, CustomReflectable {
    let endpoint: RedisEndpoint
    let credentials: Credentials?
    let database: Int

    /// For looking the host up, and again for connecting to and greeting each of its addresses; 1 s.
    public var connectTimeout: Duration = .seconds(1)
    /// For all replies of one submitted batch, from the moment it is written; 1 s.
    public var commandTimeout: Duration = .seconds(1)
    /// After so long without traffic the server is asked whether it is still there; 5 s.
    public var idleProbeInterval: Duration = .seconds(5)
    /// The first pause before connecting again; it doubles, with jitter; 50 ms.
    public var reconnectPauseMin: Duration = .milliseconds(50)
    /// The longest pause before connecting again; 2 s.
    public var reconnectPauseMax: Duration = .seconds(2)
    /// Commands of all callers that may wait or be on their way at one time; 20,000.
    public var queuedCommandsMax: Int = 20_000
    /// What these commands may take in memory, bytes; 32 MiB.
    public var queuedBytesMax: Int = 32 << 20
    /// What the replies to one submitted batch may have on the wire, bytes; 8 MiB.
    public var replyBytesMax: Int = 8 << 20
    /// How the connection is called in `CLIENT LIST`; characters that Redis refuses are replaced.
    public var clientName: String = "sluice"

    /// Reads `redis://[[user]:password@]host[:port][/db]` or `unix://[[user]:password@]/path[?db=n]`.
    ///
    /// Credentials, host and path may be percent-encoded.
    public init(url: String) throws(RedisURLError) {
        let parts = try RedisURL(url)
        endpoint = parts.endpoint
        credentials = parts.credentials
        database = parts.database
    }

    /// The address without credentials.
    public var shownAddress: String {
        switch endpoint {
        case .tcp(let host, let port):
            let shownHost = host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]" : host
            return "redis://\(shownHost):\(port)" + (database == 0 ? "" : "/\(database)")
        case .unix(let path):
            return "unix://\(path)" + (database == 0 ? "" : "?db=\(database)")
        }
    }

    /// The same as ``shownAddress``.
    public var description: String { shownAddress }

    /// The address alone: credentials never show.
    public var customMirror: Mirror { Mirror(self, children: ["address": shownAddress]) }
}

enum RedisEndpoint: Sendable, Equatable {
    case tcp(host: String, port: UInt16)
    case unix(path: String)
}

/// What AUTH sends; no description shows it.
struct Credentials: Sendable, CustomStringConvertible, CustomReflectable {
    /// Nil for the user `default`, in the old form of AUTH.
    let user: [UInt8]?
    let password: [UInt8]

    var description: String { "***" }
    var customMirror: Mirror { Mirror(self, children: []) }
}
