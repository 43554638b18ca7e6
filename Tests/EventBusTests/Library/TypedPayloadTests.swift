import CloudEvents
import EventBus
import Foundation
import JetStream
import Testing

/// Payloads and the events that carry them, without a server.
@Suite struct TypedPayloadTests {
    private struct Everything: EventPayload, Equatable {
        enum Level: String, Codable { case low, high }
        struct Part: Codable, Equatable {
            var name: String
            var size: Double
        }

        static let eventType = EventType(
            "com.example.every-thing",
            version: 12,
            kind: .audit,
            schema: "https://example.com/schemas/everything/12"
        )
        var text = "täxt/\u{1F600}\""
        var number: Int64 = .min
        var date = Date(timeIntervalSince1970: 1_700_000_000.123456)
        var bytes = Data([0, 255, 7])
        var level = Level.high
        var parts = [Part(name: "a", size: 0.1), Part(name: "b", size: 1e300)]
        var nothing: String?
    }

    private struct Small: EventPayload, Equatable {
        static let eventType = EventType("com.example.KEY")
        var a: Int
        var b: [[Int]]?
    }

    private struct Empty: EventPayload {
        static let eventType = EventType("com.example.empty", kind: .command)
    }

    private struct Bare: EventPayload, Equatable {
        static let eventType = EventType("com.example.bare")
        var text: String
        init(_ text: String) { self.text = text }
        init(from decoder: any Decoder) throws { text = try decoder.singleValueContainer().decode(String.self) }
        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            try container.encode(text)
        }
    }

    private static func event(_ json: String, type: String = "com.example.KEY.v1") throws -> CloudEvent {
        try CloudEvent(id: "1", source: "/a", type: type, data: .json(Array(json.utf8)[...]))
    }

    private static func text(_ event: CloudEvent) -> String {
        String(decoding: event.data?.bytes ?? [], as: UTF8.self)
    }

    @Test func `an event says what its payload is`() throws {
        let time = try #require(Timestamp("2026-01-02T03:04:05Z"))
        let event = try CloudEvent(Everything(), source: "/a", subject: "s", id: "i", time: time)
        #expect(event.type == "com.example.every-thing.v12")
        #expect(event.source == "/a" && event.subject == "s" && event.id == "i" && event.time == time)
        #expect(event.dataContentType == "application/json")
        #expect(event.dataSchema == "https://example.com/schemas/everything/12")
        #expect(event.extensions["eventkind"]?.canonicalText == "audit")
        let expected =
            #"{"bytes":"AP8H","date":"2023-11-14T22:13:20.123456Z","level":"high","number":-9223372036854775808,"#
            + #""parts":[{"name":"a","size":0.1},{"name":"b","size":1e+300}],"text":"täxt/😀\""}"#
        #expect(Self.text(event) == expected)
    }

    @Test func `what is not given is made up or left out`() throws {
        let before = Timestamp.now()
        let events = try (0..<100).map { _ in try CloudEvent(Empty(), source: "/a") }
        #expect(Set(events.map(\.id)).count == 100)
        #expect(events.allSatisfy { $0.subject == nil && $0.dataSchema == nil && Self.text($0) == "{}" })
        #expect(events.allSatisfy { ($0.time ?? before) >= before })
        #expect(try CloudEvent(Empty(), source: "/a", time: nil).time == nil)
    }

    @Test func `a payload survives the way through JSON`() throws {
        let event = try CloudEvent(Everything(), source: "/a")
        let stored = try JSONFormat.decode(JSONFormat.encode(event)[...])
        #expect(stored == event)
        let back = try stored.payload(as: Everything.self)
        #expect(abs(back.date.timeIntervalSince1970 - Everything().date.timeIntervalSince1970) < 1e-6)
        var same = back
        same.date = Everything().date
        #expect(same == Everything())
        #expect(try CloudEvent(Bare("x"), source: "/a").payload(as: Bare.self) == Bare("x"))
        _ = try CloudEvent(Empty(), source: "/a").payload(as: Empty.self)
    }

    @Test(arguments: [-62_135_596_800, -1.5, -0.000001, 0, 1.999999, 4_102_444_800.5])
    func `dates before and after the epoch keep their microseconds`(seconds: Double) throws {
        var value = Everything()
        value.date = Date(timeIntervalSince1970: seconds)
        let back = try CloudEvent(value, source: "/a").payload(as: Everything.self)
        #expect(abs(back.date.timeIntervalSince1970 - seconds) < 1e-5)
    }

    @Test func `a payload that does not encode is refused with its place`() throws {
        var value = Everything()
        value.parts[1].size = .nan
        let error = #expect(throws: InvalidEvent.self) { try CloudEvent(value, source: "/a") }
        #expect(error?.violations.map(\.pointer) == ["/data/parts/1/size"])
        value = Everything()
        value.date = .distantFuture.addingTimeInterval(1e12)
        let late = #expect(throws: InvalidEvent.self) { try CloudEvent(value, source: "/a") }
        #expect(late?.violations.map(\.pointer) == ["/data/date"])
    }

    @Test(arguments: [
        (#"{}"#, "/a"), (#"{"a":null}"#, "/a"), (#"{"a":"1"}"#, "/a"), (#"{"a":true}"#, "/a"),
        (#"{"a":1,"b":[[1],[2,"x"]]}"#, "/b/1/1"), (#"[]"#, ""), (#""a""#, ""), (#"7"#, ""),
    ])
    func `data that is no payload is refused with its place`(json: String, pointer: String) throws {
        let error = #expect(throws: PayloadError.self) { try Self.event(json).payload(as: Small.self) }
        #expect(error?.pointer == pointer)
        #expect(error?.type == "com.example.KEY.v1")
        #expect(error?.description.contains("com.example.KEY.v1") == true && error?.reason.isEmpty == false)
    }

    @Test(arguments: [#"{"a":1.5}"#, #"{"a":1e30}"#])
    func `a number that does not fit is refused`(json: String) throws {
        // Foundation does not say where it stands.
        let error = #expect(throws: PayloadError.self) { try Self.event(json).payload(as: Small.self) }
        #expect(error?.reason.contains("does not fit") == true)
    }

    @Test func `members that nobody knows are ignored`() throws {
        #expect(try Self.event(#"{"z":{},"a":1}"#).payload(as: Small.self) == Small(a: 1, b: nil))
    }

    @Test(arguments: ["com.example.KEY.v2", "com.example.KEY", "com.example.key.v1", "com.example.\u{212A}EY.v1"])
    func `another type, version or spelling is no payload`(type: String) throws {
        let error = #expect(throws: PayloadError.self) {
            try Self.event(#"{"a":1}"#, type: type).payload(as: Small.self)
        }
        #expect(error?.reason.contains("of the type") == true)
    }

    @Test func `data that is not JSON is no payload`() throws {
        let type = Small.eventType.text
        let none = try CloudEvent(id: "1", source: "/a", type: type)
        let text = try CloudEvent(id: "1", source: "/a", type: type, dataContentType: "text/plain", data: .text("{}"))
        let binary = try CloudEvent(id: "1", source: "/a", type: type, data: .binary([1]))
        for (event, part) in [(none, "no data"), (text, "text/plain"), (binary, "no content type")] {
            let error = #expect(throws: PayloadError.self) { try event.payload(as: Small.self) }
            #expect(error?.reason.contains(part) == true)
        }
    }

    private struct Unnamed: EventPayload { static let eventType = EventType("") }
    private struct Wild: EventPayload { static let eventType = EventType("com.example.*") }
    private struct Gap: EventPayload { static let eventType = EventType("com..example") }
    private struct Long: EventPayload { static let eventType = EventType(String(repeating: "a", count: 301)) }
    private struct Zero: EventPayload { static let eventType = EventType("com.example", version: 0) }

    @Test func `a type that cannot be one is refused`() throws {
        func refuses<Payload: EventPayload>(_ payload: Payload) {
            let error = #expect(throws: InvalidEvent.self) { try CloudEvent(payload, source: "/a") }
            #expect(error?.violations.map(\.pointer) == ["/type"])
        }
        refuses(Unnamed())
        refuses(Wild())
        refuses(Gap())
        refuses(Long())
        refuses(Zero())
        #expect(throws: InvalidEvent.self) { try CloudEvent(Empty(), source: "") }
    }

    @Test func `settings are read from texts`() throws {
        let settings = try EventBusConfiguration(
            url: "nats://a:1, b",
            events: "E",
            deadLetters: "D",
            subjectPrefix: "x.y"
        )
        #expect(settings.servers.map(\.description) == ["nats://a:1", "nats://b:4222"])
        #expect(settings.streams.events.name.description == "E" && settings.subjectPrefix.description == "x.y")
        for url in ["", ",", "http://a", "nats://a:99999"] {
            #expect(throws: EventBusConfiguration.Fault.self) { try EventBusConfiguration(url: url) }
        }
        #expect(throws: EventBusConfiguration.Fault.self) { try EventBusConfiguration(events: "a b") }
        #expect(throws: EventBusConfiguration.Fault.self) { try EventBusConfiguration(deadLetters: "") }
        #expect(throws: EventBusConfiguration.Fault.self) { try EventBusConfiguration(subjectPrefix: "*") }
    }
}
