import CloudEvents
import JetStream

/// The headers of a stored message that belong to its event, as they go with it into another stream.
///
/// That is the closed set of S-02: `ce-` attributes of binary mode, `Content-Type`, `traceparent`, `tracestate`. Values are
/// carried as they are where they can be; what cannot stand in a header of ours is percent-encoded, which every reader of
/// the binding undoes (NATS binding, "Header Values").
struct CarriedHeaders {
    private(set) var contentType: HeaderValue?
    private(set) var event: [(name: EventHeader, value: HeaderValue)] = []
    /// The names of `ce-` headers that could not be carried: no attribute's name, or longer than a header may be.
    private(set) var omitted: [String] = []
    let trace: TraceContext

    init(_ headers: [(name: String, value: String)]) {
        var parent: String?
        var state: String?
        for (name, value) in headers {
            if Self.isName(name, "traceparent") {
                parent = parent ?? value
            } else if Self.isName(name, "tracestate") {
                state = state ?? value
            } else if Self.isName(name, "content-type") {
                contentType = contentType ?? Self.value(value)
            } else if Self.lowered(name).starts(with: "ce-".utf8) {
                if let name = EventHeader(name), let value = Self.value(value) {
                    event.append((name, value))
                } else {
                    omitted.append(name)
                }
            }
        }
        trace = TraceContext(parent: parent, state: state)
    }

    /// The names that could not be carried, in words for an error text; nil if there are none.
    var omission: String? {
        guard !omitted.isEmpty else { return nil }
        let names = omitted.prefix(5).map { String($0.prefix(80)) }.joined(separator: ", ")
        return "headers left out: \(names)\(omitted.count > 5 ? " and \(omitted.count - 5) more" : "")"
    }

    /// The first value of a header, compared without regard to ASCII case.
    static func first(_ name: String, in headers: [(name: String, value: String)]) -> String? {
        headers.first { isName($0.name, name) }?.value
    }

    private static func isName(_ name: String, _ wanted: String) -> Bool {
        name.utf8.count == wanted.utf8.count && lowered(name).elementsEqual(lowered(wanted))
    }

    private static func lowered(_ name: String) -> some Sequence<UInt8> {
        name.utf8.lazy.map { (65...90).contains($0) ? $0 + 32 : $0 }
    }

    /// The value as it is, or with what cannot stand in a header percent-encoded; an empty one is an empty quoted string.
    private static func value(_ text: String) -> HeaderValue? {
        if let value = HeaderValue(text) { return value }
        guard !text.isEmpty else { return HeaderValue("\"\"") }
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            if (0x20..<0x7F).contains(byte) {
                bytes.append(byte)
            } else {
                bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return HeaderValue(String(decoding: bytes, as: UTF8.self))
    }
}
