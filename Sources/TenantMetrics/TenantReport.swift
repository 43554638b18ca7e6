/// The totals of one tenant over all replicas, as Redis holds them.
public struct TenantReport: Sendable, Equatable {
    /// The counts of one reason.
    public struct Rejection: Sendable, Equatable {
        /// Why.
        public let reason: RejectReason
        /// How many events.
        public let count: UInt64
    }

    /// The accepted events of one type.
    public struct TypeTotal: Sendable, Equatable {
        /// The type's name.
        public let type: String
        /// How many events.
        public let count: UInt64
    }

    /// The counts of one minute.
    public struct Minute: Sendable, Equatable {
        /// When it starts, in seconds since 1970.
        public let start: Int64
        /// Accepted events, duplicates included.
        public internal(set) var accepted: UInt64 = 0
        /// Accepted events that had been stored before.
        public internal(set) var duplicates: UInt64 = 0
        /// Stored payload bytes.
        public internal(set) var bytes: UInt64 = 0
        /// Rejected events.
        public internal(set) var rejected: UInt64 = 0
    }

    /// The tenant's name.
    public let tenant: String
    /// Accepted events, duplicates included.
    public internal(set) var accepted: UInt64 = 0
    /// Accepted events that had been stored before.
    public internal(set) var duplicates: UInt64 = 0
    /// Stored payload bytes.
    public internal(set) var bytes: UInt64 = 0
    /// Rejected events by reason, the reasons that occurred only.
    public internal(set) var rejected: [Rejection] = []
    /// Accepted events by type, the most frequent first; with `otherTypes` they sum to `accepted`.
    public internal(set) var types: [TypeTotal] = []
    /// Accepted events of types that are not kept one by one.
    public internal(set) var otherTypes: UInt64 = 0
    /// What became of deliveries to the tenant's subscriptions.
    public internal(set) var deliveries = DeliveryCounts()
    /// When the last event was accepted, in milliseconds since 1970, to about a second; `nil` if none was.
    public internal(set) var lastEventTime: Int64?
    /// The minutes of the last 24 hours in which something happened, the oldest first; the others are left out.
    public internal(set) var series: [Minute] = []
    /// Keys in Redis that hold something Sluice does not write; it is left out of the figures.
    public internal(set) var unreadable: [String] = []
}
