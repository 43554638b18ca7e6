package import CloudEvents
package import JetStream

/// An event as it goes into the stream: CloudEvents JSON structured mode (NATS binding §3.2) with our own headers only.
package enum EventMessage {
    /// The media type of a stored event.
    private static let contentType = HeaderValue.literal("application/cloudevents+json")
    /// The same where the data's white space is kept (``JSONFormat/spaceKeepingMediaType``).
    private static let spaceKeepingContentType = HeaderValue.literal(
        "application/cloudevents+json; data-space=preserve"
    )

    /// Builds the message of an event.
    ///
    /// - Parameters:
    ///   - event: a valid event.
    ///   - text: the event's JSON text as the producer sent it, which is stored unchanged; `nil` writes the event anew
    ///     (its `data` bytes are still the producer's).
    ///   - tenant: whose event it is.
    ///   - stream: the stream that must take it.
    ///   - prefix: the first tokens of the subject.
    ///   - trace: the trace context of the request.
    package static func make(
        _ event: CloudEvent,
        text: ArraySlice<UInt8>?,
        tenant: TenantName,
        stream: StreamName,
        prefix: SubjectPrefix,
        trace: TraceContext
    ) -> OutboundMessage {
        let payload: ArraySlice<UInt8>
        var contentType = Self.contentType
        if let text {
            payload = text
        } else {
            var bytes: [UInt8] = []
            JSONFormat.encode(event, into: &bytes)
            payload = bytes[...]
            if event.data?.hasOuterSpace == true { contentType = Self.spaceKeepingContentType }
        }
        return OutboundMessage(
            subject: EventRoute.subject(prefix: prefix, tenant: tenant, lane: Lane(of: event), type: event.type),
            expectedStream: stream,
            headers: MessageHeaders(
                messageID: EventIdentity.messageID(tenant: tenant, source: event.source, id: event.id),
                contentType: contentType,
                traceparent: trace.parent,
                tracestate: trace.state
            ),
            payload: payload
        )
    }
}
