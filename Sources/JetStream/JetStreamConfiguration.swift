/// How to reach NATS, and the bounds of what may wait for it.
public struct JetStreamConfiguration: Sendable {
    /// The servers, tried in turn.
    public var servers: [ServerURL]
    /// The connection's name, shown by the server's monitoring.
    public var name: String
    /// From submission to an outcome, at most.
    public var publishTimeout: Duration = .seconds(5)
    /// From the start of one connection attempt to its end, at most.
    public var connectTimeout: Duration = .seconds(2)
    /// Without a sign of life for this long the state is `stalled`.
    public var stallNotice: Duration = .seconds(2)
    /// Without a sign of life for this long the connection is given up and made anew.
    public var stallTimeout: Duration = .seconds(4)
    /// How often an idle connection is probed.
    public var probeInterval: Duration = .seconds(1)
    /// First pause between connection attempts; it doubles up to ``reconnectPauseMax``, with jitter.
    public var reconnectPauseMin: Duration = .milliseconds(50)
    /// Longest pause between connection attempts.
    public var reconnectPauseMax: Duration = .seconds(2)
    /// Messages sent and not yet acknowledged, at most (1 to 32,768).
    ///
    /// Servers from 2.10 on refuse floods (10167).
    public var inFlightMax = 4096
    /// Bytes of messages sent and not yet acknowledged, at most; one message may always be in flight.
    public var inFlightBytesMax = 32 << 20
    /// Messages accepted and not yet sent, at most.
    public var queuedMax = 16_384
    /// Bytes of messages accepted and not yet sent, at most.
    public var queuedBytesMax = 64 << 20
    /// From handing over a settlement to its confirmation, at most.
    package var settlementTimeout: Duration = .seconds(5)
    /// Settlements sent and not yet confirmed, at most (1 to 1,048,576).
    package var settlementsInFlightMax = 65_536
    /// Settlements accepted and not yet sent, at most.
    package var settlementsQueuedMax = 262_144
    /// Pull requests outstanding, at most.
    package var pullsMax = 16_384
    /// Bytes that one pull may bring, at most; at least one message of the server's largest size.
    package var pullBytesMax = 8 << 20
    /// Bytes of delivered messages that a lane and its owner may hold before further pulls wait.
    package var deliveryBytesMax = 64 << 20

    /// A configuration with the defaults for everything else.
    public init(servers: [ServerURL], name: String) {
        self.servers = servers
        self.name = name
    }
}
