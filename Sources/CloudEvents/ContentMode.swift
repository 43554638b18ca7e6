/// How a message carries events, as its content type tells.
public enum ContentMode: Sendable, Hashable {
    /// Attributes in header fields, data in the body.
    case binary
    /// One event in a JSON text.
    case structured
    /// An array of events in a JSON text.
    case batch
    /// A CloudEvents media type in a format or charset that is not read here, such as `application/cloudevents+avro`.
    case unknownFormat

    /// Tells the mode from a content type; `nil` stands for a message without one.
    ///
    /// The prefix decides, in any case of letters, and the longer prefix first (HTTP-02). Only the JSON formats are
    /// read; a charset other than UTF-8 or US-ASCII contradicts them.
    public init(contentType: String?) {
        guard var text = contentType else {
            self = .binary
            return
        }
        self = text.withUTF8 { Self.mode(HeaderValueCoding.trimmed($0)) }
    }

    private static func mode(_ text: Bytes) -> ContentMode {
        let batch: StaticString = "application/cloudevents-batch"
        let single: StaticString = "application/cloudevents"
        if text.startsIgnoringCase(batch) {
            return isJSON(text.part(batch.utf8CodeUnitCount..<text.count)) ? .batch : .unknownFormat
        }
        if text.startsIgnoringCase(single) {
            return isJSON(text.part(single.utf8CodeUnitCount..<text.count)) ? .structured : .unknownFormat
        }
        return .binary
    }

    /// Tells whether what follows the prefix is `+json` with any parameters but a foreign charset.
    private static func isJSON(_ rest: Bytes) -> Bool {
        guard rest.startsIgnoringCase("+json") else { return false }
        var parameters = rest.part(5..<rest.count)
        guard !parameters.isEmpty else { return true }
        parameters = HeaderValueCoding.trimmed(parameters)
        guard parameters.first == UInt8(ascii: ";") else { return false }
        let type = MediaType("application/json" + String(decoding: parameters, as: UTF8.self))
        return !(type?.hasForeignCharset ?? false)
    }
}
