import JetStream

/// What all workers share.
struct DeliveryServices: Sendable {
    /// The stream of the events.
    let events: StreamName
    /// The stream of the dead letters.
    let deadLetters: StreamName
    let ledger: HandBackLedger
    /// Whether a subscription is still as in this record, by the bucket's leader; nil if that cannot be known now.
    let isCurrent: @Sendable (SubscriptionRecord) async -> Bool?
    /// Called when a subscription's consumer is not there, or the one for its dead letters.
    let consumerGone: @Sendable (_ key: SubscriptionKey, _ isForDeadLetters: Bool) -> Void
    /// Whether the stream of dead letters still has a message; nil if that cannot be known now.
    let hasLetter: @Sendable (UInt64) async -> Bool?
    /// Called when a subscription as it is in this record is to be disabled, with the reason for people.
    let disable: @Sendable (SubscriptionRecord, String) -> Void
    /// Told how long each attempt took, in nanoseconds; returns at once.
    let attemptTook: @Sendable (Int64) -> Void
    let log: @Sendable (DeliveryLogLine) -> Void
}

/// Something about a subscription's delivery that an operator wants to know.
struct DeliveryLogLine: Sendable {
    let key: SubscriptionKey
    let text: String
    let isWarning: Bool
}
