/// Where the connection to NATS stands.
public enum ConnectionState: Sendable, Equatable {
    /// No connection; one is being made, endlessly. `lastFailure` says why the last try failed.
    case connecting(lastFailure: String?)
    /// Connected and answering.
    case connected(ServerInfo)
    /// Connected, but the server has not answered a probe for ``JetStreamConfiguration/stallNotice``.
    case stalled(ServerInfo)
    /// Closed for good.
    case closed

    /// True while messages can be published.
    public var isConnected: Bool {
        if case .connected = self { true } else { false }
    }
}

/// What the connected server said of itself when the connection was made.
public struct ServerInfo: Sendable, Equatable {
    /// For instance `2.9.10`; empty if it could not be learned.
    public let version: String
    /// The server's id.
    public let serverID: String
    /// The server's name.
    public let serverName: String
    /// The cluster's name, if the server is in one.
    public let clusterName: String?
    /// Largest payload with headers, in bytes.
    public let maxPayload: Int
    /// Whether this server runs JetStream itself.
    public let jetStream: Bool
    /// The address connected to, without credentials.
    public let address: String

    package init(
        version: String,
        serverID: String,
        serverName: String,
        clusterName: String?,
        maxPayload: Int,
        jetStream: Bool,
        address: String
    ) {
        self.version = version
        self.serverID = serverID
        self.serverName = serverName
        self.clusterName = clusterName
        self.maxPayload = maxPayload
        self.jetStream = jetStream
        self.address = address
    }
}

/// Something worth a line in the log, which the layer above writes.
public struct LogEvent: Sendable {
    /// How serious it is.
    public enum Level: Sendable {
        case debug, info, warning, error
    }

    /// How serious it is.
    public let level: Level
    /// A fixed text.
    public let message: String
    /// What varies, by name; values may come from the network.
    public let metadata: [(name: String, value: String)]

    package init(_ level: Level, _ message: String, _ metadata: [(name: String, value: String)] = []) {
        self.level = level
        self.message = message
        self.metadata = metadata
    }
}
