import ServerFixtures
import SluiceCommands
import Testing

/// The small JSON reader and writer of the command line.
struct JSONTextTests {
    @Test func `members keep their order and numbers their lexeme`() throws {
        let text = #" {"b": [1, -0.50e+3, true, false, null], "a": "x\u00e9\ud83d\ude42\n"} "#
        let json = try JSONText(parsing: Array(text.utf8))
        guard case .object(let members) = json else {
            Issue.record("no object")
            return
        }
        #expect(members.map(\.name) == ["b", "a"])
        let numbers: [JSONText] = [.number("1"), .number("-0.50e+3"), .bool(true), .bool(false), .null]
        #expect(members.first?.value == .array(numbers))
        #expect(json["a"]?.string == "xé🙂\n")
        #expect(json["b"]?.elements?.first?.integer == 1)
        #expect(json["c"] == nil)
    }

    @Test(
        arguments: [
            "", " ", "{", "}", "[1,]", "[,1]", #"{"a"}"#, #"{"a":}"#, #"{"a":1,}"#, #"{a:1}"#, "01", "1.", ".5", "-",
            "+1",
            "1e", "tru", "nul", "'a'", #""a"#, #""\x""#, #""\u12""#, #""\ud800""#, #""\ud800\u0041""#, #""\udc00""#,
            "1 2",
            "\"a\nb\"", #"{"a":1,"a":2}"#, #"{"a":1,"\u0061":2}"#, "NaN", "Infinity", "[1", "\u{0}",
        ])
    func `what is not JSON is refused with its place`(text: String) {
        #expect(throws: JSONTextError.self) { try JSONText(parsing: Array(text.utf8)) }
    }

    @Test func `invalid UTF-8 and too deep texts are refused`() {
        #expect(throws: JSONTextError.self) { try JSONText(parsing: [0x22, 0xFF, 0x22]) }
        #expect(throws: JSONTextError.self) { try JSONText(parsing: [0x22, 0xED, 0xA0, 0x80, 0x22]) }
        #expect(throws: JSONTextError.self) { try JSONText(parsing: [UInt8](repeating: 0x5B, count: 1_000_000)) }
        let deepest = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
        #expect(throws: Never.self) { try JSONText(parsing: Array(deepest.utf8)) }
    }

    @Test func `a fault tells line and column`() {
        do {
            _ = try JSONText(parsing: Array("{\n  \"a\": 1,\n  \"a\": 2\n}".utf8))
            Issue.record("no fault")
        } catch {
            #expect(error.line == 3)
            #expect(error.column == 3)
            #expect(error.description == "the member 'a' occurs twice (line 3, column 3)")
        }
    }

    @Test func `random changes to a text never crash the reader`() {
        var generator = SeededGenerator(seed: 11)
        let seed = Array(#"{"a":[1,2.5e3,"x\u00e9\ud83d\ude42",{"b":null,"c":true}],"d":"é漢"}"#.utf8)
        var read = 0
        for _ in 0..<50_000 {
            var bytes = seed
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            if (try? JSONText(parsing: bytes)) != nil { read += 1 }
        }
        #expect(read > 0 && read < 50_000)
    }

    @Test func `what is written can be read`() throws {
        var writer = JSONWriter()
        writer.add("text", "a\"b\\c\u{1B}\u{202E}")
        writer.add("whole", -7)
        writer.add("part", 12.5, digits: 3)
        writer.add("none", .nan, digits: 3)
        let json = try JSONText(parsing: Array(writer.text.utf8))
        #expect(json["text"]?.string == "a\"b\\c\u{1B}\u{202E}")
        #expect(json["whole"]?.integer == -7)
        #expect(json["part"] == .number("12.500"))
        #expect(json["none"] == .null)
    }

    @Test(arguments: [
        (0, 2, "0.00"), (1.005, 2, "1.00"), (-0.001, 2, "0.00"), (-1.5, 1, "-1.5"), (999.9996, 3, "1000.000"),
        (7, 0, "7"),
    ])
    func `decimals are rounded`(value: Double, digits: Int, text: String) {
        #expect(Decimals.text(value, digits: digits) == text)
    }

    @Test(arguments: [(0, "0"), (999, "999"), (1000, "1,000"), (-1_234_567, "-1,234,567")])
    func `large numbers are grouped`(value: Int, text: String) {
        #expect(Decimals.grouped(value) == text)
    }

    @Test(
        arguments: [
            ("http://a", "a", 80, ""), ("http://a:1/x/", "a", 1, "/x"), ("HTTP://[::1]:9", "::1", 9, ""),
            ("http://u:p@w@a:2/", "a", 2, ""),
        ])
    func `addresses are taken apart`(url: String, host: String, port: Int, path: String) throws {
        let address = try #require(ServerAddress(url: url, schemes: ["http"], defaultPort: 80))
        #expect(address.host == host)
        #expect(address.port == port)
        #expect(address.path == path)
    }

    @Test(
        arguments: [
            "", "a", "http:", "http://", "http://:1", "http://a:", "http://a:0", "http://a:65536", "http://a:+1",
            "http://[::1", "http://[::1]x", "http://a b", "http://a\r\nX: y", "http://a?b", "http://a#b", "ftp://a",
            "http://a:1:2", "http://é",
        ])
    func `what is no address is refused`(url: String) {
        let address = ServerAddress(url: url, schemes: ["http"], defaultPort: 80)
        #expect(address == nil)
    }
}
