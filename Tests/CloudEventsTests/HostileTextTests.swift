import CloudEvents
import Glibc
import ServerFixtures
import Testing

/// Texts made to hurt.
///
/// S-16, S-17, S-18.
@Suite struct HostileTextTests {
    @Test(arguments: [(63, true), (64, true), (65, false), (160, false), (512, false), (1_000_000, false)])
    func `S-16: data may nest 64 deep and no deeper, in every mode`(depth: Int, isAccepted: Bool) throws {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let innermost = open == "[" ? "" : "0"
            let data = String(repeating: open, count: depth) + innermost + String(repeating: close, count: depth)
            let expected = isAccepted ? [] : ["JSON-02"]
            #expect(JSONFormat.violations(in: document("\"data\":\(data)")).map(\.rule) == expected)
            let inBody = violations(inFields: [("content-type", "application/json")], body: data)
            #expect(inBody.map(\.rule) == (isAccepted ? [] : ["JSON-17"]))
            let batch = try? JSONFormat.decodeBatch(bytes("[" + document("\"data\":\(data)") + "]"))
            #expect((batch != nil) == isAccepted)
        }
    }

    @Test(arguments: ["[", "{\"a\":", "[[{\"a\":[", "\"", "\\", "{\"data\":["])
    func `S-16: a million openings are refused at once`(opening: String) {
        let text = String(repeating: opening, count: 1_000_000 / opening.utf8.count)
        #expect(!JSONFormat.violations(in: text).isEmpty)
        #expect(throws: InvalidEvent.self) { try JSONFormat.decodeBatch(bytes(text)) }
        #expect(throws: InvalidEvent.self) { try JSONFormat.decodeBatch(bytes("[" + text)) }
        #expect(throws: JSONObjectError.self) { try JSONObject.members(of: bytes(text)) }
    }

    @Test func `time grows with the length of the text and not faster`() throws {
        // Each of these would take minutes if anything were quadratic.
        let many = 100_000
        let extensions = (0..<many).map { "\"x\($0)\":\"v\"" }.joined(separator: ",")
        #expect(try JSONFormat.decode(bytes(document(extensions))).extensions.count == many)
        let nulls = (0..<many).map { "\"x\($0)\":null" }.joined(separator: ",")
        #expect(try JSONFormat.decode(bytes(document(nulls))).extensions.isEmpty)
        let duplicates = Array(repeating: "\"x\":1", count: many).joined(separator: ",")
        #expect(JSONFormat.violations(in: document(duplicates)).count == InvalidEvent.violationsMax)
        let badNames = (0..<many).map { "\"X\($0)\":1" }.joined(separator: ",")
        #expect(JSONFormat.violations(in: document(badNames)).count == InvalidEvent.violationsMax)
        let fields = (0..<many).map { ("ce-x\($0)", "v") }
        #expect(violations(inFields: fields).isEmpty)
        let escapes = String(repeating: "\\u0041", count: 1_000_000)
        let event = try JSONFormat.decode(bytes(document("\"subject\":\"\(escapes)\"")))
        #expect(event.subject?.utf8.count == 1_000_000)
        let source = "/" + String(repeating: "%41:a/", count: 200_000)
        #expect(try CloudEvent(id: "1", source: source, type: "t").source.utf8.count == source.utf8.count)
        let batch = "[" + Array(repeating: document(), count: 50_000).joined(separator: ",") + "]"
        #expect(try JSONFormat.decodeBatch(bytes(batch)).count == 50_000)
    }

    @Test func `S-18: a violation cannot forge a line and is bounded in size`() {
        let hostile = "\\n{\\\"level\\\":\\\"error\\\"}\\u001b[31m\\u202e" + String(repeating: "x", count: 100_000)
        let names = (0..<100).map { "\"\($0)\(hostile)\":\"\(hostile)\"" }.joined(separator: ",")
        for text in [document("\"time\":\"\(hostile)\""), document(names), document("\"dataschema\":\"é \(hostile)\"")]
        {
            let violations = JSONFormat.violations(in: text)
            #expect(!violations.isEmpty)
            for violation in violations {
                #expect(violation.detail.utf8.count < 1024)
                #expect(violation.pointer.utf8.count < 1024)
                let isClean = violation.detail.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x202E }
                #expect(isClean)
            }
        }
        #expect(throws: InvalidEvent.self) {
            do {
                _ = try JSONFormat.decode(bytes(document(names)))
            } catch let error as InvalidEvent {
                #expect(error.omitted == 36)
                #expect(!error.description.contains("\n"))
                throw error
            }
        }
    }

    @Test func `S-16: a million mutations of valid events never crash it, and what is accepted stays accepted`() throws
    {
        var generator = SeededGenerator(seed: 20)
        let seeds = Self.seeds.map { Array($0.utf8) }
        var accepted = 0
        let started = seconds()
        for round in 0..<1_000_000 {
            let text = Self.mutated(seeds[round % seeds.count], seeds, using: &generator)
            if round % 4 == 3 {
                guard let entries = try? JSONFormat.decodeBatch(text) else { continue }
                #expect(entries.reduce(0) { $0 + $1.text.count } <= text.count)
                continue
            }
            guard let event = try? JSONFormat.decodeWithText(text) else { continue }
            accepted += 1
            // What was accepted is accepted again, as it came and as we would write it, and means the same.
            #expect(try JSONFormat.decode(event.text) == event.event)
            #expect(try JSONFormat.decode(JSONFormat.encode(event.event)[...]) == event.event)
        }
        #expect(accepted > 20_000)
        #expect(seconds() - started < 60)
    }

    @Test func `S-17: random header fields never crash it, and what is accepted survives every mode`() throws {
        var generator = SeededGenerator(seed: 17)
        let values = [
            "1.0", "/s", "t", "%", "%41", "%C3%A9", "%c3", "\"", "\"a\"", "\\", "é", "\u{FFFD}", "\u{0}", " x ", "\t",
            "%0d%0a",
            "2018-04-05T17:31:00Z", "http://example.com/s", "true", "5", "a,b", "%00", "%25", "", "application/json",
        ]
        let names = [
            "ce-id", "CE-SOURCE", "ce-type", "ce-subject", "ce-time", "ce-dataschema", "ce-x", "ce-datacontenttype",
            "ce-",
            "content-type", "ce_x", "c", "ce-data", "Ce-É", "ce-specversion", "host",
        ]
        let bodies = ["", "{}", "{", "x", "\u{FEFF}{}", " 1 "]
        var accepted = 0
        for _ in 0..<100_000 {
            var fields = minimal([])
            for _ in 0..<Int.random(in: 0...2, using: &generator) {
                fields.remove(at: Int.random(in: 0..<fields.count, using: &generator))
            }
            for _ in 0..<Int.random(in: 0...4, using: &generator) {
                let name = names.randomElement(using: &generator) ?? ""
                let value = (0..<Int.random(in: 1...2, using: &generator))
                    .map { _ in values.randomElement(using: &generator) ?? "" }.joined()
                fields.append((name, value))
            }
            let body = bytes(bodies.randomElement(using: &generator) ?? "")
            _ = try? NATSBinding.decode(headers: fields, payload: body)
            guard let event = try? HTTPBinding.decode(fields: fields, body: body) else { continue }
            accepted += 1
            for (mode, result) in try RoundTrip.all(event) { #expect(result.event == result.expected, "\(mode)") }
        }
        #expect(accepted > 1000)
    }

    private func seconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    private static let seeds = [
        document(),
        document(#""subject":"\u00e9\ud83d\ude00","time":"2016-12-31T23:59:60.5+00:00","data":[1,{"a":null}]"#),
        document(#""datacontenttype":"text/plain; charset=\"utf-8\"","data":"h\u00e9llo","myext":true,"n":-12"#),
        "[" + document(#""data_base64":"AAEC\/w==""#) + "," + document(#""data":{"x":[1.5e3,"é"]}"#) + "]",
    ]

    /// One to four random edits: flips, insertions, deletions, doublings, and pieces of other texts.
    private static func mutated(
        _ text: [UInt8],
        _ pool: [[UInt8]],
        using generator: inout SeededGenerator
    ) -> ArraySlice<UInt8> {
        var text = text
        let special = Array("\"\\{}[]:,0-.e \u{0}\u{7F}tfnu".utf8) + [0x80, 0xC3, 0xED, 0xF4, 0xFF]
        for _ in 0..<Int.random(in: 1...4, using: &generator) where !text.isEmpty {
            let index = Int.random(in: 0..<text.count, using: &generator)
            switch UInt8.random(in: 0...5, using: &generator) {
            case 0: text[index] ^= 1 << UInt8.random(in: 0...7, using: &generator)
            case 1: text.insert(special.randomElement(using: &generator) ?? 0, at: index)
            case 2: text.remove(at: index)
            case 3: text[index] = special.randomElement(using: &generator) ?? 0
            case 4: text.removeSubrange(index..<min(text.count, index + Int.random(in: 1...12, using: &generator)))
            default:
                let other = pool.randomElement(using: &generator) ?? []
                let start = Int.random(in: 0..<other.count, using: &generator)
                text.insert(contentsOf: other[start..<min(other.count, start + 12)], at: index)
            }
        }
        return text[...]
    }
}
