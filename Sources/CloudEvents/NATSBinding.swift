/// Events in NATS messages: binary and structured mode.
///
/// Source: CloudEvents "NATS Protocol Binding"; binary mode is newer than version 1.0.2 of the specification (NATS-02).
public enum NATSBinding {
    /// A message header: a name as it is written, and a value ready for the wire.
    public typealias Header = (name: String, value: String)
    /// What a NATS message carries.
    public typealias Message = (headers: [Header], payload: ArraySlice<UInt8>)

    /// Reads an event in the mode that the message is in.
    ///
    /// A `Content-Type` of the CloudEvents family means structured mode (NATS-01). So does a message without any `ce-`
    /// header, as senders without header support write it. Everything else is binary mode. Names are compared in any
    /// case of letters (NATS-07); values are read leniently (NATS-11).
    ///
    /// - Throws: ``InvalidEvent`` with every violation, or with one of rule `NATS-01` or `NATS-03` if the content type
    ///   names a format that is not read, or a batch.
    @inlinable
    public static func decode(
        headers: some Sequence<(name: String, value: String)>,
        payload: ArraySlice<UInt8>
    ) throws(InvalidEvent) -> CloudEvent {
        var reader = NATSMessageReader()
        for header in headers { reader.add(name: header.name, value: header.value) }
        return try reader.finish(payload: payload)
    }

    /// Writes an event in structured mode, with the content type that marks it as such.
    public static func encodeStructured(_ event: CloudEvent) -> Message {
        ([("Content-Type", structuredMediaType(of: event))], JSONFormat.encode(event)[...])
    }

    /// The content type of an event in structured mode, such that ``decode(headers:payload:)`` finds its data byte for byte.
    package static func structuredMediaType(of event: CloudEvent) -> String {
        event.data?.hasOuterSpace == true ? JSONFormat.spaceKeepingMediaType : JSONFormat.mediaType
    }

    /// Writes an event in binary mode: all attributes as `ce-` headers (NATS-06), the data as payload.
    ///
    /// JSON data without content type gets the implied `application/json` (JSON-13).
    public static func encodeBinary(_ event: CloudEvent) -> Message {
        var headers = BinaryModeWriter.fields(of: event)
        if let contentType = event.effectiveContentType {
            headers.append(("ce-datacontenttype", HeaderValueCoding.encode(contentType)))
        }
        return (headers, event.data?.bytes ?? [])
    }
}

/// Finds out the mode of a NATS message while its headers pass by.
@usableFromInline
struct NATSMessageReader: ~Copyable {
    private var binary = BinaryModeReader(binding: .nats)
    private var mode = ContentMode.binary
    private var hasAttributes = false
    private var contentType: String?

    @usableFromInline
    init() {}

    @usableFromInline
    mutating func add(name: String, value: String) {
        var copy = name
        let (isContentType, isAttribute) = copy.withUTF8 { bytes in
            (bytes.equalsIgnoringCase("content-type"), bytes.startsIgnoringCase("ce-"))
        }
        if isAttribute { hasAttributes = true }
        if isContentType, mode == .binary {
            mode = ContentMode(contentType: value)
            contentType = value
        }
        binary.add(name: name, value: value)
    }

    @usableFromInline
    consuming func finish(payload: ArraySlice<UInt8>) throws(InvalidEvent) -> CloudEvent {
        let pointer = "/headers/content-type"
        switch mode {
        case .structured:
            return try JSONFormat.decode(payload, contentType: contentType)
        case .binary where !hasAttributes:
            return try JSONFormat.decode(payload)
        case .binary:
            return try binary.finish(body: payload)
        case .batch:
            let detail = "a NATS message carries one event, not a batch"
            throw InvalidEvent(Violation(pointer: pointer, rule: "NATS-03", detail: detail))
        case .unknownFormat:
            let detail = "the event format is not JSON, the only one that is read"
            throw InvalidEvent(Violation(pointer: pointer, rule: "NATS-01", detail: detail))
        }
    }
}
