import SluiceCommands
import Testing

/// What the commands about delivery print, and what they make of a gateway's JSON.
struct DeliveryTextTests {
    private func slice(_ text: String) throws -> JSONSlice { try JSONSlice(parsing: text.utf8) }

    private func line(_ text: String) throws -> String { String(decoding: try slice(text).line, as: UTF8.self) }

    @Test(
        arguments: [
            (" { \"a\" : [ 1 , 2.50e+1 , { } , [ ] ] ,\n\t\"b\" : null } ", #"{"a":[1,2.50e+1,{},[]],"b":null}"#),
            (#""x \" , : { \\""#, #""x \" , : { \\""#), (#"{"é":"漢 🙂"}"#, #"{"é":"漢 🙂"}"#),
            (#"{"a":1,"a":2}"#, #"{"a":1,"a":2}"#), (#""\u202e\ud83d\ude42""#, #""\u202e\ud83d\ude42""#),
        ])
    func `an event is printed on one line and as it was`(text: String, expected: String) throws {
        #expect(try line(text) == expected)
    }

    @Test func `characters that hide or move the cursor are escaped and mean the same`() throws {
        let hidden = "\u{202E}\u{9B}31m\u{2028}\u{85}\u{7F}\u{200B}\u{E0001}"
        let printed = try line("[\"a\(hidden)b\"]")
        #expect(printed.unicodeScalars.allSatisfy { $0.isASCII && $0.value >= 0x20 && $0.value != 0x7F })
        let read = try JSONText(parsing: printed.utf8)
        #expect(read.elements?.first?.string == "a\(hidden)b")
    }

    @Test(arguments: ["{\u{1B}[2J}", "\"\u{1B}]0;x\u{7}\"", "[1,\u{7}2", "\"open \u{1B}[31m", "\u{9B}31m", "\"\\"])
    func `what is no JSON cannot write control characters either`(text: String) throws {
        for output in [try slice(text).line, try slice(text).indented] {
            let scalars = String(decoding: output, as: UTF8.self).unicodeScalars
            #expect(scalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F && $0.value != 0x9B || $0 == "\n" })
        }
    }

    @Test func `indented JSON keeps its values`() throws {
        let text = #"{"a":[1,{"b":[]}],"c":"x, y: {z}"}"#
        let indented = String(decoding: try slice(text).indented, as: UTF8.self)
        let expected = """
            {
              "a": [
                1,
                {
                  "b": []
                }
              ],
              "c": "x, y: {z}"
            }
            """
        #expect(indented == expected)
    }

    @Test func `members and elements are slices of the text`() throws {
        let value = try slice(#" {"a" : {"b": [1, "x\u0041", true]}, "n": null, "a": 2} "#)
        #expect(value.members?.map(\.name) == ["a", "n", "a"])
        #expect(
            value["a"]?["b"]?.elements?.map { String(decoding: $0.bytes, as: UTF8.self) } == [
                "1", #""x\u0041""#, "true",
            ]
        )
        #expect(value["a"]?["b"]?.elements?[1].string == "xA")
        #expect(value["n"]?.isNull == true)
        #expect(value["a"]?["b"]?.elements?[0].integer == 1)
        #expect(value["missing"] == nil && value.elements == nil && value["n"]?.members == nil)
    }

    @Test(arguments: [#"{"a":1} x"#, #"{"a":}"#, "[1,]", "[1 2]", #"{"a" 1}"#, "{", "nope"])
    func `broken JSON has no members and no elements`(text: String) throws {
        let value = try slice(text)
        #expect(value.members == nil && value.elements == nil && value["a"] == nil)
    }

    @Test func `nothing is no JSON`() {
        #expect(throws: FileError.self) { try JSONSlice(parsing: " \n".utf8) }
    }

    @Test func `an event as deep as events may be is still read inside an answer`() throws {
        let deep = String(repeating: "[", count: 62) + String(repeating: "]", count: 62)
        let answer = try slice(#"{"value":[{"event":{"data":\#(deep)}}]}"#)
        let event = try #require(answer["value"]?.elements?.first?["event"])
        #expect(String(decoding: event.line, as: UTF8.self) == #"{"data":\#(deep)}"#)
    }

    @Test func `a table is aligned, also with wide characters, and cut to the terminal`() {
        var table = DeliverTable(["ID", "COUNT", "TEXT"], numeric: [1])
        table.add(["a", "7", "x\u{1B}[31m"])
        table.add(["漢字", "12345", ""])
        let lines = table.lines(width: nil)
        #expect(lines == ["ID    COUNT  TEXT", #"a         7  x\u{1b}[31m"#, "漢字  12345  -"])
        for line in table.lines(width: 12) { #expect(DeliverTable.width(line) <= 12) }
        #expect(table.lines(width: 12)[1] == "a         7…")
        #expect(table.lines(width: 500) == lines)
    }

    @Test func `facts are flattened, escaped and hidden by their path`() throws {
        var facts = DeliverFacts()
        facts.add(
            try slice(##"{"id":"a\nb","n":null,"types":["x","y"],"c":{"d":{"e":1,"f":[]},"g":[{"h":1}]},"z":true}"##),
            hiding: ["z", "c.d.f"]
        )
        #expect(facts.lines == ["id     a\\nb", "n      -", "types  x, y", "c.d.e  1", #"c.g    [{"h":1}]"#])
    }

    @Test func `problem details are told with every violation`() throws {
        let body = try JSONText(
            parsing: Array(
                #"{"title":"No","detail":"2 rules","violations":[{"pointer":"","rule":"R","detail":"a\u001b"},{"pointer":"/b"}]}"#
                    .utf8
            )
        )
        let lines = DeliverProblem.lines(status: 400, reason: "Bad Request", body: body)
        #expect(lines == ["400: No: 2 rules", #"  the whole (R): a\u{1b}"#, "  /b: "])
        #expect(DeliverProblem.lines(status: 502, reason: "Bad Gateway", body: nil) == ["502: Bad Gateway"])
    }

    @Test func `parts of paths and queries are encoded`() {
        #expect(DeliverPath.encoded("a/b?c=d&e é") == "a%2Fb%3Fc%3Dd%26e%20%C3%A9")
        #expect(DeliverPath.query("/x", [("a", nil), ("b", "1 2"), ("c", "")]) == "/x?b=1%202&c=")
        #expect(DeliverPath.query("/x", [("a", nil)]) == "/x")
    }

    @Test func `lock tokens are sent as JSON strings`() {
        let body = ReceiveToken.body([ReceiveToken(text: "a"), ReceiveToken(text: "\"\\\n")])
        #expect(String(decoding: body, as: UTF8.self) == #"{"lockTokens":["a","\"\\\n"]}"#)
    }

    @Test func `the results of a redrive add up`() throws {
        var result = DeadLettersResult(isDryRun: false)
        result.add(try slice(#"{"matched":3,"redriven":2,"failed":1,"failures":[{"sequence":9,"detail":"a\u001bb"}]}"#))
        result.add(try slice(#"{"matched":2,"redriven":2,"failed":0,"failures":[],"stopped":"the bus is away"}"#))
        #expect(result.line == "4 of 5 put back, 1 failed")
        #expect(result.complaints == [#"9: a\u{1b}b"#, "stopped: the bus is away"])
        let json = try JSONText(parsing: Array(result.json.utf8))
        #expect(json["matched"]?.integer == 5 && json["redriven"]?.integer == 4 && json["failed"]?.integer == 1)
        #expect(json["failures"]?.elements?.first?["sequence"]?.integer == 9)
        #expect(json["dryRun"]?.bool == false)
    }
}
