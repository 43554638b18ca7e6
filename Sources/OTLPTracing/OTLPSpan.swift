public import Tracing

/// A span of an ``OTLPTracer``.
///
/// Any thread may use it; after its end it does not change any more.
/// One that is not recorded keeps its ids and its name only.
public struct OTLPSpan: Span {
    /// The span's ids; also of one that is not recorded.
    public let spanContext: SpanContext
    private let startName: String
    private let parentContext: ServiceContext
    private let record: Locked<SpanRecord>?
    private let queue: SpanQueue?

    init(_ name: String, context: SpanContext, in parentContext: ServiceContext) {
        spanContext = context
        startName = name
        self.parentContext = parentContext
        record = nil
        queue = nil
    }

    init(_ record: SpanRecord, in parentContext: ServiceContext, queue: SpanQueue) {
        spanContext = record.context
        startName = record.name
        self.parentContext = parentContext
        self.record = Locked(record)
        self.queue = queue
    }

    /// The context that the span was started in, with this span as the current one.
    public var context: ServiceContext {
        var context = parentContext
        context.spanContext = spanContext
        return context
    }

    /// Whether it is recorded and has not ended.
    public var isRecording: Bool { record?.withLock { $0.isOpen } ?? false }

    /// Its name.
    public var operationName: String {
        get { record?.withLock { $0.name } ?? startName }
        nonmutating set {
            let name = SpanLimits.bounded(newValue)
            change { $0.name = name }
        }
    }

    /// What is kept of the attributes.
    ///
    /// ``setAttribute(_:to:)-(_,String)`` and its overloads cost less than setting one of them here.
    public var attributes: SpanAttributes {
        get { record?.withLock { $0.attributes }.attributes ?? [:] }
        nonmutating set {
            guard record != nil else { return }
            let list = SpanAttributeList(newValue, countMax: SpanLimits.attributesMax)
            change { $0.attributes = list }
        }
    }

    /// Sets an attribute to a text, of which at most 256 bytes are kept.
    public func setAttribute(_ key: String, to text: String) { change { $0.attributes.set(key, to: text) } }

    /// Sets an attribute to a number.
    public func setAttribute(_ key: String, to number: Int) {
        change { $0.attributes.set(key, to: .integer(Int64(number))) }
    }

    /// Sets an attribute to true or false.
    public func setAttribute(_ key: String, to flag: Bool) { change { $0.attributes.set(key, to: .bool(flag)) } }

    /// Sets the status; a message only goes with an error.
    public func setStatus(_ status: SpanStatus) { change { $0.set(status) } }

    /// Notes that something happened.
    public func addEvent(_ event: SpanEvent) {
        guard record != nil else { return }
        let attributes = SpanAttributeList(event.attributes, countMax: SpanLimits.innerAttributesMax)
        add(event.name, at: event.nanosecondsSinceEpoch, attributes)
    }

    /// Notes an error as an event `exception` (OpenTelemetry semantic conventions); does not set the status.
    public func recordError<Instant: TracerInstant>(
        _ error: any Error,
        attributes: SpanAttributes,
        at instant: @autoclosure () -> Instant
    ) {
        guard record != nil else { return }
        var list = SpanAttributeList(countMax: SpanLimits.innerAttributesMax)
        list.set("exception.type", to: String(reflecting: type(of: error)))
        list.set("exception.message", to: String(describing: error))
        // swift-format-ignore: ReplaceForEachWithForLoop
        attributes.forEach { list.set($0, to: $1) }
        add("exception", at: instant().nanosecondsSinceEpoch, list)
    }

    /// Connects it with another span; a context without one is ignored.
    public func addLink(_ link: SpanLink) {
        guard record != nil, let context = link.context.spanContext else { return }
        let attributes = SpanAttributeList(link.attributes, countMax: SpanLimits.innerAttributesMax)
        change { $0.add(SpanRecord.Link(context: context, attributes: attributes)) }
    }

    /// Ends it at an instant.
    ///
    /// Only the first end counts.
    public func end<Instant: TracerInstant>(at instant: @autoclosure () -> Instant) {
        guard let record, let queue else { return }
        let (end, wall, monotonic) = (instant().nanosecondsSinceEpoch, SpanClock.wall(), SpanClock.monotonic())
        let isFirst = record.withLock { record in
            guard record.isOpen else { return false }
            record.times.end(instant: end, wall: wall, monotonic: monotonic)
            return true
        }
        if isFirst { queue.append(record) }
    }

    /// Ends it now.
    ///
    /// Only the first end counts.
    public func end() {
        guard let record, let queue else { return }
        let monotonic = SpanClock.monotonic()
        let isFirst = record.withLock { record in
            guard record.isOpen else { return false }
            record.times.end(monotonic: monotonic)
            return true
        }
        if isFirst { queue.append(record) }
    }

    private func add(_ name: String, at instant: UInt64, _ attributes: SpanAttributeList) {
        let (wall, monotonic) = (SpanClock.wall(), SpanClock.monotonic())
        let name = SpanLimits.bounded(name)
        change { record in
            let time = record.times.time(of: instant, wall: wall, monotonic: monotonic)
            record.add(SpanRecord.Event(name: name, time: time, attributes: attributes))
        }
    }

    @inline(__always)
    private func change(_ body: (inout SpanRecord) -> Void) {
        record?.withLock { if $0.isOpen { body(&$0) } }
    }
}
