import EventFilters
import ServerFixtures
import Testing

@Suite struct TypePatternTests {
    @Test(arguments: [
        ("com.example.order.created", "com.example.order.created", true), ("com.example", "com.example.order", false),
        ("com.*.order", "com.example.order", true), ("com.*.order", "com.order", false),
        ("com.*.order", "com.a.b.order", false), ("*", "a", true), ("*", "a.b", false), ("*.*", "a.b", true),
        ("#", "a", true), ("#", "a.b.c", true), ("#.completed", "completed", true),
        ("#.completed", "a.b.completed", true), ("#.completed", "a.completed.b", false), ("a.#", "a", true),
        ("a.#", "a.b.c", true), ("a.#", "ab", false), ("a.#.z", "a.z", true), ("a.#.z", "a.b.c.z", true),
        ("a.#.z", "a.b.c", false), ("a.>", "a", false), ("a.>", "a.b", true), ("a.>", "a.b.c", true), (">", "a", true),
        ("#.>", "a", true), ("#.>", "a.b", true), ("*.#.>", "a", false), ("*.#.>", "a.b", true),
        ("com.exam*", "com.exam*", true), ("com.exam*", "com.example", false), ("a#", "a#", true), ("a#", "ab", false),
        (">a.b", ">a.b", true), ("a..b", "a..b", true), ("a..b", "a.b", false), ("a.*.b", "a..b", true),
        ("a.", "a.", true), ("a.", "a", false), ("a.*", "a.", true), (".", ".", true), ("*.*", ".", true),
        ("#.b.#.b", "b.b", true), ("#.b.#.b", "b", false), ("#.a.b.#", "x.a.a.b.y", true), ("#.#", "a", true),
        ("caf\u{E9}.*", "caf\u{E9}.x", true), ("caf\u{E9}.*", "cafe\u{301}.x", false),
        ("caf\u{E9}", "cafe\u{301}", false), ("e.*", "e\u{301}.x", false),
    ])
    func `a pattern decides by whole segments`(pattern: String, type: String, expected: Bool) throws {
        #expect(try TypePattern(pattern).matches(type) == expected)
    }

    @Test(arguments: ["", "a.>.b", ">.a", String(repeating: "x", count: TypePattern.bytesMax + 1)])
    func `what is no pattern is refused`(text: String) {
        #expect(throws: InvalidTypePattern.self) { try TypePattern(text) }
    }

    @Test func `equality goes by code units`() throws {
        #expect(try TypePattern("caf\u{E9}") != TypePattern("cafe\u{301}"))
        #expect(try Set([TypePattern("caf\u{E9}"), TypePattern("cafe\u{301}"), TypePattern("caf\u{E9}")]).count == 2)
    }

    @Test(arguments: UInt64(0)..<40)
    func `random patterns agree with a naive matcher`(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let words = ["a", "b", "ab", "", "*", "#", ">", "e\u{301}", "\u{E9}"]
        let wild = ["*", "#", "#", "a", "b", "ab", "", "\u{E9}", "e\u{301}", "a*"]
        var matched = 0
        for _ in 0..<2500 {
            let type = (0..<Int.random(in: 1...6, using: &generator)).map { _ in
                words[Int.random(in: 0..<words.count, using: &generator)]
            }
            var parts = (0..<Int.random(in: 1...6, using: &generator)).map { _ in
                wild[Int.random(in: 0..<wild.count, using: &generator)]
            }
            if Bool.random(using: &generator) { parts.append(">") }
            let text = parts.joined(separator: ".")
            guard !text.isEmpty else { continue }
            let expected = naive(parts[...], type[...])
            let joined = type.joined(separator: ".")
            #expect(try TypePattern(text).matches(joined) == expected, "'\(text)' on '\(joined)'")
            matched += expected ? 1 : 0
        }
        #expect(matched > 25)
    }

    /// The rule as it is written down, by trying everything.
    private func naive(_ pattern: ArraySlice<String>, _ type: ArraySlice<String>) -> Bool {
        guard let first = pattern.first else { return type.isEmpty }
        let rest = pattern.dropFirst()
        switch first {
        case "*": return !type.isEmpty && naive(rest, type.dropFirst())
        case "#": return naive(rest, type) || (!type.isEmpty && naive(pattern, type.dropFirst()))
        case ">": return !type.isEmpty
        default:
            guard let segment = type.first else { return false }
            return Array(first.utf8) == Array(segment.utf8) && naive(rest, type.dropFirst())
        }
    }

    @Test func `a pattern of many wildcards takes no exponential time`() throws {
        let pattern = try TypePattern(Array(repeating: "#.a", count: 100).joined(separator: ".") + ".b")
        #expect(!pattern.matches(Array(repeating: "a", count: 2000).joined(separator: ".")))
    }
}
