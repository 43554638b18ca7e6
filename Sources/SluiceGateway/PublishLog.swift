import EventBus
import Hummingbird
import JetStream
import Logging
import NIOHTTP1
import OTLPTracing

/// The log lines of the publishing path: every key once, in one place.
///
/// What went well is `debug`: at `info` a busy gateway would do little else. A refused request is `info`, a fault of ours
/// or of the broker `warning`. Values are the client's own text; the log handler escapes and bounds them (S-18).
enum PublishLog {
    static func accepted(
        _ event: Intake.Single,
        _ receipt: Receipt,
        _ request: PublishRequest,
        _ trace: RequestTrace?,
        _ logger: Logger
    ) {
        guard logger.logLevel <= .debug else { return }
        var metadata = base(request, trace)
        describe(event, &metadata)
        metadata["sequence"] = "\(receipt.sequence)"
        metadata["duplicate"] = "\(receipt.isDuplicate)"
        logger.debug("event stored", metadata: metadata)
    }

    static func batch(
        _ job: BatchJob,
        _ status: HTTPResponseStatus,
        _ request: PublishRequest,
        _ trace: RequestTrace?,
        _ logger: Logger
    ) {
        let level: Logger.Level = status.code >= 500 ? .warning : status.code == 207 ? .info : .debug
        guard logger.logLevel <= level else { return }
        var metadata = base(request, trace)
        metadata["events"] = "\(job.entries.count)"
        metadata["status"] = "\(status.code)"
        logger.log(level: level, "batch answered", metadata: metadata)
    }

    static func refused(
        _ problem: Problem,
        requestID: String,
        event: Intake.Single?,
        head: HTTPRequestHead,
        _ trace: RequestTrace?,
        _ logger: Logger
    ) {
        let level: Logger.Level = problem.kind.status.code >= 500 ? .warning : .info
        guard logger.logLevel <= level else { return }
        var metadata = describe(problem, requestID, method: head.method.rawValue, target: head.uri)
        if let tenant = head.headers.first(name: "x-tenant-id") { metadata["tenant"] = "\(tenant)" }
        let sender = head.headers.first(name: SpanContext.parentField).flatMap { SpanContext(traceParent: $0) }
        describe(trace?.ids ?? sender, &metadata)
        if let event { describe(event, &metadata) }
        logger.log(level: level, "request refused", metadata: metadata)
    }

    /// Bytes that are no request.
    static func refused(_ problem: Problem, requestID: String, _ logger: Logger) {
        guard logger.logLevel <= .info else { return }
        logger.info("request refused", metadata: describe(problem, requestID, method: "", target: ""))
    }

    /// A request that no route takes.
    static func refused(_ problem: Problem, requestID: String, request: Request, _ logger: Logger) {
        guard logger.logLevel <= .info else { return }
        var metadata = describe(problem, requestID, method: request.method.rawValue, target: request.uri.description)
        let parents = request.headers[values: .literal(SpanContext.parentField)]
        describe(parents.count == 1 ? SpanContext(traceParent: parents[0]) : nil, &metadata)
        logger.info("request refused", metadata: metadata)
    }

    private static func describe(
        _ problem: Problem,
        _ requestID: String,
        method: String,
        target: String
    ) -> Logger.Metadata {
        [
            "request_id": "\(requestID)", "status": "\(problem.kind.status.code)",
            "problem": "\(problem.kind.rawValue)",
            "detail": "\(problem.detail)", "method": "\(method)", "target": "\(target)",
        ]
    }

    private static func base(_ request: PublishRequest, _ trace: RequestTrace?) -> Logger.Metadata {
        var metadata: Logger.Metadata = ["tenant": "\(request.tenant)"]
        if let requestID = request.requestID { metadata["request_id"] = "\(requestID)" }
        let sender = request.trace.parent.flatMap { SpanContext(traceParent: $0.description) }
        describe(trace?.ids ?? sender, &metadata)
        return metadata
    }

    /// The request's own span if there is one, else the sender's: what a search in the traces finds.
    private static func describe(_ span: SpanContext?, _ metadata: inout Logger.Metadata) {
        guard let span else { return }
        metadata["trace_id"] = "\(span.traceIDText)"
        metadata["span_id"] = "\(span.spanIDText)"
    }

    private static func describe(_ event: Intake.Single, _ metadata: inout Logger.Metadata) {
        metadata["event_id"] = "\(event.id)"
        metadata["event_type"] = "\(event.type)"
        metadata["event_source"] = "\(event.source)"
    }
}
