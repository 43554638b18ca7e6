/// An event in hand of a ``LockMachine``.
struct LockEntry: Sendable {
    enum Stage: Sendable {
        /// Set aside for a waiting client.
        case collected
        /// A client has it.
        case locked
        /// A dead letter is being stored.
        case storing
        /// It was not stored; tried again at `due`.
        case unstored
        /// The settlement was sent; its answer is to come.
        case settling
        /// A settlement that no client waits for was not confirmed; sent again at `due`.
        case unsettled
    }

    /// How the event leaves.
    enum End: Sendable {
        case acknowledged
        case deadLetter
        case released
    }

    let sequence: UInt64
    var kind: Arrival.Kind
    var stage: Stage = .collected
    var end: End = .released
    var reason: DeadLetterReason = .rejected
    var count: AttemptCount
    /// Whether this delivery was handed to a client.
    var wasHanded = false
    /// The lock's number, 0 before it is handed out, and its end.
    var lock: UInt64 = 0
    var lockedUntil: Instant
    /// The call that waits for the settlement.
    var call: UInt64?
    /// While the release was under way the server delivered again, before the release's time (false) or after (true).
    var redelivered: Bool?
    /// How often in a row the dead letter could not be stored.
    var failures = 0
    /// When to tell the server that work goes on, while a dead letter is being stored.
    var extendAt: Instant
    /// When something is to be done in the stages that have an end in time.
    var due: Instant = .max
    /// Whether the release went out for the latest delivery.
    var wasSent = false
    /// When a released event may be delivered again.
    var releasedUntil: Instant = .min
    /// When to stop sending the settlement.
    var givenUpAt: Instant = .max

    init(_ arrival: Arrival, lockedUntil: Instant, extendAt: Instant) {
        sequence = arrival.sequence
        kind = arrival.kind
        count = AttemptCount(arrival)
        self.lockedUntil = lockedUntil
        self.extendAt = extendAt
    }
}
