/// Makes an event from header fields, given one after the other, and a body.
///
/// It is what ``HTTPBinding`` and ``NATSBinding`` use for binary mode; feed it directly to save building a list of
/// fields. All fields must be given, in wire order, repeated ones repeated; those that do not concern it are ignored.
public struct BinaryModeReader: ~Copyable {
    /// Which transport's rules apply.
    public enum Binding: Sendable, Hashable {
        /// `Content-Type` is the data content type; `ce-datacontenttype` is forbidden (HTTP-06).
        case http
        /// `ce-datacontenttype` is the data content type (NATS-06). Reads leniently (NATS-11): raw UTF-8 and a bare `%`
        /// are taken as they are, and `Content-Type` counts if the other is absent.
        case nats
    }

    private let binding: Binding
    private var builder = EventBuilder(place: .headers)
    private var fallbackContentType: String?

    /// Creates a reader that has seen no field yet.
    public init(binding: Binding) { self.binding = binding }

    /// Takes one field; the name in any case of letters, the value raw as on the wire.
    public mutating func add(name: String, value: String) {
        var name = name
        name.withUTF8 { bytes in
            if bytes.count >= 3, bytes[0] | 0x20 == 0x63, bytes[1] | 0x20 == 0x65, bytes[2] == 0x2D {
                addAttribute(bytes.part(3..<bytes.count), value)
            } else if bytes.equalsIgnoringCase("content-type") {
                addContentType(value)
            }
        }
    }

    /// Makes the event.
    ///
    /// - Parameter body: The data, byte for byte; empty means that there is none.
    /// - Throws: ``InvalidEvent`` with every violation; pointers are `/headers/<lower-case name>` and `/body`.
    public consuming func finish(body: ArraySlice<UInt8>) throws(InvalidEvent) -> CloudEvent {
        if let fallbackContentType, !builder.hasSeen(.datacontenttype) {
            builder.take(.datacontenttype, fallbackContentType, isPlain: true, pointer: Self.contentTypePointer)
        }
        builder.takeBytes(body)
        return try builder.finish()
    }

    private static let contentTypePointer = "/headers/content-type"

    /// Takes the `Content-Type` field, whose value is neither unquoted nor percent-decoded (HTTP-06).
    ///
    /// The grammar of media types has no room for controls and non-ASCII characters, so these need no own look.
    private mutating func addContentType(_ value: String) {
        let text = Self.trimmed(value)
        switch binding {
        case .nats:
            if fallbackContentType == nil { fallbackContentType = text }
        case .http:
            guard builder.isFirst(.datacontenttype, pointer: Self.contentTypePointer) else { return }
            builder.take(.datacontenttype, text, isPlain: true, pointer: Self.contentTypePointer)
        }
    }

    private static func trimmed(_ value: String) -> String {
        var copy = value
        return copy.withUTF8 { bytes in
            let part = HeaderValueCoding.trimmed(bytes)
            return part.count == bytes.count ? nil : String(decoding: part, as: UTF8.self)
        } ?? value
    }

    /// Takes a field whose name starts with `ce-`; `name` is the rest of it.
    private mutating func addAttribute(_ name: Bytes, _ value: String) {
        guard name.contains(where: { (0x41...0x5A).contains($0) }) else { return addLowercase(name, value) }
        name.map(\.lowercased).withUnsafeBufferPointer { addLowercase($0, value) }
    }

    private mutating func addLowercase(_ name: Bytes, _ value: String) {
        switch MemberName(name) {
        case .core(.datacontenttype) where binding == .http:
            let detail = "the data content type is carried by Content-Type; this field must not be present"
            builder.report(.datacontenttype, "HTTP-06", detail, pointer: "/headers/ce-datacontenttype")
        case .core(let core):
            guard builder.isFirst(core) else { return }
            switch HeaderValueCoding.decode(value, isLenient: binding == .nats) {
            case .text(let text, let isPlain): builder.take(core, text, isPlain: isPlain)
            case .fault(let rule, let detail): builder.report(core, rule, detail)
            }
        case .data:
            builder.report(extension: "data", "CE-05", "no attribute may be called 'data'")
        case .dataBase64, .other:
            addExtension(name, value)
        }
    }

    private mutating func addExtension(_ name: Bytes, _ value: String) {
        let text = String(decoding: name, as: UTF8.self)
        guard AttributeRules.isName(name) else { return builder.reportBadName(text) }
        guard builder.isFirst(extension: text) else { return }
        switch HeaderValueCoding.decode(value, isLenient: binding == .nats) {
        case .text(let value, let isPlain): builder.take(text, text: value, isPlain: isPlain)
        case .fault(let rule, let detail): builder.report(extension: text, rule, detail)
        }
    }
}
