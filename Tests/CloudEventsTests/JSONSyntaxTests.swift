import CloudEvents
import Testing

/// The classes of JSONTestSuite (what RFC 8259 accepts, rejects, and leaves open), read alone and in an event.
///
/// S-16.
@Suite struct JSONSyntaxTests {
    @Test(arguments: JSONSyntaxTable.accepted)
    func `accepted text is accepted, and its bytes stay as they are`(text: String) throws {
        let input = bytes(" \n" + text + "\t\r")
        #expect(try JSONScanner.check(input).get().elementsEqual(text.utf8))
        let event = try JSONFormat.decode(bytes(document("\"data\": \(text) ")))
        #expect(event.data == .json(bytes(text)))
    }

    @Test(arguments: JSONSyntaxTable.rejected)
    func `S-16: rejected text is one JSON-02 violation with an offset`(text: String) {
        #expect(throws: JSONSyntaxError.self) { try JSONScanner.check(bytes(text)).get() }
        let violations = JSONFormat.violations(in: document("\"data\":\(text)"))
        #expect(violations.map(\.rule) == ["JSON-02"])
        #expect(violations.first?.detail.contains("at byte") == true)
    }

    @Test(arguments: JSONSyntaxTable.rejectedAlone)
    func `S-16: a text with more or less than one value is rejected`(text: String) {
        #expect(throws: JSONSyntaxError.self) { try JSONScanner.check(bytes(text)).get() }
        #expect(JSONFormat.violations(in: text).map(\.rule) == ["JSON-02"])
    }

    @Test(arguments: JSONSyntaxTable.invalidUTF8)
    func `S-16: invalid UTF-8 is rejected in data, in attributes and in names`(sequence: [UInt8]) {
        for (before, after) in [
            (#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":""#, "\"}"),
            (#"{"specversion":"1.0","id":"1","source":"/s","type":""#, "\"}"),
            (#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{""#, "\":0}}"),
        ] {
            let input = Array(before.utf8) + sequence + Array(after.utf8)
            #expect(JSONFormat.violations(in: input[...]).map(\.rule) == ["JSON-02"])
        }
    }

    @Test func `the table is as large as it should be`() {
        let count =
            JSONSyntaxTable.accepted.count + JSONSyntaxTable.rejected.count + JSONSyntaxTable.rejectedAlone.count
            + JSONSyntaxTable.invalidUTF8.count
        #expect(count >= 180)
    }

    @Test func `every code point may stand in a string as it is`() throws {
        var scalars = String.UnicodeScalarView()
        for value in UInt32(0x20)...0x10FFFF where value != 0x22 && value != 0x5C {
            if let scalar = Unicode.Scalar(value) { scalars.append(scalar) }
        }
        let all = "\"" + String(scalars) + "\""
        #expect(try JSONScanner.check(bytes(all)).get().count == all.utf8.count)
    }

    @Test func `every UTF-8 sequence of two and three bytes is judged as the standard library judges it`() {
        for first in UInt8(0x80)...0xFF {
            for second in stride(from: 0x00, through: 0xFF, by: 1) {
                for third in [0x20, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0] as [UInt8] {
                    let sequence = [first, UInt8(second), third, 0x80]
                    // Only bytes from 0x80 concern UTF-8; others would open an escape, end the string or be a control.
                    guard sequence.allSatisfy({ $0 >= 0x20 && $0 != 0x22 && $0 != 0x5C }) else { continue }
                    let isValid = String(validating: sequence, as: UTF8.self) != nil
                    let result = JSONScanner.check(([0x22] + sequence + [0x22])[...])
                    let isAccepted = (try? result.get()) != nil
                    #expect(isAccepted == isValid, "\(sequence)")
                }
            }
        }
    }
}

enum JSONSyntaxTable {
    static let accepted = [
        "[]", "[ ]", "{}", "{ }", "[[]   ]", "[\"\"]", "[\"a\"]", "[false]", "[true]", "[null]", "null", "true",
        "false",
        "[1]", "[1\n]", "[ 1]", "[1 ]", "[null, 1, \"1\", {}]", "[1,null,null,null,2]", "[\"asd \"]", "\"\"", "\" \"",
        "0",
        "-0", "[-0]", "[-1]", "[-123]", "[0e+1]", "[0e1]", "[20e1]", "[1E22]", "[1E-2]", "[1E+2]", "[123e45]",
        "[123e-10000000]", "[1.5e+9999]", "[123.456e78]", "[123.456789]", "[0.000000000000000000000000000000000001]",
        "[-0.000000000000000000000000000000000000000000000000000000000000000000000000000001]",
        "[100000000000000000000000000000000000000]", "[-237462374673276894279832749832423479823246327846]",
        "{\"asd\":\"sdf\", \"dfg\":\"fgh\"}", "{\"asd\":\"sdf\"}", "{\"a\":\"b\",\"a\":\"c\"}",
        "{\"a\":\"b\",\"a\":\"b\"}",
        "{\"\":0}", "{\"foo\\u0000bar\": 42}", "{ \"min\": -1.0e+28, \"max\": 1.0e+28 }", "{\"a\":[]}",
        "{\n\"a\":\"b\"\n}",
        "{\"title\":\"\\u041f\\u043e\\u043b\"}", "[\"\\u0060\\u012a\\u12AB\"]", "[\"\\uD801\\udc37\"]",
        "[\"\\ud83d\\ude39\\ud83d\\udc8d\"]", "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]", "[\"\\\\u0000\"]", "[\"\\\"\"]",
        "[\"a/*b*/c/*d//e\"]", "[\"\\\\a\"]", "[\"\\\\n\"]", "[\"\\u0012\"]", "[\"\\uFFFF\"]", "[\"new\\u00A0line\"]",
        "[\"\u{10FFFF}\"]", "[\"\u{FFFF}\"]", "[\"\\u0000\"]", "[\"\\u002c\"]", "[\"π\"]", "[\"\u{1BFFF}\"]",
        "[\"asd\\u0020\"]", "[\"\u{2028}\u{2029}\"]", "[\"\\u0061\\u30af\\u30EA\\u30b9\"]", "[\"\u{7F}a\u{7F}\"]",
        "[\"\\uA66D\"]", "[\"\\u005C\"]", "[\"\\u0022\"]", "[\"\\u200B\"]", "[\"\\u2064\"]", "[\"\\uDBFF\\uDFFE\"]",
        // Left open by the RFC: taken as they are, since data is not ours to judge.
        "[\"\\uDADA\"]", "[\"\\uD888\\u1234\"]", "[\"\\uDd1e\\uD834\"]", "[\"\\ud800\"]", "[\"\\uD800\\n\"]",
        "[\"\\ud800abc\"]", "[\"\\uD800\\uD800\\n\"]", "[\"\\uDFAA\"]", "[\"\\uDC00\\uD800\"]", "{\"\\uDFAA\":0}",
        "[-1e+9999]", "[1.5e+9999999999999999999999]", "[0.4e00669999999999999999999999999999999999999999999969999999]",
    ]

    static let rejected = [
        "[1 true]", "[a]", "[\"\": 1]", "[,1]", "[1,,2]", "[\"x\",,]", "[\"\",]", "[x", "[3[4]]", "[1:2]", "[,]", "[-]",
        "[   , \"\"]", "[1,]", "[1,,]", "[\"a", "[*]", "[\"\"", "[1,", "[1,\n1\n,1", "[{}", "[fals]", "[nul]", "[tru]",
        "[++1234]", "[+1]", "[+Inf]", "[-01]", "[-1.0.]", "[-2.]", "[-NaN]", "[.-1]", "[.2e-3]", "[0.1.2]", "[0.3e+]",
        "[0.3e]", "[0.e1]", "[0E+]", "[0E]", "[0e+]", "[0e]", "[1.0e+]", "[1.0e-]", "[1.0e]", "[1 000.0]", "[1eE2]",
        "[2.e+3]", "[2.e-3]", "[2.e3]", "[9.e+]", "[Inf]", "[NaN]", "[1+2]", "[0x1]", "[0x42]", "[Infinity]", "[0e+-1]",
        "[-123.123foo]", "[-Infinity]", "[-foo]", "[- 1]", "[-012]", "[-.123]", "[-1x]", "[1ea]", "[1.]", "[.123]",
        "[1.2a-3]", "[1.8011670033376514H-308]", "[012]", "[00]", "[－1]", "[１]", "{\"x\", null}", "{\"x\"::\"b\"}",
        "{\"a\" b}", "{key: 'value'}", "{\"a\":\"a\" 123}", "{:\"b\"}", "{\"a\":", "{\"a\"", "{1:1}", "{9999E9999:1}",
        "{null:null,null:null}", "{\"id\":0,,,,,}", "{'a':0}", "{\"id\":0,}", "{\"a\":\"b\",,\"c\":\"d\"}",
        "{a: \"b\"}",
        "{\"a\":\"a", "{ \"foo\" : \"bar\", \"a\" }", "{🇨🇭}", "{[]:0}", "{\"a\":/*comment*/\"b\"}",
        "{\"a\":true,//c\n}",
        "{\"a\":\"b\",}", "[\"\\uD800\\\"]", "[\"\\uD800\\u1\"]", "[\"\\uD800\\u1x\"]", "[\"\\uD800\\u\"]",
        "[\\u000A\"\"]",
        "[\"\\x00\"]", "[\"\\\\\\\"]", "[\"\\\t\"]", "[\"\\🌀\"]", "[\"\\\"]", "[\"\\a\"]", "[\"\\uqqqq\"]",
        "[\"\\u00A\"]",
        "[\"\\uD834\\uDd\"]", "[\"\\u{0061}\"]", "['single quote']", "[\"a\u{0}a\"]", "[\"new\nline\"]", "[\"\t\"]",
        "[\"\u{1F}\"]", "\"\\UA66D\"", "[\u{2060}]", "[\u{C}]", "[\u{A0}1]", "[\u{FEFF}1]", "<.>", "[<null>]", "[1}",
        "{\"a\":1]", "[True]", "[TRUE]", "[nULL]", "[trueX]", "[\"a\" \"b\"]", "{\"a\":1 \"b\":2}", "{\"a\"}", "{,}",
        "[/**/1]", "[1//\n]", "[\u{B}1]", "a", "'a'", "\"", "\"a", "[", "{", "-", "+1", "*", "&", "tru", "[\"\\",
        "[\"\\u", "[\"\\u1", "[1e", "[1.", "[-", "{\"", "{\"a", "[[[[", "[{\"a\":[{\"b\":[",
    ]

    static let rejectedAlone = [
        "", " ", "\n", "]", "}", "1]", "[1]x", "{}}", "{} {}", "[][]", "\"\"x", "1 1", "nullnull", "truefalse",
        "123\u{0}",
        "{\"a\":\"b\"}#", "{\"a\":\"b\"}//", "{\"a\":\"b\"}/**/", "{\"a\": true} \"x\"", "[\"asd]", "\u{0}", "\u{B}1",
        "[1],", ",1", ":", ",", "\u{A0}", "1\u{2060}",
    ]

    static let invalidUTF8: [[UInt8]] = [
        [0xFF], [0xFE], [0x80], [0xBF], [0xC0, 0xAF], [0xC1, 0xBF], [0xC2], [0xC2, 0x20], [0xE0, 0x80, 0xAF],
        [0xE0, 0x9F, 0xBF], [0xE2, 0x82], [0xE2, 0x82, 0x22], [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF], [0xE9],
        [0xF0, 0x80, 0x80, 0xAF], [0xF0, 0x8F, 0xBF, 0xBF], [0xF0, 0x9F, 0x98], [0xF4, 0x90, 0x80, 0x80],
        [0xF5, 0x80, 0x80, 0x80], [0xF8, 0x88, 0x80, 0x80, 0x80], [0xFC, 0x83, 0xBF, 0xBF, 0xBF, 0xBF],
        [0xE6, 0x97, 0xA5, 0xFF],
        [0xED, 0xA0, 0xBD, 0xED, 0xB8, 0x80],
    ]
}
