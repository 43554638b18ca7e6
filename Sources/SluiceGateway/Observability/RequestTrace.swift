import EventBus
import NIOHTTP1
import OTLPTracing
import Tracing

/// The spans of one publishing request: the request itself (server), and within it validating and publishing.
///
/// Names and attributes follow OpenTelemetry's semantic conventions for HTTP, messaging and CloudEvents. What goes on with
/// the events is the context of the request's span, so that whoever handles them continues it. Confined to its event loop.
final class RequestTrace {
    private let tracer: OTLPTracer
    private let request: OTLPSpan
    private var step: OTLPSpan?

    /// Starts the request's span, as a child of the sender's if the request names one.
    init(_ tracer: OTLPTracer, _ head: HTTPRequestHead, _ route: RouteLabel) {
        self.tracer = tracer
        let parent = head.headers.first(name: SpanContext.parentField).flatMap {
            SpanContext(traceParent: $0, traceState: head.headers.first(name: SpanContext.stateField))
        }
        let path = head.uri.prefix { $0 != "?" }
        request = tracer.startSpan("POST \(path)", parent: parent, ofKind: .server)
        request.setAttribute("http.request.method", to: "POST")
        request.setAttribute("url.path", to: String(path))
        request.setAttribute("http.route", to: String(path))
    }

    /// What travels with the events.
    var context: TraceContext {
        TraceContext(parent: request.spanContext.traceParent, state: request.spanContext.state)
    }

    /// The ids for log lines.
    var ids: SpanContext { request.spanContext }

    /// Starts the span of reading and checking the body.
    func validate() { step = tracer.startSpan("validate", parent: request.spanContext, ofKind: .internal) }

    /// Ends the span of validation and starts that of publishing.
    func publish(_ plan: Intake.Plan, stream: String) {
        endStep()
        let span = tracer.startSpan("send \(stream)", parent: request.spanContext, ofKind: .producer)
        span.setAttribute("messaging.system", to: "nats")
        span.setAttribute("messaging.operation.type", to: "send")
        span.setAttribute("messaging.destination.name", to: stream)
        switch plan {
        case .single(let event):
            span.setAttribute("cloudevents.event_id", to: event.id)
            span.setAttribute("cloudevents.event_source", to: event.source)
            span.setAttribute("cloudevents.event_type", to: event.type)
        case .batch(let entries): span.setAttribute("messaging.batch.message_count", to: entries.count)
        }
        step = span
    }

    /// Notes why nothing, or not everything, was stored.
    func failed(_ problem: Problem) {
        let span = step ?? request
        span.setAttribute("error.type", to: problem.kind.rawValue)
        span.setStatus(SpanStatus(code: .error, message: problem.detail))
    }

    /// Notes what the stream acknowledged.
    func stored(_ receipt: Receipt) {
        step?.setAttribute("messaging.message.id", to: Int(clamping: receipt.sequence))
        if receipt.isDuplicate { step?.setAttribute("sluice.duplicate", to: true) }
    }

    /// Ends all spans with the answer.
    func answered(_ status: HTTPResponseStatus) {
        endStep()
        request.setAttribute("http.response.status_code", to: Int(status.code))
        // Of a server's span only its own faults are errors (HTTP semantic conventions).
        if status.code >= 500 { request.setStatus(SpanStatus(code: .error)) }
        request.end()
    }

    /// Ends all spans: the client has gone, and nobody is answered.
    func abandoned() {
        (step ?? request).setAttribute("error.type", to: "client_disconnected")
        endStep()
        request.setStatus(SpanStatus(code: .error, message: "the client closed the connection"))
        request.end()
    }

    private func endStep() {
        step?.end()
        step = nil
    }
}
