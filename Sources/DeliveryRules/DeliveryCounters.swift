/// What a machine has counted since it was made.
package struct DeliveryCounters: Sendable, Equatable {
    /// Attempts that left this process.
    package internal(set) var attempts: UInt64 = 0
    /// Events whose settlement the server confirmed after the receiver took them.
    package internal(set) var delivered: UInt64 = 0
    /// Attempts that failed and will be made again.
    package internal(set) var retried: UInt64 = 0
    /// Deliveries given back without an attempt.
    package internal(set) var handedBack: UInt64 = 0

    private var letters: [UInt64] = Array(repeating: 0, count: DeadLetterReason.allCases.count)

    /// Events whose dead letter was stored and whose settlement the server confirmed, by reason.
    package func deadLettered(_ reason: DeadLetterReason) -> UInt64 { letters[reason.index] }

    /// All dead letters together.
    package var deadLettered: UInt64 { letters.reduce(0, +) }

    /// Adds what another machine counted.
    package mutating func add(_ other: DeliveryCounters) {
        attempts += other.attempts
        delivered += other.delivered
        retried += other.retried
        handedBack += other.handedBack
        for index in letters.indices { letters[index] += other.letters[index] }
    }

    mutating func countDeadLetter(_ reason: DeadLetterReason) { letters[reason.index] += 1 }

    package init() {}
}

extension DeadLetterReason {
    /// Its place in a table.
    fileprivate var index: Int {
        switch self {
        case .retriesExhausted: 0
        case .rejected: 1
        case .terminated: 2
        case .maxDeliveries: 3
        case .expired: 4
        case .undeliverable: 5
        case .schema: 6
        case .gone: 7
        }
    }
}
