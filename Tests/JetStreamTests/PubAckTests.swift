import JetStream
import ServerFixtures
import Testing

@Suite struct PubAckTests {
    private func read(_ text: some Collection<UInt8>) throws -> PubAck {
        let expected = try #require(StreamName("EVENTS"))
        return Array(text).withUnsafeBytes { PubAck($0, expected: expected) }
    }

    @Test(arguments: [
        (#"{"stream":"EVENTS","seq":7}"#, PubAck.stored(streamMatches: true, sequence: 7, duplicate: false)),
        (
            #" { "domain":"d\u00e9", "seq" : 7,"duplicate":true ,"stream":"EV\u0045NTS"} "#,
            .stored(streamMatches: true, sequence: 7, duplicate: true)
        ),
        (#"{"stream":"OTHER","seq":7}"#, .stored(streamMatches: false, sequence: 7, duplicate: false)),
        (
            #"{"stream":"EVENTS","seq":18446744073709551615}"#,
            .stored(streamMatches: true, sequence: .max, duplicate: false)
        ),
        (
            #"{"error":{"code":503,"err_code":10077,"description":"maximum \"messages\" exceeded"},"seq":0,"stream":"X"}"#,
            .error(code: 503, errorCode: 10077, description: #"maximum "messages" exceeded"#)
        ),
    ])
    func `an acknowledgement is read as the server means it`(text: String, expected: PubAck) throws {
        #expect(try read(text.utf8) == expected)
    }

    @Test(arguments: [
        "", "{}", "null", "[]", "+ACK", #"{"stream":"EVENTS"}"#, #"{"seq":1}"#, #"{"stream":"EVENTS","seq":"1"}"#,
        #"{"stream":"EVENTS","seq":-1}"#, #"{"stream":"EVENTS","seq":1.5}"#, #"{"stream":"EVENTS","seq":1e3}"#,
        #"{"stream":"EVENTS","seq":01}"#, #"{"stream":"EVENTS","seq":18446744073709551616}"#,
        #"{"stream":"EVENTS","seq":1}x"#, #"{"stream":"EVENTS","seq":1,}"#, #"{"stream":null,"seq":1}"#,
        #"{"stream":"EVENTS","seq":1,"seq":2}"#, #"{"stream":"EVENTS","seq":1,"x":tru}"#, #"{"error":7}"#,
        #"{"error":null,"stream":"EVENTS","seq":1}"#,
    ])
    func `R-01: what is not an acknowledgement is unreadable`(text: String) throws {
        #expect(try read(text.utf8) == .unreadable)
    }

    @Test func `R-01: an acknowledgement cut short anywhere is unreadable`() throws {
        let whole = Array(#"{"type":"x","stream":"EVENTS", "seq":1,"duplicate":true,"domain":"d"}"#.utf8)
        for length in 0..<whole.count { #expect(try read(whole[..<length]) == .unreadable) }
    }

    @Test func `S-34: mutated answers and deep nesting do not crash the reader`() throws {
        var generator = SeededGenerator(seed: 7)
        let whole = Array(
            #"{"error":{"code":503,"d":"\u00e9\n\ud83d\ude00"},"stream":"EVENTS","seq":12,"x":[1,{}]}"#.utf8
        )
        for _ in 0..<200_000 {
            var mutated = whole
            for _ in 0...(generator.next() % 4) {
                mutated[Int(generator.next() % UInt64(whole.count))] = UInt8(truncatingIfNeeded: generator.next())
            }
            _ = try read(mutated)
        }
        #expect(try read([UInt8](repeating: UInt8(ascii: "["), count: 1_000_000)) == .unreadable)
        let deep = #"{"x":"# + String(repeating: #"{"x":"#, count: 100_000)
        #expect(try read(deep.utf8) == .unreadable)
    }

    @Test(arguments: [
        (10002, 503, "x", Rejection.Kind.storeFull), (10023, 503, "x", .storeFull), (10028, 500, "x", .storeFull),
        (10047, 500, "x", .storeFull), (10077, 503, "maximum messages exceeded", .storeFull),
        (10077, 503, "maximum bytes exceeded", .storeFull),
        (10077, 503, "maximum messages per subject exceeded", .storeFull),
        (10077, 503, "write /data: no space left on device", .storeFull), (10077, 503, "something else", .unavailable),
        (10008, 503, "x", .unavailable), (10039, 503, "x", .unavailable), (10076, 503, "x", .unavailable),
        (10118, 500, "x", .unavailable), (10167, 429, "x", .unavailable), (10054, 400, "x", .tooLarge),
        (10097, 400, "x", .headersTooLarge), (10060, 400, "x", .misconfigured), (10109, 400, "x", .misconfigured),
        (10059, 404, "x", .misconfigured), (19999, 503, "x", .unavailable), (19999, 400, "x", .misconfigured),
    ])
    func `each of the server's errors has its meaning`(code: Int, status: Int, words: String, kind: Rejection.Kind) {
        let rejection = Rejection(code: status, errorCode: code, description: words)
        #expect(rejection.kind == kind)
        #expect(rejection.code == code)
    }
}
