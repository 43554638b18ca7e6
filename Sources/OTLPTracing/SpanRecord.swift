import Tracing

/// What a recorded span knows.
struct SpanRecord: Sendable {
    /// Something that happened within the span.
    struct Event: Sendable {
        let name: String
        /// Nanoseconds since 1970, as the span counts them.
        let time: UInt64
        let attributes: SpanAttributeList
    }

    /// Another span that this one has to do with.
    struct Link: Sendable {
        let context: SpanContext
        let attributes: SpanAttributeList
    }

    let context: SpanContext
    /// The span id of the parent; zero for the first span of a trace.
    let parentID: UInt64
    let parentIsRemote: Bool
    let kind: SpanKind
    var name: String
    var times: SpanTimes
    var attributes = SpanAttributeList(countMax: SpanLimits.attributesMax)
    private(set) var events: [Event] = []
    private(set) var links: [Link] = []
    private(set) var eventsDropped: UInt32 = 0
    private(set) var linksDropped: UInt32 = 0
    private(set) var status: SpanStatus?

    init(_ name: String, context: SpanContext, parent: SpanContext?, kind: SpanKind, times: SpanTimes) {
        self.name = SpanLimits.bounded(name)
        self.context = context
        self.kind = kind
        self.times = times
        parentID = parent?.spanID ?? 0
        parentIsRemote = parent?.isRemote ?? false
    }

    /// Whether it can still be changed.
    var isOpen: Bool { times.duration == nil }

    mutating func add(_ event: Event) {
        guard events.count < SpanLimits.eventsMax else {
            eventsDropped &+= 1
            return
        }
        events.append(event)
    }

    mutating func add(_ link: Link) {
        guard links.count < SpanLimits.eventsMax else {
            linksDropped &+= 1
            return
        }
        links.append(link)
    }

    /// Sets the status; `ok` is the last word (OpenTelemetry tracing API, Set Status).
    mutating func set(_ status: SpanStatus) {
        if case .ok = self.status?.code { return }
        self.status = SpanStatus(code: status.code, message: status.message.map(SpanLimits.bounded))
    }
}
