/// What happened to tenants in a stretch of time: made by ``TenantTally``, folded into ``TenantMetrics``.
public struct TenantDelta: Sendable {
    /// The counts of one tenant.
    public struct Counts: Sendable {
        /// The tenant's name.
        public let tenant: String
        /// Accepted events, duplicates included.
        public internal(set) var accepted: UInt64 = 0
        /// Accepted events that had been stored before.
        public internal(set) var duplicates: UInt64 = 0
        /// Stored payload bytes.
        public internal(set) var bytes: UInt64 = 0
        /// Rejected events by reason.
        public internal(set) var rejected = RejectCounts()
        /// Accepted events by type; with `otherTypes` they sum to `accepted`.
        public internal(set) var types: [TypeCount] = []
        /// Accepted events of types that found no place.
        public internal(set) var otherTypes: UInt64 = 0

        /// What became of deliveries.
        public internal(set) var deliveries = DeliveryCounts()

        /// Accepted and rejected events.
        public var events: UInt64 { accepted.adding(rejected.total) }
    }

    /// The accepted events of one type.
    public struct TypeCount: Sendable, Equatable {
        /// The type's name.
        public let type: String
        /// How many.
        public internal(set) var count: UInt64
    }

    /// The tenants to which something happened.
    public let tenants: [Counts]
    /// Events, accepted or rejected, of tenants that found no place.
    public let dropped: UInt64
    /// All counts of deliveries of such tenants.
    public let droppedDeliveries: UInt64

    /// Accepted and rejected events, the dropped ones included.
    public var events: UInt64 { tenants.reduce(dropped) { $0.adding($1.events) } }

    /// All counts of deliveries, the dropped ones included.
    public var deliveries: UInt64 { tenants.reduce(droppedDeliveries) { $0.adding($1.deliveries.total) } }
}
