import CloudEvents
import ServerFixtures
import Testing

/// Decoding what was encoded gives the same event.
@Suite struct RoundTripTests {
    @Test func `random events survive every mode and binding`() throws {
        var generator = SeededGenerator(seed: 1)
        for round in 0..<20_000 {
            let event = try RandomEvent.make(using: &generator)
            for (mode, result) in try RoundTrip.all(event) {
                #expect(result.event == result.expected, "round \(round), \(mode)")
            }
        }
    }

    @Test func `writing what was read gives the same bytes for our own texts`() throws {
        var generator = SeededGenerator(seed: 2)
        for _ in 0..<5_000 {
            let text = JSONFormat.encode(try RandomEvent.make(using: &generator))
            #expect(JSONFormat.encode(try JSONFormat.decode(text[...])) == text)
        }
    }

    @Test func `writing a message that was read gives the same message`() throws {
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<5_000 {
            let first = HTTPBinding.encodeBinary(try RandomEvent.make(using: &generator))
            guard first.fields.contains(where: { $0.name == "ce-id" }) else { continue }
            let second = HTTPBinding.encodeBinary(try HTTPBinding.decode(fields: first.fields, body: first.body))
            #expect(first.fields.map { "\($0.name): \($0.value)" } == second.fields.map { "\($0.name): \($0.value)" })
            #expect(first.body == second.body)
        }
    }

    @Test func `JSON data is a slice of the input, not a copy`() throws {
        let input = bytes(document("\"data\": {\"a\" : [ 1.0 , 1e2 ]} "))
        guard case .json(let data)? = try JSONFormat.decode(input).data else {
            Issue.record("not JSON data")
            return
        }
        #expect(text(data) == "{\"a\" : [ 1.0 , 1e2 ]}")
        let outer = input.withUnsafeBytes { $0.baseAddress.map { UInt(bitPattern: $0) } ?? 0 }
        let inner = data.withUnsafeBytes { $0.baseAddress.map { UInt(bitPattern: $0) } ?? 0 }
        #expect((outer..<outer + UInt(input.count)).contains(inner))
    }
}

/// Makes valid events with as much variety as the types allow.
enum RandomEvent {
    static func make(using generator: inout SeededGenerator) throws -> CloudEvent {
        var extensions = Extensions()
        for _ in 0..<Int.random(in: 0...4, using: &generator) {
            extensions.set(value(using: &generator), for: name(using: &generator))
        }
        let (data, contentType) = payload(using: &generator)
        return try CloudEvent(
            id: text(1, using: &generator),
            source: pick(sources, &generator),
            type: text(1, using: &generator),
            subject: Bool.random(using: &generator) ? text(1, using: &generator) : nil,
            time: Bool.random(using: &generator) ? Timestamp(pick(times, &generator)) : nil,
            dataContentType: contentType,
            dataSchema: Bool.random(using: &generator) ? pick(schemas, &generator) : nil,
            extensions: extensions,
            data: data
        )
    }

    private static let sources = [
        "/s", "#", "?", "..", "//h", "http://[::1]:80/a%20b?c#d", "urn:x:y", "mailto:a@b", "a/b:c", "/", "x:",
        "1-555-1",
    ]
    private static let schemas = ["http://example.com/s?v=1", "urn:schema:1", "x:", "file:///a"]
    private static let times = [
        "2018-04-05T17:31:00Z", "2018-04-05t17:31:00.123456789012345678901+23:59", "0000-01-01T00:00:00-00:00",
        "1990-12-31T15:59:60-08:00", "9999-12-31T23:59:59z",
    ]
    private static let texts = ["text/plain", "text/plain; charset=\"utf-8\"", "application/xml", "a/b;p=%20"]
    private static let jsons = [
        "application/json", "application/geo+JSON; x=y", "text/json", "application/cloudevents+json",
    ]
    private static let values = [
        "null", "0", "-0.0", "1e400", "\"\"", "\"\\ud800\"", "\"\\u0000\"", "[ 1 , 2 ]", "{\"a\":{\"a\":1,\"a\":2}}",
        "\"é\"",
    ]
    private static let scalars: [ClosedRange<UInt32>] = [
        0x20...0x7E, 0x20...0x7E, 0x20...0x7E, 0xA0...0x24F, 0x300...0x36F, 0x3040...0x30FF, 0xE000...0xFDCF,
        0xFDF0...0xFFFD, 0x1F300...0x1FAFF, 0x10FF00...0x10FFFD,
    ]

    private static func pick<Value>(_ values: [Value], _ generator: inout SeededGenerator) -> Value {
        values[Int.random(in: 0..<values.count, using: &generator)]
    }

    private static func text(_ least: Int, using generator: inout SeededGenerator) -> String {
        var result = String.UnicodeScalarView()
        for _ in 0..<Int.random(in: least...24, using: &generator) {
            if let scalar = Unicode.Scalar(UInt32.random(in: pick(scalars, &generator), using: &generator)) {
                result.append(scalar)
            }
        }
        return String(result)
    }

    private static func name(using generator: inout SeededGenerator) -> String {
        let letters = Array("abcdefghijklmnopqrstuvwxyz0123456789")
        return "x" + String((0..<Int.random(in: 0...30, using: &generator)).map { _ in pick(letters, &generator) })
    }

    private static func value(using generator: inout SeededGenerator) -> AttributeValue {
        switch Int.random(in: 0...6, using: &generator) {
        case 0: .boolean(Bool.random(using: &generator))
        case 1: .integer(Int32.random(in: .min ... .max, using: &generator))
        case 2:
            .binary(
                (0..<Int.random(in: 0...5, using: &generator)).map { _ in UInt8.random(in: 0...255, using: &generator) }
            )
        case 3: .uri(pick(schemas, &generator))
        case 4: .uriReference(pick(sources, &generator))
        case 5: Timestamp(pick(times, &generator)).map { .timestamp($0) } ?? .boolean(true)
        default: .string(text(0, using: &generator))
        }
    }

    private static func payload(using generator: inout SeededGenerator) -> (EventData?, String?) {
        let noise = (0..<Int.random(in: 1...9, using: &generator)).map { _ in
            UInt8.random(in: 0...255, using: &generator)
        }
        switch Int.random(in: 0...7, using: &generator) {
        case 0: return (nil, nil)
        case 1: return (nil, pick(texts + jsons, &generator))
        case 2: return (.json(bytes(pick(values, &generator))), nil)
        case 3: return (.json(bytes(pick(values, &generator))), pick(jsons, &generator))
        case 4: return (.text(text(0, using: &generator) + "\n\u{0}"), pick(texts, &generator))
        case 5: return (.binary(noise[...]), nil)
        case 6: return (.binary(([0xEF, 0xBB, 0xBF] + Array("{}".utf8))[...]), pick(jsons, &generator))
        default: return (.binary(noise[...]), pick(texts + ["application/json; charset=utf-16"], &generator))
        }
    }
}
