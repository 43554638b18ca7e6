import JetStream
import ServerFixtures
import Testing

@Suite struct SubjectTests {
    private static let prefix = SubjectPrefix("ce")

    @Test(arguments: [
        ("order", "order"), ("", "="), ("a.b", "a=2Eb"), ("*", "=2A"), (">", "=3E"), ("$JS", "=24JS"), ("%", "=25"),
        ("a b", "a=20b"), ("\r\nPUB x", "=0D=0APUB=20x"), ("\0", "=00"), ("é", "=C3=A9"), ("=", "=3D"),
        ("A-Za_z09", "A-Za_z09"),
    ])
    func `S-01: a token is spelled byte by byte`(text: String, encoded: String) {
        #expect(Subject.encodeToken(text).utf8.elementsEqual(encoded.utf8))
        #expect(Subject.decodeToken(encoded).map { Array($0.utf8) } == Array(text.utf8))
    }

    @Test(arguments: ["", "==", "=2", "=2e", "=41", "a.b", "é", "=C3", "a=", "=FF", " "])
    func `S-01: what the encoder never makes is not decoded`(token: String) {
        #expect(Subject.decodeToken(token) == nil)
    }

    @Test func `S-01: a million random texts come back, and none leaves its token`() throws {
        var generator = SeededGenerator(seed: 20_240_501)
        let alphabet = Array("ab09_-.*> $%=\r\n\0\u{7F}éß漢🦀e\u{301}JS".unicodeScalars)
        var failures = 0
        for _ in 0..<1_000_000 {
            var text = String.UnicodeScalarView()
            for _ in 0..<Int(generator.next() % 9) {
                text.append(alphabet[Int(generator.next() % UInt64(alphabet.count))])
            }
            let token = Subject.encodeToken(String(text))
            let plain = token.utf8.allSatisfy { byte in
                (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
                    || byte == 95 || byte == 45 || byte == 61
            }
            let decoded = Subject.decodeToken(token)
            if token.isEmpty || !plain || decoded.map({ $0.utf8.elementsEqual(String(text).utf8) }) != true {
                failures += 1
            }
        }
        #expect(failures == 0)
    }

    @Test func `S-01: the type's dots separate tokens, all other dots are encoded`() throws {
        var builder = SubjectBuilder(prefix: try #require(Self.prefix))
        builder.append(token: "ac.me")
        builder.append(token: "normal")
        builder.append(dotted: "com..example.")
        #expect(builder.finish().description == "ce.ac=2Eme.normal.com.=.example.=")
    }

    @Test func `S-01: the token for a long type is one that no text encodes to`() throws {
        var builder = SubjectBuilder(prefix: try #require(Self.prefix))
        builder.append(dotted: String(repeating: "x.", count: 300))
        #expect(builder.count > 400)
        builder.truncate(to: 2)
        builder.append(sha256: Array(0..<32))
        let digest = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
        let text = builder.finish().description
        #expect(text == "ce.=sha256-\(digest)")
        #expect(Subject.decodeToken(String(text.dropFirst(3))) == nil)
    }

    @Test(arguments: ["", ".", "ce.", ".ce", "c e", "c*", ">", "ce..x", "é", "$JS", String(repeating: "a", count: 129)])
    func `S-01: a prefix that could be more than plain tokens is refused`(text: String) {
        #expect(SubjectPrefix(text) == nil)
    }

    @Test(arguments: ["", "a.b", "a b", "*", "é", "a/b", String(repeating: "a", count: 256)])
    func `S-01: a stream name that is not one plain token is refused`(text: String) {
        #expect(StreamName(text) == nil)
    }
}

@Suite struct HeaderValueTests {
    @Test(arguments: ["", " ", " a", "a ", "a\r\nNats-Rollup: all", "a\n", "a\0b", "a\tb", "é", "\u{7F}"])
    func `S-02: a value that could end the line, or swallow the next one (C-13), is refused`(text: String) {
        #expect(HeaderValue(text) == nil)
    }

    @Test(arguments: ["a", "a b", "~!:;", "application/cloudevents+json; charset=utf-8"])
    func `printable values are taken as they are`(text: String) {
        #expect(HeaderValue(text)?.description == text)
    }

    @Test func `values are bounded`() {
        #expect(HeaderValue(String(repeating: "a", count: 4096)) != nil)
        #expect(HeaderValue(String(repeating: "a", count: 4097)) == nil)
    }
}
