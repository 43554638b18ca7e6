public import Instrumentation
public import Logging
public import Tracing

/// A tracer that exports spans by OTLP over HTTP, in protobuf.
///
/// Recording a span takes no I/O and never waits: ended spans go to a bounded queue, which ``run()`` empties. What the
/// collector does not take in time is dropped and counted in ``status``.
public final class OTLPTracer: Tracer {
    /// What it was made with.
    public let configuration: OTLPConfiguration
    private let sampler: OTLPSampler
    private let ids = SpanIDs()
    private let queue: SpanQueue
    private let exporter: SpanExporter

    /// A tracer whose spans wait in the queue until ``run()`` exports them.
    public init(configuration: OTLPConfiguration, logger: Logger) {
        self.configuration = configuration
        sampler = configuration.sampler
        queue = SpanQueue(countMax: configuration.queueMax, batchMax: configuration.batchMax)
        exporter = SpanExporter(configuration: configuration, queue: queue, logger: logger)
    }

    /// Exports until the task is cancelled; then exports what is left, for at most the configuration's `shutdownTimeout`.
    ///
    /// To be called once; a second call returns at once.
    public func run() async { await exporter.run() }

    /// Asks for an export of what waits, without waiting for it.
    public func forceFlush() { exporter.flush() }

    /// What became of the spans so far.
    public var status: OTLPStatus { exporter.status }

    /// Spans that were recorded and will never reach the collector: the queue was full, or the export failed for good.
    public var dropped: UInt64 {
        let status = status
        return status.droppedByQueue + status.droppedByFailure + status.rejected
    }

    /// Starts a span, as a child of the context's span if that has one.
    public func startSpan<Instant: TracerInstant>(
        _ operationName: String,
        context: @autoclosure () -> ServiceContext,
        ofKind kind: SpanKind,
        at instant: @autoclosure () -> Instant,
        function: String,
        file fileID: String,
        line: UInt
    ) -> OTLPSpan {
        let parentContext = context()
        let parent = parentContext.spanContext
        let own = makeContext(parent)
        guard own.isSampled else { return OTLPSpan(operationName, context: own, in: parentContext) }
        let times = SpanTimes(
            instant: instant().nanosecondsSinceEpoch,
            wall: SpanClock.wall(),
            monotonic: SpanClock.monotonic()
        )
        let record = SpanRecord(operationName, context: own, parent: parent, kind: kind, times: times)
        return OTLPSpan(record, in: parentContext, queue: queue)
    }

    /// Starts a span now, as a child of `parent`: the short way for hot paths.
    public func startSpan(_ operationName: String, parent: SpanContext?, ofKind kind: SpanKind) -> OTLPSpan {
        let own = makeContext(parent)
        guard own.isSampled else { return OTLPSpan(operationName, context: own, in: .topLevel) }
        let times = SpanTimes(wall: SpanClock.wall(), monotonic: SpanClock.monotonic())
        let record = SpanRecord(operationName, context: own, parent: parent, kind: kind, times: times)
        return OTLPSpan(record, in: .topLevel, queue: queue)
    }

    /// The ids of a new span, and whether it is recorded.
    private func makeContext(_ parent: SpanContext?) -> SpanContext {
        guard let parent else {
            let (high, low) = ids.makeTraceID()
            let flags = sampler.samples(traceIDLow: low, parent: nil) ? SpanContext.sampledFlag : 0
            return SpanContext(traceIDHigh: high, traceIDLow: low, spanID: ids.makeSpanID(), flags: flags)
        }
        let isSampled = sampler.samples(traceIDLow: parent.traceIDLow, parent: parent)
        return SpanContext(
            traceIDHigh: parent.traceIDHigh,
            traceIDLow: parent.traceIDLow,
            spanID: ids.makeSpanID(),
            flags: parent.flags & SpanContext.randomFlag | (isSampled ? SpanContext.sampledFlag : 0),
            state: parent.state
        )
    }
}

extension OTLPTracer {
    /// Puts the span of a context into what is sent: `traceparent`, and `tracestate` if there is one.
    public func inject<Carrier, Inject: Injector>(
        _ context: ServiceContext,
        into carrier: inout Carrier,
        using injector: Inject
    ) where Inject.Carrier == Carrier {
        guard let span = context.spanContext else { return }
        injector.inject(span.traceParent, forKey: SpanContext.parentField, into: &carrier)
        guard let state = span.state else { return }
        injector.inject(state, forKey: SpanContext.stateField, into: &carrier)
    }

    /// Takes the sender's span from what was received; without a valid `traceparent` the context stays as it is.
    public func extract<Carrier, Extract: Extractor>(
        _ carrier: Carrier,
        into context: inout ServiceContext,
        using extractor: Extract
    ) where Extract.Carrier == Carrier {
        guard let parent = extractor.extract(key: SpanContext.parentField, from: carrier) else { return }
        let state = extractor.extract(key: SpanContext.stateField, from: carrier)
        guard let remote = SpanContext(traceParent: parent, traceState: state) else { return }
        context.spanContext = remote
    }
}

extension Logger.MetadataProvider {
    /// `trace_id` and `span_id` of the current task's span, for every log line.
    public static let spanContext = Logger.MetadataProvider {
        guard let span = ServiceContext.current?.spanContext else { return [:] }
        return ["trace_id": "\(span.traceIDText)", "span_id": "\(span.spanIDText)"]
    }
}
