/// Bounds on JSON texts from outside.
public struct JSONLimits: Sendable, Hashable {
    /// How deep objects and arrays may nest within an event's data, from 0 to 64.
    ///
    /// The same in every content mode, so that an event accepted in one can be carried in another.
    public var depthMax: Int
    /// How many events a batch may hold; it bounds what a text of tiny elements can make the reader allocate.
    public var eventsMax: Int

    /// Creates limits; a depth beyond 64 counts as 64.
    public init(depthMax: Int = 64, eventsMax: Int = 100_000) {
        self.depthMax = min(max(0, depthMax), JSONScanner.depthMax)
        self.eventsMax = eventsMax
    }

    /// Depth 64, a hundred thousand events.
    public static let `default` = JSONLimits()
}

/// An event together with the JSON text that it was read from.
public struct TextEvent: Sendable {
    /// The event.
    public let event: CloudEvent
    /// Its bytes as they came, without byte order mark and surrounding white space; a slice of the input.
    public let text: ArraySlice<UInt8>
}

/// An element of a batch: what it says, or what is wrong with it.
public struct BatchEntry: Sendable {
    /// The element's bytes as they came; a slice of the input.
    public let text: ArraySlice<UInt8>
    /// The event, or all of its violations with pointers that start with `/<index>`.
    public let result: Result<CloudEvent, InvalidEvent>
}

/// The JSON event format and its batch form.
///
/// Reading is one pass over the bytes; JSON data stays a slice of the input and is written back byte for byte. Time and
/// memory are linear in the text, whatever it holds.
///
/// Source: CloudEvents 1.0 "JSON Event Format"; RFC 8259, read strictly.
public enum JSONFormat {
    /// Media type of a single event.
    public static let mediaType = "application/cloudevents+json"
    /// Media type of an event whose data has white space around it that belongs to it.
    ///
    /// Data that came as a whole body is kept byte for byte with it (HTTP-07); who does not know the parameter sees the same
    /// event with the same JSON value.
    public static let spaceKeepingMediaType = "application/cloudevents+json; data-space=preserve"
    /// Media type of a batch.
    public static let batchMediaType = "application/cloudevents-batch+json"

    /// Reads one event.
    ///
    /// - Throws: ``InvalidEvent``: one violation `JSON-02` if the text is not JSON at all (the detail names the byte),
    ///   otherwise every violation in it.
    public static func decode(
        _ text: ArraySlice<UInt8>,
        limits: JSONLimits = .default
    ) throws(InvalidEvent) -> CloudEvent {
        try decodeWithText(text, limits: limits).event
    }

    /// Reads one event and also gives its text, fit to be passed on as it is.
    ///
    /// - Throws: ``InvalidEvent`` as ``decode(_:limits:)`` does.
    public static func decodeWithText(
        _ text: ArraySlice<UInt8>,
        limits: JSONLimits = .default
    ) throws(InvalidEvent) -> TextEvent {
        try read(text, limits, keepsSpace: false)
    }

    /// Reads one event from a message with this content type, which may say that white space around the data belongs to it.
    package static func decode(
        _ text: ArraySlice<UInt8>,
        contentType: String?
    ) throws(InvalidEvent) -> CloudEvent {
        let keepsSpace = contentType.map { $0.utf8.elementsEqual(spaceKeepingMediaType.utf8) } ?? false
        return try read(text, .default, keepsSpace: keepsSpace).event
    }

    private static func read(
        _ text: ArraySlice<UInt8>,
        _ limits: JSONLimits,
        keepsSpace: Bool
    ) throws(InvalidEvent) -> TextEvent {
        let unmarked = JSONScanner.withoutByteOrderMark(text)
        return try unmarked.withUnsafeBufferPointer { (bytes) throws(InvalidEvent) in
            var reader = EnvelopeReader(bytes, of: unmarked, markLength: text.count - unmarked.count, limits: limits)
            reader.keepsSpace = keepsSpace
            return try reader.readDocument()
        }
    }

    /// Reads a batch; every element is judged on its own.
    ///
    /// - Throws: ``InvalidEvent`` only if the text as a whole is no batch: not JSON, not an array, too deep, or with
    ///   more events than allowed (rule `BATCH-06`).
    /// - Returns: One entry per element, in order.
    public static func decodeBatch(
        _ text: ArraySlice<UInt8>,
        limits: JSONLimits = .default
    ) throws(InvalidEvent) -> [BatchEntry] {
        let unmarked = JSONScanner.withoutByteOrderMark(text)
        let result = unmarked.withUnsafeBufferPointer { bytes in
            var reader = EnvelopeReader(bytes, of: unmarked, markLength: text.count - unmarked.count, limits: limits)
            return reader.readBatch()
        }
        return try result.get()
    }

    /// Appends an event as one JSON object; JSON data is copied byte for byte.
    ///
    /// No attribute is added that the event does not have (JSON-10). Values of types that JSON does not know become
    /// strings (JSON-04).
    public static func encode(_ event: CloudEvent, into output: inout [UInt8]) {
        JSONWriter.write(event, into: &output)
    }

    /// An event as one JSON object.
    public static func encode(_ event: CloudEvent) -> [UInt8] {
        var output: [UInt8] = []
        encode(event, into: &output)
        return output
    }

    /// Appends events as one JSON array.
    public static func encodeBatch(_ events: some Sequence<CloudEvent>, into output: inout [UInt8]) {
        output.append(UInt8(ascii: "["))
        var isFirst = true
        for event in events {
            if !isFirst { output.append(UInt8(ascii: ",")) }
            isFirst = false
            encode(event, into: &output)
        }
        output.append(UInt8(ascii: "]"))
    }

    /// Events as one JSON array.
    public static func encodeBatch(_ events: some Sequence<CloudEvent>) -> [UInt8] {
        var output: [UInt8] = []
        encodeBatch(events, into: &output)
        return output
    }
}
