import CloudEvents
import Testing

/// How texts travel in header fields (HTTP-10 … HTTP-15).
///
/// S-17.
@Suite struct HeaderValueCodingTests {
    @Test(arguments: [
        ("plain", "plain"), ("a b", "a%20b"), ("100%", "100%25"), ("\"q\"", "%22q%22"), ("é", "%C3%A9"),
        ("€ 😀", "%E2%82%AC%20%F0%9F%98%80"),
        ("a,b;c=d\\e", "a,b;c=d\\e"), ("", ""), (" ", "%20"), ("%20", "%2520"), ("\r\n", "%0D%0A"), ("\u{0}", "%00"),
        ("\u{7F}", "%7F"), ("!#$&'()*+,-./:;<=>?@[\\]^_`{|}~", "!#$&'()*+,-./:;<=>?@[\\]^_`{|}~"),
    ])
    func `HTTP-11: exactly what must be encoded is encoded`(text: String, encoded: String) {
        #expect(HeaderValueCoding.encode(text) == encoded)
    }

    @Test(arguments: [
        ("a%20b", "a b"), ("a b", "a b"), ("  a\t", "a"), ("%20a%20", " a "), ("%2520", "%20"), ("a+b", "a+b"),
        ("%c3%a9", "é"),
        ("%C3%a9", "é"), ("%41", "A"), ("\"a b\"", "a b"), ("\"say \\\"hi\\\"\"", "say \"hi\""), ("\"\\a\\\\\"", "a\\"),
        ("\"%22\"", "\""), ("%22a%22", "\"a\""), (" \"a\" ", "a"), ("\" a \"", " a "), ("a\\b", "a\\b"), ("a,b", "a,b"),
        ("(c)", "(c)"),
        ("e%CC%81", "e\u{301}"), ("\"\\%41\"", "A"),
    ])
    func `HTTP-12, HTTP-13: quotes are undone first, then one round of percent-encoding`(
        value: String,
        text: String
    ) throws {
        let event = try HTTPBinding.decode(fields: minimal([("ce-subject", value)]), body: [])
        #expect(event.subject?.utf8.elementsEqual(text.utf8) == true, "\(event.subject ?? "")")
    }

    @Test(arguments: [
        ("%", "HTTP-13"), ("100%", "HTTP-13"), ("%2", "HTTP-13"), ("%zz", "HTTP-13"), ("%+1", "HTTP-13"),
        ("%%41", "HTTP-13"),
        ("%C3", "HTTP-15"), ("%C0%A0", "HTTP-15"), ("%E0%80%AF", "HTTP-15"), ("%ED%A0%80", "HTTP-15"),
        ("%F4%90%80%80", "HTTP-15"),
        ("%FF", "HTTP-15"), ("%E2%82x%AC", "HTTP-15"), ("%80", "HTTP-15"), ("a%00", "CE-09"), ("%0d%0a", "CE-09"),
        ("%7F", "CE-09"), ("%C2%85", "CE-09"), ("%EF%BF%BE", "CE-10"), ("%EF%B7%90", "CE-10"),
        ("%F0%9F%BF%BF", "CE-10"),
        ("a\tb", "CE-09"), ("a\u{0}b", "CE-09"), ("a\u{7F}b", "CE-09"), ("é", "HTTP-11"), ("\u{FFFD}", "HTTP-11"),
        ("\"abc", "HTTP-12"), ("\"", "HTTP-12"), ("\"a\"b", "HTTP-12"), ("a\"b\"", "HTTP-12"), ("a\"", "HTTP-12"),
        ("\"a\\\"", "HTTP-12"), ("\"\\", "HTTP-12"), ("", "CE-25"), (" \t", "CE-25"), ("\"\"", "CE-25"),
    ])
    func `S-17: a value that breaks a rule is refused by that rule`(value: String, rule: String) {
        let found = violations(inFields: [("ce-subject", value)])
        #expect(found.map(\.rule) == [rule])
        #expect(found.first?.pointer == "/headers/ce-subject")
        #expect(found.first?.attribute == "subject")
    }

    @Test(arguments: [
        ("é €", "é €"), ("100%", "100%"), ("%2", "%2"), ("%zz", "%zz"), ("a%20b", "a b"), ("é%20%", "é %"),
        ("\"a b\"", "a b"),
    ])
    func `NATS-11: the reader of NATS headers takes what senders without encoding write`(
        value: String,
        text: String
    ) throws {
        let event = try NATSBinding.decode(headers: minimal([("ce-subject", value)]), payload: [])
        #expect(event.subject?.utf8.elementsEqual(text.utf8) == true)
    }

    @Test func `every byte decodes to what it encodes`() throws {
        for value in UInt32(0x20)...0x2FF where !(0x7F...0x9F).contains(value) {
            let text = "x" + String(try #require(Unicode.Scalar(value)))
            let fields = minimal([("ce-subject", HeaderValueCoding.encode(text))])
            #expect(try HTTPBinding.decode(fields: fields, body: []).subject == text)
        }
    }
}
