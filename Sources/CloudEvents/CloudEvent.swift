/// An event as CloudEvents 1.0 describes it: attributes and data, every rule of the specification kept.
///
/// A value of this type is always valid: decoders and the initialiser refuse anything else with an ``InvalidEvent``
/// that lists all problems. Equality and hashing go by code units and bytes, never by canonical equivalence.
///
/// Source: CloudEvents 1.0 "Context Attributes" and "Event Data".
public struct CloudEvent: Sendable {
    /// The version of the specification that every event of this type follows.
    public static let specversion = "1.0"

    /// Identifies the event together with ``source``; not empty.
    public internal(set) var id: String
    /// Where the event happened, a URI-reference; not empty.
    public internal(set) var source: String
    /// What kind of event it is; not empty.
    public internal(set) var type: String
    /// What the event is about within its source; not empty if present.
    public internal(set) var subject: String?
    /// When it happened.
    public internal(set) var time: Timestamp?
    /// The media type of ``data``, as it came; RFC 2046.
    public internal(set) var dataContentType: String?
    /// The schema that ``data`` follows, an absolute URI.
    public internal(set) var dataSchema: String?
    /// All other attributes.
    public internal(set) var extensions: Extensions
    /// The data, if there is any.
    public internal(set) var data: EventData?

    /// Creates an event and checks it against all rules.
    ///
    /// Empty data counts as none. Binary data with a JSON content type is taken as JSON, since its bytes must be.
    ///
    /// - Throws: ``InvalidEvent`` with every violation; pointers are `/<attribute>`.
    public init(
        id: String,
        source: String,
        type: String,
        subject: String? = nil,
        time: Timestamp? = nil,
        dataContentType: String? = nil,
        dataSchema: String? = nil,
        extensions: Extensions = [:],
        data: EventData? = nil
    ) throws(InvalidEvent) {
        var builder = EventBuilder(place: .value)
        builder.take(.specversion, Self.specversion)
        builder.take(.id, id)
        builder.take(.source, source)
        builder.take(.type, type)
        if let subject { builder.take(.subject, subject) }
        if let time { builder.take(.time, time.text) }
        if let dataContentType { builder.take(.datacontenttype, dataContentType) }
        if let dataSchema { builder.take(.dataschema, dataSchema) }
        for (name, value) in extensions { builder.takeChecked(name, value) }
        builder.takeData(data)
        self = try builder.finish()
    }

    init(
        id: String,
        source: String,
        type: String,
        subject: String?,
        time: Timestamp?,
        dataContentType: String?,
        dataSchema: String?,
        extensions: Extensions,
        checkedData: EventData?
    ) {
        self.id = id
        self.source = source
        self.type = type
        self.subject = subject
        self.time = time
        self.dataContentType = dataContentType
        self.dataSchema = dataSchema
        self.extensions = extensions
        data = checkedData
    }

    /// The value of any attribute by its name, core or extension; `nil` if it is absent.
    public func attribute(named name: String) -> AttributeValue? {
        var copy = name
        switch copy.withUTF8({ MemberName($0) }) {
        case .core(.specversion): return .string(Self.specversion)
        case .core(.id): return .string(id)
        case .core(.source): return .uriReference(source)
        case .core(.type): return .string(type)
        case .core(.subject): return subject.map { .string($0) }
        case .core(.time): return time.map { .timestamp($0) }
        case .core(.datacontenttype): return dataContentType.map { .string($0) }
        case .core(.dataschema): return dataSchema.map { .uri($0) }
        case .data, .dataBase64: return nil
        case .other: return extensions[name]
        }
    }

    /// Sets an extension, or removes it with `nil`.
    ///
    /// - Throws: ``InvalidEvent`` if the name or the value breaks a rule, or the name is a core attribute's; the event
    ///   is unchanged then.
    public mutating func setExtension(_ value: AttributeValue?, for name: String) throws(InvalidEvent) {
        if let value {
            var builder = EventBuilder(place: .value)
            builder.takeChecked(name, value)
            if let error = InvalidEvent(builder.problems) { throw error }
        }
        extensions.set(value, for: name)
    }

    /// Sets what the event is about, or with `nil` takes it away.
    ///
    /// - Throws: ``InvalidEvent`` if the text is empty or breaks a rule for texts; the event is unchanged then.
    public mutating func setSubject(_ subject: String?) throws(InvalidEvent) {
        self = try CloudEvent(
            id: id,
            source: source,
            type: type,
            subject: subject,
            time: time,
            dataContentType: dataContentType,
            dataSchema: dataSchema,
            extensions: extensions,
            data: data
        )
    }

    /// Sets when the event happened, or with `nil` takes it away.
    public mutating func setTime(_ time: Timestamp?) { self.time = time }

    /// Sets data and content type together, since the one decides what the other means.
    ///
    /// - Throws: ``InvalidEvent`` if they do not fit; the event is unchanged then.
    public mutating func setData(_ data: EventData?, contentType: String?) throws(InvalidEvent) {
        self = try CloudEvent(
            id: id,
            source: source,
            type: type,
            subject: subject,
            time: time,
            dataContentType: contentType,
            dataSchema: dataSchema,
            extensions: extensions,
            data: data
        )
    }

    /// The content type, made explicit where JSON data only implies it (CE-23, JSON-13).
    public var effectiveContentType: String? {
        if let dataContentType { return dataContentType }
        if case .json? = data { return MediaType.implied }
        return nil
    }
}

extension CloudEvent: Hashable {
    /// Tells whether all attributes have the same text and the data the same bytes.
    public static func == (left: CloudEvent, right: CloudEvent) -> Bool {
        sameBytes(left.id, right.id) && sameBytes(left.source, right.source) && sameBytes(left.type, right.type)
            && sameBytes(left.subject, right.subject) && sameBytes(left.time?.text, right.time?.text)
            && sameBytes(left.dataContentType, right.dataContentType)
            && sameBytes(left.dataSchema, right.dataSchema) && left.extensions == right.extensions
            && left.data == right.data
    }

    /// Feeds the identity of the event to the hasher: source and id, as CloudEvents says.
    public func hash(into hasher: inout Hasher) {
        hashBytes(source, into: &hasher)
        hashBytes(id, into: &hasher)
    }
}
