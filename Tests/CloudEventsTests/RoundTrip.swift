import CloudEvents

/// Carries an event through every mode and binding and back.
enum RoundTrip {
    struct Result {
        let event: CloudEvent
        let expected: CloudEvent
    }

    /// What came back, beside what should have: the event itself, less what the way cannot carry.
    static func all(_ event: CloudEvent) throws -> [(mode: String, result: Result)] {
        let asJSON = try typed(event) { value in
            switch value {
            case .boolean, .integer: value
            default: .string(value.canonicalText)
            }
        }
        // White space around the data is nobody's in a JSON text, unless its content type says otherwise.
        let asValue = try withoutOuterSpace(asJSON)
        let asText = try explicit(typed(event) { .string($0.canonicalText) })
        let http = HTTPBinding.encodeBinary(event)
        let natsBinary = NATSBinding.encodeBinary(event)
        let natsStructured = NATSBinding.encodeStructured(event)
        let batch = try JSONFormat.decodeBatch(HTTPBinding.encodeBatch([event, event]).body)
        var results = [
            ("JSON", Result(event: try JSONFormat.decode(JSONFormat.encode(event)[...]), expected: asValue)),
            ("batch", Result(event: try batch[1].result.get(), expected: asValue)),
            (
                "NATS structured",
                Result(
                    event: try NATSBinding.decode(headers: natsStructured.headers, payload: natsStructured.payload),
                    expected: asJSON
                )
            ),
            (
                "NATS binary",
                Result(
                    event: try NATSBinding.decode(headers: natsBinary.headers, payload: natsBinary.payload),
                    expected: asText
                )
            ),
        ]
        if http.fields.contains(where: { $0.name == "ce-id" }) {
            let back = try HTTPBinding.decode(fields: http.fields, body: http.body)
            results.append(("HTTP binary", Result(event: back, expected: asText)))
        } else {
            let back = try HTTPBinding.decodeStructured(http.body)
            results.append(("HTTP binary, written as structured", Result(event: back, expected: asValue)))
        }
        return results
    }

    /// The event with the extension values that a text or JSON can tell.
    private static func typed(
        _ event: CloudEvent,
        _ convert: (AttributeValue) -> AttributeValue
    ) throws -> CloudEvent {
        var result = event
        for (name, value) in event.extensions { try result.setExtension(convert(value), for: name) }
        return result
    }

    /// The event with its JSON data as a value.
    private static func withoutOuterSpace(_ event: CloudEvent) throws -> CloudEvent {
        guard case .json(let bytes)? = event.data else { return event }
        let isSpace = { (byte: UInt8) in JSONScanner.isWhitespace(byte) }
        let end = bytes.lastIndex { !isSpace($0) } ?? bytes.startIndex
        var result = event
        try result.setData(.json(bytes[...end].drop(while: isSpace)), contentType: event.dataContentType)
        return result
    }

    /// The event with the content type that it implies (CE-23).
    private static func explicit(_ event: CloudEvent) throws -> CloudEvent {
        var result = event
        try result.setData(event.data, contentType: event.effectiveContentType)
        return result
    }
}
