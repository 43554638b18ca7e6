/// Where the connection stands.
public enum RedisState: Sendable, Equatable {
    /// No connection, a new one is tried for ever; why the last one failed, if one did.
    case connecting(lastFailure: String?)
    /// Commands are taken; the server's version if it tells.
    case connected(serverVersion: String?)
    /// ``RedisClient/close()`` was called.
    case closed

    /// True if commands are taken.
    public var isConnected: Bool {
        if case .connected = self { true } else { false }
    }
}

/// What is worth a line in the log; no text in it holds a secret, texts of the server are cut and made printable.
public enum RedisEvent: Sendable, Equatable {
    /// A connection is ready.
    case connected(address: String, serverVersion: String?)
    /// An established connection ended.
    case disconnected(address: String, reason: String)
    /// So many attempts have failed since the last connection; the reason is the last one's.
    case connectFailed(address: String, reason: String, attempts: Int)
}
