/// Events in HTTP messages: binary, structured and batch mode.
///
/// It knows header fields as name and value and bodies as bytes, so that it fits any HTTP library.
///
/// Source: CloudEvents 1.0 "HTTP Protocol Binding".
public enum HTTPBinding {
    /// A header field: a name as it is written, and a value ready for the wire.
    public typealias Field = (name: String, value: String)
    /// What an HTTP message carries.
    public typealias Message = (fields: [Field], body: ArraySlice<UInt8>)

    /// Tells the content mode from the value of `Content-Type`; `nil` if there is no such field (HTTP-02).
    public static func contentMode(contentType: String?) -> ContentMode {
        ContentMode(contentType: contentType)
    }

    /// Tells whether all four required attributes are there as fields (HTTP-04).
    ///
    /// Then the message is meant to be an event in binary mode. The values are not looked at.
    public static func isCloudEvent(fields: some Sequence<Field>) -> Bool {
        var missing: Set<String> = ["ce-specversion", "ce-id", "ce-source", "ce-type"]
        for field in fields where !missing.isEmpty { missing.remove(field.name.lowercased()) }
        return missing.isEmpty
    }

    /// Reads an event in binary mode.
    ///
    /// - Parameters:
    ///   - fields: All header fields in wire order, repeated fields repeated and never joined (HTTP-08, CE-02). Those
    ///     that are neither `ce-…` nor `Content-Type` are ignored.
    ///   - body: The data, byte for byte (HTTP-07). Data of a JSON content type must be JSON (JSON-17).
    /// - Throws: ``InvalidEvent`` with every violation; pointers are `/headers/<lower-case name>` and `/body`.
    @inlinable
    public static func decode(
        fields: some Sequence<(name: String, value: String)>,
        body: ArraySlice<UInt8>
    ) throws(InvalidEvent) -> CloudEvent {
        var reader = BinaryModeReader(binding: .http)
        for field in fields { reader.add(name: field.name, value: field.value) }
        return try reader.finish(body: body)
    }

    /// Reads the body of a message in structured mode; header fields do not count (HTTP-18).
    ///
    /// - Throws: ``InvalidEvent`` as ``JSONFormat/decode(_:limits:)`` does.
    public static func decodeStructured(
        _ body: ArraySlice<UInt8>,
        limits: JSONLimits = .default
    ) throws(InvalidEvent) -> CloudEvent {
        try JSONFormat.decode(body, limits: limits)
    }

    /// Reads the body of a message in batch mode.
    ///
    /// - Throws: ``InvalidEvent`` as ``JSONFormat/decodeBatch(_:limits:)`` does.
    public static func decodeBatch(
        _ body: ArraySlice<UInt8>,
        limits: JSONLimits = .default
    ) throws(InvalidEvent) -> [BatchEntry] {
        try JSONFormat.decodeBatch(body, limits: limits)
    }

    /// Writes an event in binary mode.
    ///
    /// JSON data without content type gets the implied `application/json` (JSON-13). An event whose data is itself of a
    /// CloudEvents media type cannot travel in binary mode, because its `Content-Type` would say otherwise (HTTP-02);
    /// it is written in structured mode.
    public static func encodeBinary(_ event: CloudEvent) -> Message {
        let contentType = event.effectiveContentType
        guard ContentMode(contentType: contentType) == .binary else { return encodeStructured(event) }
        var fields = BinaryModeWriter.fields(of: event)
        if let contentType { fields.append(("Content-Type", contentType)) }
        return (fields, event.data?.bytes ?? [])
    }

    /// Tells whether a webhook in binary mode says all that the event is.
    ///
    /// Not without data, or a content type, since a delivery has both (HOOK-03), and a type must not be made up (JSON-10).
    /// Not for text whose type names a charset that we would have to encode it in (JSON-17).
    package static func canBeBinaryWebhook(_ event: CloudEvent) -> Bool {
        guard let data = event.data, let type = event.effectiveContentType else { return false }
        if case .text = data { return MediaType(type)?.hasForeignCharset != true }
        return true
    }

    /// Writes an event in structured mode.
    public static func encodeStructured(_ event: CloudEvent) -> Message {
        ([("Content-Type", JSONFormat.mediaType)], JSONFormat.encode(event)[...])
    }

    /// Writes events in batch mode; send it only to receivers that asked for batches (BATCH-06).
    public static func encodeBatch(_ events: some Sequence<CloudEvent>) -> Message {
        ([("Content-Type", JSONFormat.batchMediaType)], JSONFormat.encodeBatch(events)[...])
    }
}

/// Writes attributes as header fields, all but the data content type, whose place differs between the bindings.
enum BinaryModeWriter {
    static func fields(of event: CloudEvent) -> [(name: String, value: String)] {
        var fields: [(name: String, value: String)] = []
        fields.reserveCapacity(8 + event.extensions.count)
        fields.append(("ce-specversion", CloudEvent.specversion))
        fields.append(("ce-id", HeaderValueCoding.encode(event.id)))
        fields.append(("ce-source", HeaderValueCoding.encode(event.source)))
        fields.append(("ce-type", HeaderValueCoding.encode(event.type)))
        if let subject = event.subject { fields.append(("ce-subject", HeaderValueCoding.encode(subject))) }
        if let time = event.time { fields.append(("ce-time", HeaderValueCoding.encode(time.text))) }
        if let schema = event.dataSchema { fields.append(("ce-dataschema", HeaderValueCoding.encode(schema))) }
        for (name, value) in event.extensions {
            fields.append(("ce-" + name, HeaderValueCoding.encode(value.canonicalText)))
        }
        return fields
    }
}
