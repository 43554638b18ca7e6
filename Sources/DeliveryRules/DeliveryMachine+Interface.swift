extension DeliveryMachine {
    /// What happened.
    package enum Input: Sendable, Equatable {
        /// Begin, or begin again after `pause`: forgets what is known of the endpoint's health.
        case start
        /// Make no new attempts and give back what waits. The driver cancels its pulls.
        case pause
        /// The same as `start`.
        case resume
        /// As `pause`, and for good: what runs is finished, then ``DeliveryMachine/isIdle`` is true.
        case drain
        /// The configuration changed.
        case change(DeliveryPolicy)
        /// A delivery came.
        case arrived(Arrival)
        /// So many deliveries came in answer to a pull and are none of ours (filtered out).
        case skipped(pull: UInt32, count: Int)
        /// Nothing more comes in answer to a pull, whatever the reason.
        case pullEnded(UInt32)
        /// The one answer to `attempt`; `isShared` for all but the first of the attempts that were one request, whose result
        /// says nothing more about the endpoint.
        case attempted(sequence: UInt64, AttemptResult, isShared: Bool = false)
        /// The one answer to `acknowledge` and to `release`.
        case settled(sequence: UInt64, confirmed: Bool)
        /// The one answer to `deadLetter`.
        case deadLettered(sequence: UInt64, stored: Bool)
        /// The connection to the broker is gone; all pulls ended.
        case connectionLost
        /// The connection is back.
        case connected
        /// The moment ``DeliveryMachine/nextWake`` has come.
        case wake
    }

    /// What the driver is to do, in this order.
    package enum Command: Sendable, Equatable {
        /// Ask the server for so many deliveries.
        case pull(id: UInt32, count: Int)
        /// Try to deliver; answered by `attempted`.
        case attempt(sequence: UInt64, number: Int)
        /// Settle for good, confirmed; answered by `settled`.
        case acknowledge(UInt64)
        /// Give back, confirmed, to be delivered again after `delay`; answered by `settled`.
        ///
        /// With `unattempted` the driver first records that so many deliveries of the event, in all, had no attempt;
        /// it gives back even if that fails.
        case release(UInt64, delay: Duration, unattempted: Int?)
        /// Tell the server that work goes on; without an answer.
        case extend(UInt64)
        /// Store a dead letter; answered by `deadLettered`. `attempts` were made.
        case deadLetter(UInt64, DeadLetterReason, attempts: Int)
        /// The delivery ran out while it waited: record as for `release`, if possible, send nothing, drop it.
        case lapsed(UInt64, unattempted: Int)
        /// Drop what is held of the event; a record of its unattempted deliveries too, if `settled`.
        case forget(UInt64, settled: Bool)
        /// No attempt will be made before `start`: disable the subscription.
        case disable(DisableReason)
        /// The breaker's state changed.
        case breaker(CircuitBreaker.State)
    }

    /// Why a subscription is to be disabled.
    package enum DisableReason: Sendable, Equatable {
        /// The endpoint answered 410.
        case gone
        /// No attempt succeeded for the policy's `disableAfter`.
        case noSuccess
    }
}
