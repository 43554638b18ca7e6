import CloudEvents
import Testing

/// White space around JSON data belongs to it where the data is a whole body (HTTP-07), and nowhere else.
@Suite struct OuterSpaceTests {
    private static let texts = ["{\"a\":1}\n", "  [1]", "\r\n\t5 ", "\"s\" ", "null\n"]

    private func event(_ body: String) throws -> CloudEvent {
        let fields = [
            ("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/s"), ("ce-type", "t"),
            ("Content-Type", "application/json"),
        ]
        return try HTTPBinding.decode(fields: fields.map { (name: $0.0, value: $0.1) }, body: bytes(body))
    }

    @Test(arguments: texts) func `a body is kept byte for byte through a structured NATS message`(body: String) throws {
        let event = try event(body)
        #expect(event.data?.bytes == bytes(body))
        let message = NATSBinding.encodeStructured(event)
        #expect(message.headers.map(\.value) == [JSONFormat.spaceKeepingMediaType])
        #expect(ContentMode(contentType: message.headers[0].value) == .structured)
        let read = try NATSBinding.decode(headers: message.headers, payload: message.payload)
        #expect(read == event)
        // Who does not know the parameter has the same value without the space.
        let plain = try JSONFormat.decode(message.payload)
        #expect(plain.data.map { text($0.bytes) } == body.trimmingPrefix(while: \.isWhitespace).trimmedEnd)
    }

    @Test func `space around a member of an envelope is not the data's`() throws {
        let written = #"{"specversion":"1.0","id":"1","source":"/s","type":"t", "data" : {"a":1} }"#
        let read = try NATSBinding.decode(
            headers: [(name: "Content-Type", value: JSONFormat.mediaType)],
            payload: bytes(written)
        )
        #expect(read.data.map { text($0.bytes) } == #"{"a":1}"#)
        #expect(NATSBinding.encodeStructured(try event("{}")).headers.map(\.value) == [JSONFormat.mediaType])
    }
}

extension Substring {
    fileprivate var trimmedEnd: String {
        String(String(reversed().drop(while: \.isWhitespace)).reversed())
    }
}
