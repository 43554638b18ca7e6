public import CloudEvents
public import EventFilters

/// Who wants which events, and how they get there.
///
/// The members are those of the CloudEvents Subscriptions API; ``SubscriptionReader`` checks them when they come from
/// outside. A value is immutable in effect: to change a subscription, replace the whole.
public struct Subscription: Sendable {
    /// Its id within the tenant.
    public var id: SubscriptionName
    /// Whose it is; only this tenant's events are looked at.
    public var tenant: TenantName
    /// The only source whose events are wanted, compared by code units; `nil` is any.
    public var source: String?
    /// Types and patterns of which one must match; none is any type.
    public var types: [TypePattern]
    /// Filters that all must pass.
    public var filter: EventFilter
    /// Where events are pushed to; only with ``DeliveryProtocol/http``.
    public var sink: SinkURL?
    /// What the sink is shown to let us in.
    public var sinkCredential: SinkCredential?
    /// How events get to their receiver.
    public var deliveryProtocol: DeliveryProtocol
    /// What is particular to the protocol.
    public var settings: ProtocolSettings
    /// How delivery behaves.
    public var config: SubscriptionConfig
    /// Whether its position is not kept beyond the program that subscribes; only with ``DeliveryProtocol/handler``.
    package internal(set) var isTransient = false

    /// A subscription of defaults: every event of the tenant, from now on.
    public init(
        id: SubscriptionName = .random(),
        tenant: TenantName = .default,
        source: String? = nil,
        types: [TypePattern] = [],
        filter: EventFilter = .everything,
        sink: SinkURL? = nil,
        sinkCredential: SinkCredential? = nil,
        deliveryProtocol: DeliveryProtocol = .pull,
        settings: ProtocolSettings = ProtocolSettings(),
        config: SubscriptionConfig = SubscriptionConfig()
    ) {
        self.id = id
        self.tenant = tenant
        self.source = source
        self.types = types
        self.filter = filter
        self.sink = sink
        self.sinkCredential = sinkCredential
        self.deliveryProtocol = deliveryProtocol
        self.settings = settings
        self.config = config
    }

    /// Tenant and id.
    public var key: SubscriptionKey { SubscriptionKey(tenant: tenant, id: id) }

    /// Whether an event of the tenant is wanted: source, types and filters, all decided here.
    public func matches(_ event: CloudEvent) -> Bool {
        if let source, !CodeUnits.equal(source, event.source) { return false }
        return (types.isEmpty || types.contains { $0.matches(event.type) }) && filter.matches(event)
    }
}

extension Subscription: Equatable {
    /// Whether both are written the same, secrets included; by code units.
    public static func == (left: Subscription, right: Subscription) -> Bool {
        SubscriptionWriter.stored(left) == SubscriptionWriter.stored(right)
    }
}

/// How events get to their receiver.
public enum DeliveryProtocol: String, Sendable, CaseIterable {
    /// Pushed to a webhook.
    case http = "HTTP"
    /// Fetched and settled by the receiver.
    case pull = "PULL"
    /// Fetched by NATS clients from the consumer itself.
    case nats = "NATS"
    /// Given to a handler in a program that has the event bus as a library; the HTTP API does not make such ones.
    case handler = "HANDLER"
}

/// What is particular to a protocol.
public struct ProtocolSettings: Sendable, Equatable {
    /// A header field that every request to the sink carries.
    public struct Header: Sendable, Equatable {
        /// Its name, a token (RFC 9110 §5.6.2), as it was given.
        public let name: String
        /// Its value, printable ASCII.
        public let value: String

        /// A field that is not checked here.
        public init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    /// Fields for requests to the sink; only with ``DeliveryProtocol/http``.
    public var headers: [Header]

    /// Settings with the given fields, which are not checked here.
    public init(headers: [Header] = []) {
        self.headers = headers
    }
}
