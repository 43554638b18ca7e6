import OTLPTracing
import Testing

@Suite("What collectors answer")
struct AnswerTests {
    /// Sun, 06 Nov 1994 08:49:37 GMT.
    private static let now: Int64 = 784_111_777

    @Test(
        "Retry-After is seconds or a date",
        arguments: [
            ("0", 0), ("120", 120), ("99999999999999999999999", 86_400), ("Sun, 06 Nov 1994 08:50:37 GMT", 60),
            ("Sun, 06 Nov 1994 08:49:36 GMT", 0), ("Mon, 07 Nov 2094 08:49:37 GMT", 86_400), ("", nil), ("-1", nil),
            ("1.5", nil), (" 1", nil), ("soon", nil), ("Sun, 06 Nov 1994 08:49:37", nil),
            ("Sun, 06 Nov 1994 8:49 GMT", nil),
            ("Sun, 32 Nov 1994 08:49:37 GMT", nil), ("Sun, 06 Foo 1994 08:49:37 GMT", nil),
            ("Sun, 06 Nov 1994 25:49:37 GMT", nil), ("Sunday, 06-Nov-94 08:49:37 GMT", nil),
        ] as [(String, Int64?)]
    ) func retryAfter(field: String, seconds: Int64?) {
        #expect(RetryAfter.delay(field, now: Self.now) == seconds.map { Duration.seconds($0) })
    }

    @Test(
        "A body is read as far as it is one",
        arguments: [
            ([], 0, ""), ([0x0A, 2, 0x08, 5], 5, ""), ([0x0A, 6, 0x08, 5, 0x12, 2, 0x68, 0x69], 5, "hi"),
            ([0x0A, 200, 0x08, 5], 0, ""), ([0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1], 0, ""),
            ([0x08] + [UInt8](repeating: 0x80, count: 20), 0, ""), ([0x0B, 0x0A, 2, 0x08, 5], 0, ""),
            ([0x18, 1, 0x25, 1, 2, 3, 4, 0x29, 1, 2, 3, 4, 5, 6, 7, 8, 0x0A, 2, 0x08, 7], 7, ""),
            ([0x29, 1, 2], 0, ""), ([0x0A, 4, 0x12, 2, 0x1B, 0xFF], 0, "?\u{FFFD}"),
        ] as [([UInt8], UInt64, String)]
    ) func body(bytes: [UInt8], rejected: UInt64, message: String) {
        let response = ExportResponse(accepted: bytes)
        #expect(response.rejected == rejected && response.message == message)
    }

    @Test("Any bytes are read without harm, and messages stay short") func anyBytes() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 0...64)).map { _ in UInt8.random(in: 0...255, using: &random) }
            #expect(ExportResponse(accepted: bytes).message.unicodeScalars.count <= 200)
            #expect(ExportResponse(refused: bytes).message.unicodeScalars.count <= 200)
        }
        let long = [0x12, 0xD0, 0x0F] + [UInt8](repeating: 0x61, count: 2000)
        #expect(ExportResponse(refused: long).message == String(repeating: "a", count: 200))
    }
}
