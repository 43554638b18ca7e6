/// Whether the event stream does what it is there for, as the outcomes of real publishes tell.
///
/// The canary goes to a stream of its own, which may still answer while the event stream does not: a disk that is full
/// silences one stream and leaves the others. Pure: time comes from outside.
package struct PublishWatch: Sendable {
    /// How long nothing may be acknowledged before that is trouble: the third second, as for the canary.
    package static let patience = Duration.seconds(3)
    /// How long the last failure counts: nothing else would end the trouble if nobody published any more.
    package static let memory = Duration.seconds(15)

    private var silentSince: ContinuousClock.Instant?
    private var lastUnknown: ContinuousClock.Instant?
    private var lastFull: ContinuousClock.Instant?

    /// Nothing seen yet.
    package init() {}

    /// Takes note of what became of publishes since the last call.
    ///
    /// - Parameters:
    ///   - stored: how many were acknowledged.
    ///   - unknown: how many had no PubAck in time.
    ///   - full: how many were refused because a limit of the storage is reached.
    package mutating func note(stored: UInt64, unknown: UInt64, full: UInt64, now: ContinuousClock.Instant) {
        // Failures far apart are no silence.
        if let lastUnknown, now - lastUnknown >= Self.memory { silentSince = nil }
        if stored > 0 {
            silentSince = nil
            lastUnknown = nil
            lastFull = nil
        }
        if unknown > 0 {
            silentSince = silentSince ?? now
            lastUnknown = now
        }
        if full > 0 { lastFull = now }
    }

    /// Whether the stream acknowledges nothing although events are sent to it.
    package func isSilent(now: ContinuousClock.Instant) -> Bool {
        guard let silentSince, let lastUnknown else { return false }
        return now - silentSince >= Self.patience && now - lastUnknown < Self.memory
    }

    /// Whether the storage was full when an event was last sent.
    package func isFull(now: ContinuousClock.Instant) -> Bool {
        guard let lastFull else { return false }
        return now - lastFull < Self.memory
    }
}
