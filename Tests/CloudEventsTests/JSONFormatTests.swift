import CloudEvents
import Testing

/// The envelope of the JSON format and of its batches.
@Suite struct JSONFormatTests {
    @Test(arguments: [
        ("\"id\":\"2\"", "CE-02", "/id"), ("\"\\u0069d\":\"2\"", "CE-02", "/id"), ("\"a\":1,\"a\":1", "CE-02", "/a"),
        ("\"a\":null,\"a\":1", "CE-02", "/a"), ("\"subject\":null,\"subject\":\"x\"", "CE-02", "/subject"),
        ("\"data\":1,\"data\":2", "CE-02", "/data"), ("\"A\":1", "CE-03", "/A"), ("\"a_b\":\"x\"", "CE-03", "/a_b"),
        ("\"a/~b\":1", "CE-03", "/a~1~0b"), ("\"\":1", "CE-03", "/"), ("\"é\":1", "CE-03", "/é"),
        ("\"Data\":1", "CE-03", "/Data"),
        ("\"my_ext\":null", "CE-03", "/my_ext"), ("\"extensions\":{\"a\":1}", "CE-06", "/extensions"),
        ("\"a\":[1]", "CE-06", "/a"),
        ("\"subject\":{}", "CE-06", "/subject"), ("\"subject\":5", "JSON-04", "/subject"),
        ("\"time\":true", "JSON-04", "/time"),
        ("\"a\":1.0", "JSON-05", "/a"), ("\"a\":1e0", "JSON-05", "/a"), ("\"a\":-0.0", "JSON-05", "/a"),
        ("\"a\":2147483648", "CE-08", "/a"), ("\"a\":-2147483649", "CE-08", "/a"),
        ("\"a\":99999999999999999999", "CE-08", "/a"),
        ("\"a\":\"\\u0000\"", "CE-09", "/a"), ("\"a\":\"\\u0085\"", "CE-09", "/a"), ("\"a\":\"\u{7F}\"", "CE-09", "/a"),
        ("\"a\":\"\\uFFFF\"", "CE-10", "/a"), ("\"a\":\"\\uFDD0\"", "CE-10", "/a"),
        ("\"a\":\"\u{1FFFE}\"", "CE-10", "/a"),
        ("\"a\":\"\\uDEAD\"", "CE-11", "/a"), ("\"subject\":\"\\uD800x\"", "CE-11", "/subject"),
        ("\"subject\":\"\"", "CE-25", "/subject"),
        ("\"time\":\"\"", "CE-26", "/time"), ("\"time\":\"now\"", "CE-15", "/time"),
        ("\"dataschema\":\"\"", "CE-24", "/dataschema"),
        ("\"dataschema\":\"#\"", "CE-13", "/dataschema"), ("\"datacontenttype\":\"\"", "CE-22", "/datacontenttype"),
        ("\"datacontenttype\":\"x\",\"data\":5", "CE-22", "/datacontenttype"),
        ("\"data\":1,\"data_base64\":\"YQ==\"", "JSON-08", "/data"),
        ("\"data\":null,\"data_base64\":\"YQ==\"", "JSON-08", "/data"),
        ("\"data_base64\":5", "JSON-09", "/data_base64"),
        ("\"data_base64\":{}", "JSON-09", "/data_base64"),
        ("\"datacontenttype\":\"text/plain\",\"data\":5", "JSON-14", "/data"),
        ("\"data\":{},\"datacontenttype\":\"text/plain\"", "JSON-14", "/data"),
        ("\"datacontenttype\":\"text/plain\",\"data\":\"\\ud800\"", "JSON-14", "/data"),
        ("\"datacontenttype\":\"text/json\",\"data_base64\":\"YQ==\"", "JSON-17", "/data_base64"),
    ])
    func `S-17: a member that breaks a rule is reported with its pointer`(
        members: String,
        rule: String,
        pointer: String
    ) {
        let found = JSONFormat.violations(in: document(members))
        #expect(found.map(\.rule) == [rule])
        #expect(found.first?.pointer == pointer)
    }

    @Test(arguments: [
        ("{}", ["CE-01", "CE-01", "CE-01", "CE-01"]), ("[]", ["JSON-01"]), ("5", ["JSON-01"]), ("null", ["JSON-01"]),
        (#"{"specversion":"1.0","id":"","source":"","type":""}"#, ["CE-17", "CE-18", "CE-21"]),
        (
            #"{"specversion":"0.3","id":1,"source":"a b","time":"x","A":1}"#,
            ["CE-20", "JSON-04", "CE-14", "CE-15", "CE-03", "CE-01"]
        ),
        (#"{"specversion":"","id":null,"source":"/","type":"t"}"#, ["CE-20", "CE-01"]),
        (#"{"specversion":1.0,"id":"1","source":"/","type":"t"}"#, ["JSON-04"]),
    ])
    func `all problems are reported at once`(text: String, rules: [String]) {
        #expect(JSONFormat.violations(in: text).map(\.rule) == rules)
    }

    @Test(
        arguments: [
            ("", nil), ("\"data\":null", .json(bytes("null"))), ("\"data\":\"x\"", .json(bytes("\"x\""))),
            ("\"data\": [ 1 ] ", .json(bytes("[ 1 ]"))),
            ("\"datacontenttype\":\"text/xml\",\"data\":\"\\u003ca/>\"", .text("<a/>")),
            ("\"data\":\"a\\nb\",\"datacontenttype\":\"text/x\"", .text("a\nb")),
            ("\"datacontenttype\":\"text/xml\",\"data\":\"\"", nil),
            ("\"datacontenttype\":\"text/xml\",\"data\":null", nil),
            ("\"datacontenttype\":null,\"data\":1", .json(bytes("1"))),
            ("\"data_base64\":\"YQ\\u003d=\"", .binary(bytes("a"))),
            ("\"data_base64\":null", nil), ("\"data_base64\":null,\"data\":1", .json(bytes("1"))),
            ("\"datacontenttype\":\"a/json\",\"data_base64\":\"IHt9IA==\"", .json(bytes(" {} "))),
            ("\"datacontenttype\":\"a/json\",\"data_base64\":\"77u/e30=\"", .binary(bytes("\u{FEFF}{}"))),
        ] as [(String, EventData?)]
    )
    func `data is what the content type makes of it`(members: String, data: EventData?) throws {
        let event = try JSONFormat.decode(bytes(document(members)))
        #expect(event.data == data)
        if case .text? = data {
            #expect(JSONFormat.encode(event).count > 0 && text(JSONFormat.encode(event)).contains("\"data\":\""))
        }
    }

    @Test func `names, types and order of extensions are kept`() throws {
        let event = try JSONFormat.decode(
            bytes(document("\"z\":true,\"a\":-0,\"m\":\"5\",\"b\":false,\"n\":-2147483648,\"gone\":null"))
        )
        #expect(event.extensions.map(\.name) == ["z", "a", "m", "b", "n"])
        #expect(event.extensions.map(\.value) == [true, 0, "5", false, .integer(.min)])
        #expect(event.attribute(named: "specversion") == "1.0")
        #expect(event.attribute(named: "source") == .uriReference("/s"))
        #expect(event.attribute(named: "gone") == nil)
    }

    @Test func `no content type is added that was not there`() throws {
        for members in ["\"data\":{}", "\"data_base64\":\"YQ==\""] {
            let event = try JSONFormat.decode(bytes(document(members)))
            #expect(event.dataContentType == nil)
            #expect(!text(JSONFormat.encode(event)).contains("datacontenttype"))
        }
    }

    @Test func `the text of an event comes without byte order mark and white space`() throws {
        let input = bytes("xx\u{FEFF} \n" + document() + "\r\n").dropFirst(2)
        let result = try JSONFormat.decodeWithText(input)
        #expect(text(result.text) == document())
        #expect(result.event == (try JSONFormat.decode(bytes(document()))))
    }

    @Test func `an offset counts from the first byte of the text, mark included`() {
        #expect(
            JSONFormat.violations(in: "{\"id\":x}").first?.detail.hasSuffix("unexpected character at byte 6") == true
        )
        #expect(JSONFormat.violations(in: bytes("xy{\"id\":x}").dropFirst(2)).first?.detail.hasSuffix("byte 6") == true)
        #expect(JSONFormat.violations(in: "\u{FEFF}{\"id\":x}").first?.detail.hasSuffix("byte 9") == true)
        #expect(JSONFormat.violations(in: "").map(\.rule) == ["JSON-02"])
    }

    @Test func `strings are written with the escapes they need and no more`() throws {
        let event = try CloudEvent(
            id: "a\"b\\c/é\u{2028}",
            source: "/",
            type: "t",
            dataContentType: "text/plain",
            data: .text("\u{0}\u{8}\t\n\u{C}\r\u{1F}\u{7F}\u{85}")
        )
        let written = text(JSONFormat.encode(event))
        #expect(written.contains(#""id":"a\"b\\c/é"# + "\u{2028}\""))
        #expect(written.contains(#""data":"\u0000\b\t\n\f\r\u001F"# + "\u{7F}\u{85}\"}"))
        var output = Array("before".utf8)
        JSONFormat.encode(event, into: &output)
        #expect(text(output) == "before" + written)
    }

    @Test func `every element of a batch is judged on its own, with its bytes and its index`() throws {
        let good = document("\"data\": { \"a\" : 1 }")
        let batch = bytes(" [ \(good) , {\"id\":\"\"}, 5 ,\(good)] ")
        let entries = try JSONFormat.decodeBatch(batch)
        #expect(entries.map { text($0.text) } == [good, "{\"id\":\"\"}", "5", good])
        #expect((try? entries[0].result.get()) == (try? entries[3].result.get()))
        guard case .failure(let second) = entries[1].result, case .failure(let third) = entries[2].result else {
            Issue.record("bad elements are accepted")
            return
        }
        #expect(second.violations.map(\.pointer) == ["/1/id", "/1/specversion", "/1/source", "/1/type"])
        #expect(third.violations.map(\.pointer) == ["/2"])
        #expect(try JSONFormat.decodeBatch(bytes("[]")).isEmpty)
        #expect(try JSONFormat.decodeBatch(bytes("\u{FEFF} [ ] ")).isEmpty)
    }

    @Test(arguments: [
        ("{}", "BATCH-01"), ("null", "BATCH-01"), ("", "JSON-02"), ("[1,]", "JSON-02"), ("[1]x", "JSON-02"),
        ("[", "JSON-02"),
        ("[1,2,3]", "BATCH-06"), ("[1 2]", "JSON-02"), ("[,1]", "JSON-02"),
    ])
    func `a text that is no batch is refused as a whole`(text: String, rule: String) {
        do throws(InvalidEvent) {
            _ = try JSONFormat.decodeBatch(bytes(text), limits: JSONLimits(eventsMax: 2))
            Issue.record("accepted")
        } catch {
            #expect(error.violations.map(\.rule) == [rule])
        }
    }

    @Test func `an object is taken apart into its members`() throws {
        let members = try JSONObject.members(
            of: bytes(#"{"a":"\u00e9","b": [1, 2] ,"\u0063":null,"d":1.50,"e":"\ud800","f":true}"#)
        )
        #expect(members.map(\.name) == ["a", "b", "c", "d", "e", "f"])
        #expect(members.map(\.kind) == [.string, .array, .null, .number, .string, .boolean])
        #expect(members.map { text($0.raw) } == [#""\u00e9""#, "[1, 2]", "null", "1.50", #""\ud800""#, "true"])
        #expect(members.map(\.string) == ["é", nil, nil, nil, nil, nil])
        #expect(try JSONObject.members(of: bytes(" {} ")).isEmpty)
        #expect(throws: JSONObjectError.duplicate(name: "a")) {
            try JSONObject.members(of: bytes(#"{"a":1,"\u0061":2}"#))
        }
        #expect(throws: JSONObjectError.notAnObject(.array)) { try JSONObject.members(of: bytes("[1]")) }
        #expect(throws: JSONObjectError.badName) { try JSONObject.members(of: bytes(#"{"\udead":1}"#)) }
        #expect(throws: JSONObjectError.syntax(JSONSyntaxError(.unexpectedText, at: 3))) {
            try JSONObject.members(of: bytes("{} x"))
        }
        #expect(throws: JSONObjectError.self) { try JSONObject.members(of: bytes(#"{"a":1,}"#)) }
        #expect(throws: JSONObjectError.self) { try JSONObject.members(of: bytes(#"{"a":1,"b":2}"#), membersMax: 1) }
    }
}
