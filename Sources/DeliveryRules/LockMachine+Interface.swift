extension LockMachine {
    /// One delivery in the hands of one client.
    package struct Lock: Sendable, Hashable {
        /// The stream's sequence.
        package let sequence: UInt64
        /// Which delivery of the event it is, as told to the client.
        package let delivery: Int
        /// The lock's own number in this machine, never used again.
        package let number: UInt64

        package init(sequence: UInt64, delivery: Int, number: UInt64) {
            self.sequence = sequence
            self.delivery = delivery
            self.number = number
        }
    }

    /// An event handed to a client.
    package struct Handed: Sendable, Equatable {
        package let lock: Lock
        /// Which delivery it is, counted from 1.
        package let deliveryCount: Int
        /// When the lock ends unless renewed.
        package let lockedUntil: Instant
    }

    /// What came of a client's call.
    package enum LockOutcome: Sendable, Equatable {
        /// Done, and confirmed by the server; with the lock's new end after a renewal.
        case succeeded(lockedUntil: Instant?)
        /// There is no such lock, or no longer; nothing was sent.
        case lost
        /// It is not known whether it was done: try again with the same lock.
        case failed
    }

    /// How a pull is to be made.
    package enum PullMode: Sendable, Equatable {
        /// What is there now (no_wait).
        case now
        /// Until this moment, if there is nothing.
        case waiting(until: Instant)
    }

    /// What happened.
    package enum Input: Sendable, Equatable {
        /// A client wants up to `max` events and waits until `until`.
        case receive(waiter: UInt64, max: Int, until: Instant)
        /// A waiting client went away.
        case gone(waiter: UInt64)
        /// A delivery came; `isLast` if the server says that nothing waits behind it.
        case arrived(Arrival, isLast: Bool)
        /// So many deliveries came in answer to a pull and are none of ours (filtered out).
        case skipped(pull: UInt32, count: Int)
        /// Nothing more comes in answer to a pull, whatever the reason.
        case pullEnded(UInt32)
        /// The client is done with the event.
        case acknowledge(Lock, call: UInt64)
        /// The client gives the event back.
        case release(Lock, delay: Duration, call: UInt64)
        /// The client will never take the event.
        case reject(Lock, call: UInt64)
        /// The client needs more time.
        case renew(Lock, call: UInt64)
        /// The one answer to `acknowledge` and to `release`.
        case settled(sequence: UInt64, confirmed: Bool)
        /// The one answer to `renew`.
        case renewed(call: UInt64, confirmed: Bool)
        /// The one answer to `deadLetter`.
        case deadLettered(sequence: UInt64, stored: Bool)
        /// Begin, or begin again after `pause`.
        case start
        /// Hand out nothing; locks stay good.
        case pause
        /// The same as `start`.
        case resume
        /// As `pause`, and for good.
        case drain
        /// The configuration changed.
        case change(DeliveryPolicy)
        /// The connection to the broker is gone; all pulls ended.
        case connectionLost
        /// The connection is back.
        case connected
        /// The moment ``LockMachine/nextWake`` has come.
        case wake
    }

    /// What the driver is to do, in this order.
    package enum Command: Sendable, Equatable {
        /// Ask the server for so many deliveries.
        case pull(id: UInt32, count: Int, PullMode)
        /// The one answer to `receive`, unless the client went away; empty if its time is over.
        case hand(waiter: UInt64, [Handed])
        /// The one answer to a client's call.
        case answer(call: UInt64, LockOutcome)
        /// As in ``DeliveryMachine/Command``.
        case acknowledge(UInt64)
        /// As in ``DeliveryMachine/Command``.
        case release(UInt64, delay: Duration, unattempted: Int?)
        /// Tell the server, confirmed, that the client needs more time; answered by `renewed`.
        case renew(UInt64, call: UInt64)
        /// As in ``DeliveryMachine/Command``.
        case extend(UInt64)
        /// As in ``DeliveryMachine/Command``.
        case deadLetter(UInt64, DeadLetterReason, attempts: Int)
        /// As in ``DeliveryMachine/Command``.
        case lapsed(UInt64, unattempted: Int)
        /// As in ``DeliveryMachine/Command``.
        case forget(UInt64, settled: Bool)
    }
}
