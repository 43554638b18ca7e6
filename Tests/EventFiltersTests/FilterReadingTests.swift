import CloudEvents
import EventFilters
import Testing

@Suite struct FilterReadingTests {
    private func violations(_ json: String) -> [String] {
        do throws(InvalidFilter) {
            _ = try EventFilter(json)
            return []
        } catch {
            return error.violations.map { "\($0.rule) \($0.pointer)" }
        }
    }

    @Test func `everything wrong is told at once and with its place`() {
        let json = """
            [{"exact":{"type":"","Bad":"x","n":5}},
             {"any":[{"regex":{"type":"x"}},{"not":{"all":[]}},7]},
             {"prefix":{"type":"a"},"suffix":{}},
             {"sql":"true"},{"all":[{"cesql":"1"}]},{},{"not":[]}]
            """
        #expect(
            violations(json) == [
                "SUB-16 /0/exact/type", "SUB-16 /0/exact/Bad", "SUB-16 /0/exact/n", "SUB-04 /1/any/0/regex",
                "SUB-13 /1/any/1/not/all", "SUB-05 /1/any/2", "SUB-05 /2", "SUB-08 /2/suffix", "SUB-17 /3/sql",
                "SUB-17 /4/all/0/cesql", "SUB-05 /5", "SUB-15 /6/not",
            ]
        )
    }

    @Test(arguments: [
        (#"{}"#, "SUB-12 "), (#"[{"exact":{"type":"a""#, "JSON-02 "), (#"[] []"#, "JSON-02 "), ("", "JSON-02 "),
        (#"[{"exact":{"type":"a","type":"b"}}]"#, "SUB-06 /0/exact/type"),
        (#"[{"exact":{"type":"\ud800"}}]"#, "SUB-16 /0/exact/type"),
        (#"[{"exact":{"\ud800":"a"}}]"#, "SUB-16 /0/exact"),
        (#"[{"a/b~c":1}]"#, "SUB-04 /0/a~1b~0c"),
    ])
    func `what is no filter is refused`(json: String, expected: String) {
        #expect(violations(json) == [expected])
    }

    @Test func `names are compared by code units, so that a look-alike is unknown`() {
        #expect(violations("[{\"ex\u{430}ct\":{\"type\":\"a\"}}]").count == 1)
        #expect(violations("[{\"exact\":{\"id\u{301}\":\"a\"}}]").count == 1)
    }

    @Test func `nesting is bounded where it says`() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: #"{"not":"#, count: depth - 1) + #"{"exact":{"type":"a"}}"#
                + String(repeating: "}", count: depth - 1)
        }
        let event = try CloudEvent(id: "1", source: "/s", type: "a")
        #expect(try EventFilter("[\(nested(EventFilter.depthMax))]").matches(event) == (EventFilter.depthMax % 2 == 1))
        #expect(violations("[\(nested(EventFilter.depthMax + 1))]").count == 1)
        #expect(violations("[\(nested(60))]").count == 1)
        #expect(violations("[\(nested(10_000))]") == ["JSON-02 "])
        #expect(violations(String(repeating: "[", count: 200_000)) == ["JSON-02 "])
    }

    @Test func `the number of terms and the size are bounded`() throws {
        func many(_ count: Int) -> String {
            "[" + Array(repeating: #"{"exact":{"type":"a"}}"#, count: count).joined(separator: ",") + "]"
        }
        #expect(violations(many(EventFilter.termsMax / 2)) == [])
        #expect(violations(many(EventFilter.termsMax / 2 + 1)).count == 1)
        let long = String(repeating: "x", count: EventFilter.bytesMax)
        #expect(violations("[{\"exact\":{\"type\":\"\(long)\"}}]") == ["SUB-05 "])
    }

    @Test func `a list of faults is bounded and quotes what came from outside`() {
        let json = "[" + Array(repeating: "{\"\\u0007\\u202e'x\":1}", count: 100).joined(separator: ",") + "]"
        let error = #expect(throws: InvalidFilter.self) { try EventFilter(json) }
        #expect(error?.violations.count == 64)
        #expect(error?.violations.first?.detail.contains("'\\u{7}\\u{202E}\\u{27}x'") == true)
    }

    @Test func `no filters let everything pass`() throws {
        let event = try CloudEvent(id: "1", source: "/s", type: "a")
        #expect(try EventFilter("[]").matches(event))
        #expect(EventFilter.everything.matches(event))
        #expect(try EventFilter("[]") == .everything)
    }
}

/// Attributes are compared as their canonical text, by code units (SUB-10, SUB-11).
@Suite struct FilterComparisonTests {
    private static let event = try? CloudEvent(
        id: "1",
        source: "/s",
        type: "caf\u{E9}.x",
        subject: "e\u{301}\u{1F468}\u{200D}\u{1F469}",
        time: Timestamp("2026-01-01T00:00:00.50+01:00"),
        dataContentType: "text/plain",
        dataSchema: "http://x/y",
        extensions: [
            "n": -5, "b": false, "bin": .binary([1, 2, 255]), "when": .timestamp(.now()), "u": .uri("urn:a"),
            "r": .uriReference("a/b"),
        ]
    )

    @Test(arguments: [
        (#"{"exact":{"n":"-5"}}"#, true), (#"{"exact":{"n":"-05"}}"#, false), (#"{"prefix":{"n":"-"}}"#, true),
        (#"{"exact":{"b":"false"}}"#, true), (#"{"exact":{"b":"False"}}"#, false),
        (#"{"exact":{"bin":"AQL/"}}"#, true), (#"{"exact":{"u":"urn:a"}}"#, true),
        (#"{"exact":{"r":"a/b"}}"#, true), (#"{"exact":{"specversion":"1.0"}}"#, true),
        (#"{"exact":{"time":"2026-01-01T00:00:00.50+01:00"}}"#, true),
        (#"{"exact":{"time":"2025-12-31T23:00:00.5Z"}}"#, false), (#"{"suffix":{"time":"+01:00"}}"#, true),
        (#"{"exact":{"datacontenttype":"text/plain"}}"#, true),
        (#"{"exact":{"datacontenttype":"Text/plain"}}"#, false), (#"{"prefix":{"dataschema":"http:"}}"#, true),
        (#"{"exact":{"type":"caf\u00e9.x"}}"#, true), (#"{"exact":{"type":"cafe\u0301.x"}}"#, false),
        (#"{"prefix":{"type":"caf"}}"#, true), (#"{"prefix":{"type":"cafe"}}"#, false),
        (#"{"prefix":{"subject":"e"}}"#, true), (#"{"prefix":{"subject":"\u00e9"}}"#, false),
        (#"{"suffix":{"subject":"\u200d\ud83d\udc69"}}"#, true), (#"{"suffix":{"subject":"\ud83d\udc69"}}"#, true),
        (#"{"suffix":{"source":"//s"}}"#, false), (#"{"prefix":{"source":"/s/"}}"#, false),
    ])
    func `canonical text, code unit by code unit`(filter: String, expected: Bool) throws {
        let event = try #require(Self.event)
        #expect(try EventFilter("[\(filter)]").matches(event) == expected)
        #expect(try EventFilter("[{\"not\":\(filter)}]").matches(event) == !expected)
    }
}
