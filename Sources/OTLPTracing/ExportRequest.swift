import Tracing

/// An `ExportTraceServiceRequest` (opentelemetry/proto/collector/trace/v1, opentelemetry/proto/trace/v1).
struct ExportRequest {
    /// A request ends before the span that would make it longer than this.
    static let bytesMax = 4 << 20

    private let resource: [(key: String, value: String)]
    private let scope: (name: String, version: String?)

    init(_ configuration: OTLPConfiguration) {
        let own = ["telemetry.sdk.language": "swift", "telemetry.sdk.name": "sluice"]
        let attributes = configuration.resource.merging(own) { given, _ in given }
        resource = attributes.sorted { $0.key < $1.key }.map { (key: $0.key, value: $0.value) }
        scope = configuration.scope
    }

    /// Encodes as many of the spans as one request may hold, at least one.
    ///
    /// - Returns: The request, and how many spans are in it.
    func encode(_ spans: ArraySlice<Locked<SpanRecord>>) -> (bytes: [UInt8], count: Int) {
        var writer = ProtobufWriter(capacity: 512 + spans.count * 256)
        var count = 0
        writer.message(1) { request in
            request.message(1) { resource in
                for (key, value) in self.resource { resource.attribute(1, key, .text(value)) }
            }
            request.message(2) { scopeSpans in
                scopeSpans.message(1) { scope in
                    scope.text(1, self.scope.name)
                    scope.text(2, self.scope.version ?? "")
                }
                for span in spans where count == 0 || scopeSpans.bytes.count < Self.bytesMax {
                    scopeSpans.message(2) { message in span.withLock { message.span($0) } }
                    count += 1
                }
            }
        }
        return (writer.bytes, count)
    }
}

extension ProtobufWriter {
    /// Whether `flags` says where the parent is, and that it is remote.
    private static let hasIsRemote: UInt32 = 0x100
    private static let isRemote: UInt32 = 0x200

    fileprivate mutating func span(_ span: SpanRecord) {
        id(1, span.context.traceIDHigh, span.context.traceIDLow)
        id(2, span.context.spanID)
        text(3, span.context.state ?? "")
        if span.parentID != 0 { id(4, span.parentID) }
        text(5, span.name)
        varint(6, Self.number(of: span.kind))
        fixed64(7, span.times.start)
        fixed64(8, span.times.end)
        attributes(9, span.attributes, dropped: 10)
        for event in span.events {
            message(11) { message in
                message.fixed64(1, event.time)
                message.text(2, event.name)
                message.attributes(3, event.attributes, dropped: 4)
            }
        }
        varint(12, UInt64(span.eventsDropped))
        for link in span.links { message(13) { $0.link(link) } }
        varint(14, UInt64(span.linksDropped))
        if let status = span.status { message(15) { $0.status(status) } }
        fixed32(16, UInt32(span.context.flags) | Self.hasIsRemote | (span.parentIsRemote ? Self.isRemote : 0))
    }

    private mutating func link(_ link: SpanRecord.Link) {
        id(1, link.context.traceIDHigh, link.context.traceIDLow)
        id(2, link.context.spanID)
        text(3, link.context.state ?? "")
        attributes(4, link.attributes, dropped: 5)
        fixed32(6, UInt32(link.context.flags) | Self.hasIsRemote | (link.context.isRemote ? Self.isRemote : 0))
    }

    private mutating func status(_ status: SpanStatus) {
        switch status.code {
        case .ok: varint(3, 1)
        case .error:
            text(2, status.message ?? "")
            varint(3, 2)
        }
    }

    private static func number(of kind: SpanKind) -> UInt64 {
        switch kind {
        case .internal: 1
        case .server: 2
        case .client: 3
        case .producer: 4
        case .consumer: 5
        }
    }

    private mutating func attributes(_ field: UInt64, _ list: SpanAttributeList, dropped: UInt64) {
        for (key, value) in list.entries { attribute(field, key, value) }
        varint(dropped, UInt64(list.dropped))
    }

    fileprivate mutating func attribute(_ field: UInt64, _ key: String, _ value: SpanAttributeList.Value) {
        message(field) { pair in
            pair.text(1, key)
            pair.message(2) { $0.value(value) }
        }
    }

    private mutating func value(_ value: SpanAttributeList.Value) {
        switch value {
        case .text(let text): member(1, ofOneof: text)
        case .bool(let flag): member(2, ofOneof: flag ? 1 : 0 as UInt64)
        case .integer(let number): member(3, ofOneof: UInt64(bitPattern: number))
        case .double(let number): member(4, ofOneof: number)
        case .array(let elements):
            message(5) { array in
                for element in elements { array.message(1) { $0.value(element) } }
            }
        }
    }
}
