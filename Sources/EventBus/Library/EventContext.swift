public import CloudEvents
import JetStream

/// What an event comes with beside itself: whose it is, what caused it, and where it belongs in a trace.
///
/// A handler gets one with each event; given to a publish, it makes the new event part of the same story.
public struct EventContext: Sendable {
    /// Whose event it is.
    public var tenant: TenantName
    /// What names the whole story: the `correlationid` extension, or the first event's id.
    public var correlationID: String?
    /// The id of the event that caused this one: the `causationid` extension.
    public var causationID: String?
    /// `traceparent` of W3C Trace Context.
    public var traceParent: String?
    /// `tracestate` of W3C Trace Context.
    public var traceState: String?
    /// Which attempt to deliver it this is, counted from 1; 0 for a context of no delivery.
    public var attempt = 0
    /// The event's sequence in the stream; 0 for a context of no delivery.
    public var sequence: UInt64 = 0

    /// A context for publishing.
    public init(
        tenant: TenantName = .default,
        correlationID: String? = nil,
        causationID: String? = nil,
        traceParent: String? = nil,
        traceState: String? = nil
    ) {
        self.tenant = tenant
        self.correlationID = correlationID
        self.causationID = causationID
        self.traceParent = traceParent
        self.traceState = traceState
    }

    /// The context that a handler gets.
    init(_ delivery: Delivery, tenant: TenantName) {
        self.init(
            tenant: tenant,
            correlationID: delivery.event.extensions["correlationid"]?.canonicalText,
            causationID: delivery.event.extensions["causationid"]?.canonicalText
        )
        if delivery.message.hasHeaders {
            let trace = TraceContext(
                parent: delivery.message.header("traceparent"),
                state: delivery.message.header("tracestate")
            )
            traceParent = trace.parent?.text
            traceState = trace.state?.text
        }
        attempt = delivery.attempt
        sequence = delivery.sequence
    }

    /// The context for events that `event`, handled in this one, causes: the same story, one step on.
    public func caused(by event: CloudEvent) -> EventContext {
        var next = self
        next.correlationID = correlationID ?? event.id
        next.causationID = event.id
        next.attempt = 0
        next.sequence = 0
        return next
    }
}
