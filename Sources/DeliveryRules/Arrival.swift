/// A delivery that came from the server.
package struct Arrival: Sendable, Equatable {
    /// What the driver found in the message.
    package enum Kind: Sendable, Equatable {
        case event
        /// Its `expirytime` has passed.
        case expired
        /// It is not an event.
        case undecodable
    }

    /// The stream's sequence: the event's name in all inputs and commands.
    package let sequence: UInt64
    /// JetStream's count of deliveries, this one included.
    package let deliveries: Int
    /// How many of the earlier deliveries are recorded as ended without an attempt.
    package let unattempted: Int
    package let kind: Kind
    /// The number of the pull it answers, as in the command.
    package let pull: UInt32

    package init(sequence: UInt64, deliveries: Int, unattempted: Int = 0, kind: Kind = .event, pull: UInt32) {
        self.sequence = sequence
        self.deliveries = max(1, deliveries)
        self.unattempted = max(0, unattempted)
        self.kind = kind
        self.pull = pull
    }
}
