import CloudEvents
import Testing

/// Content modes and the header bindings.
@Suite struct BindingTests {
    @Test(
        arguments: [
            (nil, .binary), ("", .binary), ("application/json", .binary), ("text/cloudevents+json", .binary),
            ("application/cloudevent+json", .binary),
            ("application/cloudevents+json", .structured),
            ("Application/CloudEvents+JSON; Charset=\"Utf-8\"", .structured),
            (" application/cloudevents+json\t", .structured), ("application/cloudevents+json;foo=bar", .structured),
            ("application/cloudevents+json ; charset=us-ascii", .structured),
            ("application/cloudevents+json;", .structured),
            ("application/cloudevents+json;charset=utf-16", .unknownFormat),
            ("application/cloudevents", .unknownFormat),
            ("application/cloudevents+avro", .unknownFormat), ("application/cloudevents+jsonx", .unknownFormat),
            ("application/cloudevents+json-seq", .unknownFormat), ("application/cloudeventsfoo", .unknownFormat),
            ("application/cloudevents+json, application/json", .unknownFormat),
            ("application/cloudevents-batch+json", .batch),
            ("APPLICATION/CLOUDEVENTS-BATCH+JSON;charset=utf-8", .batch),
            ("application/cloudevents-batch+xml", .unknownFormat),
            ("application/cloudevents-batch", .unknownFormat), ("application/cloudevents-batchx", .unknownFormat),
        ] as [(String?, ContentMode)]
    )
    func `HTTP-02: the content type alone decides the mode`(contentType: String?, mode: ContentMode) {
        #expect(HTTPBinding.contentMode(contentType: contentType) == mode)
    }

    @Test(arguments: [
        (("ce-datacontenttype", "a/b"), "HTTP-06", "/headers/ce-datacontenttype"),
        (("ce-data", "x"), "CE-05", "/headers/ce-data"),
        (("ce-my_ext", "x"), "CE-03", "/headers/ce-my_ext"), (("CE-my-Ext", "x"), "CE-03", "/headers/ce-my-ext"),
        (("ce-", "x"), "CE-03", "/headers/ce-"), (("ce-data_base64", "x"), "CE-03", "/headers/ce-data_base64"),
        (("content-type", "json"), "CE-22", "/headers/content-type"),
        (("content-type", ""), "CE-22", "/headers/content-type"),
        (("ce-source", "/a%20b"), "CE-14", "/headers/ce-source"), (("CE-Time", "x"), "CE-15", "/headers/ce-time"),
        (("ce-dataschema", "x"), "CE-13", "/headers/ce-dataschema"),
        (("ce-specversion", "1.0,1.0"), "CE-20", "/headers/ce-specversion"),
    ])
    func `S-17: a field that breaks a rule is reported with its name`(
        field: (String, String),
        rule: String,
        pointer: String
    ) {
        let found = violations(inFields: [field])
        #expect(found.map(\.rule) == [rule])
        #expect(found.first?.pointer == pointer)
    }

    @Test(arguments: [
        [("ce-id", "1"), ("ce-id", "1")], [("ce-x", "1"), ("CE-X", "1")],
        [("content-type", "a/b"), ("Content-Type", "a/b")],
        [("ce-subject", ""), ("ce-subject", "x")],
    ])
    func `CE-02: a repeated field is refused`(fields: [(String, String)]) {
        #expect(violations(inFields: fields).map(\.rule).contains("CE-02"))
    }

    @Test func `all problems of a message are reported at once`() {
        let found = violations(
            inFields: [
                ("ce-id", ""), ("ce-source", "a b"), ("ce-time", "%"), ("ce-A-B", "x"), ("content-type", "text/json"),
            ],
            body: "{"
        )
        #expect(found.map(\.rule) == ["CE-17", "CE-14", "HTTP-13", "CE-03", "JSON-17"])
        #expect(found.last?.pointer == "/body")
        #expect((try? HTTPBinding.decode(fields: [], body: [])) == nil)
    }

    @Test(
        arguments: [
            ("application/json", " {\"a\": 1}\n", .json(bytes(" {\"a\": 1}\n"))), ("text/plain", " x\n", .text(" x\n")),
            (nil, "x", .binary(bytes("x"))),
            ("application/json", "", nil), ("application/json", "\u{FEFF}{}", .binary(bytes("\u{FEFF}{}"))),
            ("application/json;charset=utf-16", "{}", .json(bytes("{}"))),
            ("application/json;charset=latin1", "x", .binary(bytes("x"))),
        ] as [(String?, String, EventData?)]
    )
    func `HTTP-07: the body is the data`(contentType: String?, body: String, data: EventData?) throws {
        let fields = minimal(contentType.map { [("Content-Type", " \($0) ")] } ?? [])
        let event = try HTTPBinding.decode(fields: fields, body: bytes(body))
        #expect(event.data == data)
        #expect(event.dataContentType == contentType)
    }

    @Test func `other fields and other cases of letters do not matter`() throws {
        let fields = [
            ("Host", "h"), ("CE-SPECVERSION", "1.0"), ("Ce-Id", "1"), ("cE-sOURCE", "/s"), ("ce-TYPE", "t"),
            ("Ce-MyExt", "V"),
            ("cex", "\u{0}"), ("ce_y", "é"), ("X-CE-Z", "%"),
        ].map { (name: $0.0, value: $0.1) }
        let event = try HTTPBinding.decode(fields: fields, body: [])
        #expect(event == (try CloudEvent(id: "1", source: "/s", type: "t", extensions: ["myext": "V"])))
        #expect(HTTPBinding.isCloudEvent(fields: fields))
        #expect(!HTTPBinding.isCloudEvent(fields: fields.dropLast(6)))
    }

    @Test func `HTTP-06: the content type travels in its own field and is made explicit`() throws {
        let event = try CloudEvent(id: "a b", source: "/s", type: "t", extensions: ["n": 5], data: .json(bytes("[1]")))
        let message = HTTPBinding.encodeBinary(event)
        #expect(
            message.fields.map { "\($0.name): \($0.value)" } == [
                "ce-specversion: 1.0", "ce-id: a%20b", "ce-source: /s", "ce-type: t", "ce-n: 5",
                "Content-Type: application/json",
            ]
        )
        #expect(text(message.body) == "[1]")
        let nats = NATSBinding.encodeBinary(event)
        #expect(nats.headers.last.map { "\($0.name): \($0.value)" } == "ce-datacontenttype: application/json")
        #expect(HTTPBinding.encodeStructured(event).fields.first?.value == "application/cloudevents+json")
        #expect(HTTPBinding.encodeBatch([event]).fields.first?.value == "application/cloudevents-batch+json")
    }

    @Test func `an event about an event goes out in structured mode over HTTP`() throws {
        let event = try CloudEvent(
            id: "1",
            source: "/s",
            type: "t",
            dataContentType: "application/cloudevents+json",
            data: .json(bytes(document()))
        )
        let message = HTTPBinding.encodeBinary(event)
        #expect(HTTPBinding.contentMode(contentType: message.fields.first?.value) == .structured)
        #expect(try HTTPBinding.decodeStructured(message.body) == event)
        let nats = NATSBinding.encodeBinary(event)
        #expect(try NATSBinding.decode(headers: nats.headers, payload: nats.payload) == event)
    }

    @Test func `NATS-01: a message is structured by its content type, or for want of any attribute`() throws {
        let event = try CloudEvent(id: "1", source: "/s", type: "t")
        let payload = bytes(document())
        func decode(_ headers: [(String, String)], _ payload: ArraySlice<UInt8>) throws(InvalidEvent) -> CloudEvent {
            try NATSBinding.decode(headers: headers.map { (name: $0.0, value: $0.1) }, payload: payload)
        }
        #expect(try decode([("content-type", "Application/CloudEvents+JSON; charset=utf-8")], payload) == event)
        #expect(try decode([], payload) == event)
        #expect(try decode([("Nats-Msg-Id", "x"), ("Content-Type", "application/json")], payload) == event)
        let binary = [("Ce-Specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/s"), ("ce-type", "t")]
        #expect(try decode(binary, []) == event)
        let typed = try decode(binary + [("content-type", "text/plain")], bytes("x"))
        #expect(typed.dataContentType == "text/plain")
        let both = try decode(
            binary + [("content-type", "text/plain"), ("ce-datacontenttype", "a/b;c=%22d%22")],
            bytes("x")
        )
        #expect(both.dataContentType == "a/b;c=\"d\"")
        for (type, rule) in [
            ("application/cloudevents-batch+json", "NATS-03"), ("application/cloudevents+avro", "NATS-01"),
        ] {
            do throws(InvalidEvent) {
                _ = try decode([("Content-Type", type)], payload)
                Issue.record("accepted")
            } catch {
                #expect(error.violations.map(\.rule) == [rule])
            }
        }
    }
}
