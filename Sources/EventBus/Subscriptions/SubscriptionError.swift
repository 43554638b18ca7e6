public import CloudEvents

/// Why a subscription could not be made, changed or removed.
public enum SubscriptionError: Error, Sendable, Equatable, CustomStringConvertible {
    /// There is none of this name.
    case notFound
    /// There is one of this name already.
    case exists
    /// Others changed it at the same time, again and again; nothing was changed.
    case conflict
    /// It cannot be as it is defined.
    case invalid([Violation])
    /// The call is for another protocol than this subscription's.
    case wrongProtocol(DeliveryProtocol)
    /// The tenant has as many as it may have.
    case tooMany(limit: Int)
    /// The event stream has as many consumers as nats-server lets it have, for all tenants together; `count` is how many,
    /// `nil` where that could not be read.
    case tooManyConsumers(stream: String, count: Int?)
    /// NATS is away or refuses, for this reason. Doing the same again is safe.
    case unavailable(String)

    /// One line for people, safe to log.
    public var description: String {
        switch self {
        case .notFound: "there is no such subscription"
        case .exists: "there is a subscription of this name already"
        case .conflict: "the subscription is being changed by others"
        case .invalid(let violations): violations.map(Self.words).joined(separator: "; ")
        case .wrongProtocol(let actual): "the subscription has the protocol \(actual.rawValue)"
        case .tooMany(let limit): "the tenant has \(limit) subscriptions, which is the limit"
        case .tooManyConsumers(let stream, let count):
            """
            the stream \(stream) has \(count.map { "\($0) consumers, as many" } ?? "as many consumers") as \
            nats-server lets it have: delete subscriptions that nobody needs, or raise the limit (max_consumers of the \
            stream or the account, default_max_consumers of nats-server's JetStream limits)
            """
        case .unavailable(let reason): reason
        }
    }

    /// A violation on one line; that of the whole has no pointer.
    private static func words(_ violation: Violation) -> String {
        violation.pointer.isEmpty ? violation.detail : "\(violation.pointer): \(violation.detail)"
    }
}
