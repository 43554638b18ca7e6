/// An event in hand.
struct DeliveryEntry: Sendable {
    enum Stage: Sendable {
        /// For a place, the breaker, the rate or the end of a pause.
        case waiting
        /// The last attempt could not leave the process; waits until `due`.
        case resting
        /// An attempt runs.
        case attempting
        /// A dead letter is being stored.
        case storing
        /// It was not stored; tried again at `due`.
        case unstored
        /// The settlement was sent; its answer is to come.
        case settling
        /// The settlement was not confirmed; sent again at `due`.
        case unsettled

        /// Whether it takes one of the `maxInFlight` places.
        var holdsPlace: Bool {
            switch self {
            case .settling, .unsettled: false
            default: true
            }
        }
    }

    /// How the event leaves.
    enum End: Sendable {
        case delivered
        case deadLetter
        case released
    }

    let sequence: UInt64
    var kind: Arrival.Kind
    var stage: Stage = .waiting
    var end: End = .released
    var reason: DeadLetterReason = .rejected
    /// Whether its delivery had an attempt.
    var wasAttempted = false
    /// While the release was under way the server delivered again, before the release's time (false) or after (true).
    var redelivered: Bool?
    var count: AttemptCount
    /// How often in a row the attempt could not be made, or the dead letter not stored.
    var failures = 0
    /// Until when the server certainly waits for us.
    var lease: Instant
    /// When to tell the server that work goes on.
    var extendAt: Instant
    /// When something is to be done in the stages that have an end in time.
    var due: Instant = .max
    /// Whether the release went out for the latest delivery.
    var wasSent = false
    /// When a released event may be delivered again.
    var releasedUntil: Instant = .min
    /// When to stop sending the settlement.
    var givenUpAt: Instant = .max

    /// An event whose first delivery here is `arrival`.
    init(_ arrival: Arrival, lease: Instant, extendAt: Instant) {
        sequence = arrival.sequence
        kind = arrival.kind
        count = AttemptCount(arrival)
        self.lease = lease
        self.extendAt = extendAt
    }

    /// The server delivered again what was released, at its time: a delivery like any other.
    mutating func renew(_ arrival: Arrival) {
        kind = arrival.kind
        count.renew(arrival)
        wasAttempted = false
        failures = 0
    }
}
