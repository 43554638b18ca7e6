import CloudEvents
import Testing

/// The value itself: checks, equality, changes.
@Suite struct CloudEventTests {
    @Test(arguments: [
        "", "A", "a_b", "a-b", "a.b", "é", "data", "data_base64", "id", "time", "specversion", "ａ", "a b", "a\u{301}",
    ])
    func `S-17: a name that breaks a rule cannot be set`(name: String) throws {
        var event = try CloudEvent(id: "1", source: "/", type: "t")
        let before = event
        #expect(throws: InvalidEvent.self) { try event.setExtension("x", for: name) }
        #expect(throws: InvalidEvent.self) {
            try CloudEvent(id: "1", source: "/", type: "t", extensions: Extensions(dictionaryLiteral: (name, "x")))
        }
        #expect(event == before)
    }

    @Test(arguments: [
        "x", "1", "123", "1st", "opcuametadatamajorversion", String(repeating: "a", count: 64), "extensions",
        "specversion1",
    ])
    func `a name of letters and digits of any length can be set`(name: String) throws {
        var event = try CloudEvent(id: "1", source: "/", type: "t")
        try event.setExtension(true, for: name)
        #expect(event.attribute(named: name) == true)
        try event.setExtension(nil, for: name)
        #expect(event.extensions.isEmpty)
    }

    @Test func `S-17: values are checked by their types, all at once`() {
        do throws(InvalidEvent) {
            _ = try CloudEvent(
                id: "",
                source: "a b",
                type: "\n",
                subject: "",
                dataContentType: "x",
                dataSchema: "y",
                extensions: ["a": .string("\u{0}"), "b": .uri("/x"), "c": .uriReference(" ")]
            )
            Issue.record("accepted")
        } catch {
            #expect(
                error.violations.map(\.rule) == [
                    "CE-17", "CE-14", "CE-09", "CE-25", "CE-22", "CE-13", "CE-09", "CE-13", "CE-14",
                ]
            )
            #expect(
                error.violations.map(\.pointer) == [
                    "/id", "/source", "/type", "/subject", "/datacontenttype", "/dataschema", "/a", "/b", "/c",
                ]
            )
        }
    }

    @Test func `subject and time can be changed, and only to valid values`() throws {
        var event = try CloudEvent(id: "1", source: "/", type: "t", data: .json(bytes("1")))
        let bare = event
        #expect(throws: InvalidEvent.self) { try event.setSubject("") }
        #expect(event == bare)
        try event.setSubject("s")
        event.setTime(Timestamp("2018-04-05T17:31:00Z"))
        #expect(text(JSONFormat.encode(event)).contains(#""subject":"s","time":"2018-04-05T17:31:00Z""#))
        try event.setSubject(nil)
        event.setTime(nil)
        #expect(event == bare)
    }

    @Test func `data must fit the content type`() throws {
        func make(_ data: EventData, _ type: String?) throws(InvalidEvent) -> EventData? {
            try CloudEvent(id: "1", source: "/", type: "t", dataContentType: type, data: data).data
        }
        #expect(throws: InvalidEvent.self) { try make(.json(bytes("{")), nil) }
        #expect(throws: InvalidEvent.self) { try make(.json(bytes("{}")), "text/plain") }
        #expect(throws: InvalidEvent.self) { try make(.text("x"), nil) }
        #expect(throws: InvalidEvent.self) { try make(.text("x"), "application/json") }
        #expect(throws: InvalidEvent.self) { try make(.binary(bytes("x")), "application/json") }
        #expect(try make(.binary(bytes(" 1 ")), "application/json") == .json(bytes(" 1 ")))
        #expect(try make(.json(bytes(" 1 ")), nil) == .json(bytes(" 1 ")))
        #expect(try make(.text(""), nil) == nil)
        #expect(try make(.binary([]), nil) == nil)
        var event = try CloudEvent(id: "1", source: "/", type: "t", data: .json(bytes("1")))
        #expect(event.effectiveContentType == "application/json")
        #expect(throws: InvalidEvent.self) { try event.setData(.text("x"), contentType: nil) }
        try event.setData(.text("x"), contentType: "text/plain")
        #expect(event.effectiveContentType == "text/plain")
    }

    @Test func `equality and hashing go by code units and bytes`() throws {
        func make(_ subject: String, _ extensions: Extensions = [:]) throws -> CloudEvent {
            try CloudEvent(id: "1", source: "/", type: "t", subject: subject, extensions: extensions)
        }
        #expect("e\u{301}" == "é", "Swift's own comparison takes both as the same text")
        #expect(try make("e\u{301}") != make("é"))
        #expect(AttributeValue.string("e\u{301}") != .string("é"))
        #expect(AttributeValue.string("true") != .boolean(true))
        #expect(AttributeValue.string("/") != .uri("/"))
        #expect(try make("s", ["a": 1, "b": "x"]) == make("s", ["b": "x", "a": 1]))
        #expect(
            try make("s", ["a": 1, "b": "x"]).extensions.hashValue
                == make("s", ["b": "x", "a": 1]).extensions.hashValue
        )
        #expect(try make("s", ["a": 1]) != make("s", ["a": 2]))
        #expect(EventData.text("é") == .binary(bytes("é")))
        #expect(EventData.text("1") != .json(bytes("1")))
        #expect(EventData.text("é").hashValue == EventData.binary(bytes("é")).hashValue)
        #expect(Set([try make("s"), try make("s"), try make("t")]).count == 2)
    }

    @Test(
        arguments: [
            (true, "true"), (false, "false"), (0, "0"), (.integer(.min), "-2147483648"), (.binary([0, 255]), "AP8="),
            (.uri("x:y"), "x:y"),
            ("é", "é"),
        ] as [(AttributeValue, String)]
    )
    func `CE-16: a value has one canonical text`(value: AttributeValue, text: String) {
        #expect(value.canonicalText == text)
    }
}
