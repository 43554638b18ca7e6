public import CloudEvents

/// Whether a subscription is being delivered to, and why not.
public enum SubscriptionState: Sendable, Hashable {
    /// Events are delivered.
    case active
    /// The sink has not agreed yet (CloudEvents webhook handshake); events wait.
    case awaitingConsent
    /// Somebody paused it; events wait.
    case paused
    /// Delivery was given up, for this reason; events wait.
    case disabled(reason: String)

    /// The state's name in the API.
    public var name: String {
        switch self {
        case .active: "active"
        case .awaitingConsent: "awaiting-consent"
        case .paused: "paused"
        case .disabled: "disabled"
        }
    }
}

/// What is known of a sink's agreement to be sent events (S-08).
public struct SinkConsent: Sendable, Equatable {
    /// How far the handshake is.
    public enum Status: String, Sendable, CaseIterable {
        /// None is wanted: no webhook, or the handshake is off.
        case notNeeded
        /// It was asked and has not agreed.
        case awaited
        /// It agreed.
        case granted
    }

    /// How far it is.
    public var status: Status
    /// The origin that was agreed to, sent with every request (HOOK-04).
    public var origin: String?
    /// Requests per minute that it takes; `nil` is no bound.
    public var ratePerMinute: Int?
    /// SHA-256 of the secret that a callback must bring, in hexadecimal; `nil` once it is used.
    public var callbackDigest: String?
    /// Until when a callback is taken.
    public var callbackExpiry: Timestamp?

    /// A consent in this state.
    public init(
        _ status: Status,
        origin: String? = nil,
        ratePerMinute: Int? = nil,
        callbackDigest: String? = nil,
        callbackExpiry: Timestamp? = nil
    ) {
        self.status = status
        self.origin = origin
        self.ratePerMinute = ratePerMinute
        self.callbackDigest = callbackDigest
        self.callbackExpiry = callbackExpiry
    }
}

/// A subscription with all that is kept of it.
///
/// Secrets lie in the bucket as they are: whoever may read it has them.
public struct SubscriptionRecord: Sendable, Equatable {
    /// The definition.
    public var subscription: Subscription
    /// Whether it is being delivered to.
    public var state: SubscriptionState
    /// The sink's agreement.
    public var consent: SinkConsent
    /// When it was made.
    public let created: Timestamp
    /// When definition or state were changed last.
    public var updated: Timestamp
    /// The first sequence of the stream that its present consumer was made from, at least 1.
    public package(set) var start: UInt64
    /// A sequence from 1 such that everything wanted below it is settled; the newest that was noted.
    public package(set) var cursor: UInt64
    /// The filter subjects of its present consumer.
    package var filterSubjects: [String]
    /// The revision in the bucket; 0 as long as it is not stored.
    public package(set) var revision: UInt64

    /// A record of these parts.
    package init(
        subscription: Subscription,
        state: SubscriptionState,
        consent: SinkConsent,
        created: Timestamp,
        updated: Timestamp,
        start: UInt64,
        cursor: UInt64,
        filterSubjects: [String],
        revision: UInt64 = 0
    ) {
        self.subscription = subscription
        self.state = state
        self.consent = consent
        self.created = created
        self.updated = updated
        self.start = start
        self.cursor = cursor
        self.filterSubjects = filterSubjects
        self.revision = revision
    }

    /// Tenant and id.
    public var key: SubscriptionKey { subscription.key }

    /// Whether events are to be delivered now.
    public var isActive: Bool { state == .active }

    /// Whether anything differs but how far delivery is.
    package func differsInSubstance(from other: SubscriptionRecord) -> Bool {
        var other = other
        other.cursor = cursor
        other.revision = revision
        return self != other
    }
}
