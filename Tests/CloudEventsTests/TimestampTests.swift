import CloudEvents
import Testing

/// RFC 3339 as CloudEvents reads it (CE-15).
///
/// S-17.
@Suite struct TimestampTests {
    @Test(arguments: [
        ("1970-01-01T00:00:00Z", 0), ("2018-04-05T17:31:00Z", 1_522_949_460), ("2018-04-05t17:31:00z", 1_522_949_460),
        ("2018-04-05T17:31:00+02:00", 1_522_942_260), ("2018-04-05T17:31:00-08:00", 1_522_978_260),
        ("2018-04-05T17:31:00-00:00", 1_522_949_460), ("2018-04-05T17:31:00+23:59", 1_522_863_120),
        ("2016-02-29T00:00:00Z", 1_456_704_000), ("2000-02-29T12:00:00Z", 951_825_600),
        ("9999-12-31T23:59:59Z", 253_402_300_799), ("0001-01-01T00:00:00Z", -62_135_596_800),
        ("0000-01-01T00:00:00Z", -62_167_219_200), ("0000-01-01T00:00:00+23:59", -62_167_305_540),
        ("1969-12-31T23:59:59.9Z", -1), ("1900-01-01T00:00:00Z", -2_208_988_800),
        ("2018-12-31T23:59:59.12345678901234567890Z", 1_546_300_799), ("2016-12-31T23:59:60Z", 1_483_228_799),
        ("1990-12-31T15:59:60-08:00", 662_687_999), ("2017-01-01T00:59:60.5+01:00", 1_483_228_799),
    ])
    func `a valid text gives the instant and is kept`(text: String, seconds: Int64) throws {
        let time = try #require(Timestamp(text))
        #expect(time.secondsSinceEpoch == seconds)
        #expect(time.text == text)
        #expect(time.isLeapSecond == text.contains(":60"))
    }

    @Test(arguments: [
        "", "2018", "2018-04-05", "2018-04-05T17:31:00", "2018-04-05T17:31Z", "2018-04-05 17:31:00Z",
        "2018-04-05T24:00:00Z",
        "2018-04-05T17:60:00Z", "2018-04-05T17:31:61Z", "2018-04-05T17:31:60Z", "2016-12-31T23:58:60Z",
        "2016-12-31T23:59:60+01:00", "2018-02-29T00:00:00Z", "2018-02-30T00:00:00Z", "1900-02-29T00:00:00Z",
        "2018-00-05T00:00:00Z", "2018-13-05T00:00:00Z", "2018-04-00T00:00:00Z", "2018-04-31T00:00:00Z",
        "2018-04-05T17:31:00+02", "2018-04-05T17:31:00+0200", "2018-04-05T17:31:00+24:00", "2018-04-05T17:31:00+02:60",
        "2018-04-05T17:31:00.Z", "2018-04-05T17:31:00.", "2018-04-05T17:31:00,5Z", "2018-095T00:00:00Z",
        "18-04-05T17:31:00Z", "-2018-04-05T17:31:00Z", "+12018-04-05T17:31:00Z", "12018-04-05T17:31:00Z",
        "2018-4-5T7:31:00Z", "2018-04-05T17:31:00Z ", " 2018-04-05T17:31:00Z", "2018-04-05T17:31:00Z[Europe/Berlin]",
        "2018-04-05T17:31:00ZZ", "2018-04-05T17:31:00 Z", "٢٠١٨-04-05T17:31:00Z", "2018-04-05T17:31:00−08:00",
        "2018-04-05T17:31:00.5", "2018-04-05T17:31:00\u{0}", "yesterday", "1522949460", "20180405T173100Z",
        "2018-W14-4T00:00:00Z", "2018-04-05T-1:31:00Z", "2018-04-05T17:31:+1Z",
    ])
    func `any other text is refused`(text: String) {
        #expect(Timestamp(text) == nil)
    }

    @Test func `comparison goes by the instant`() throws {
        func time(_ text: String) throws -> Timestamp { try #require(Timestamp(text)) }
        #expect(try time("2018-04-05T12:00:00Z") == time("2018-04-05T14:00:00.000+02:00"))
        #expect(try time("2018-04-05T12:00:00.5Z").hashValue == time("2018-04-05T12:00:00.500z").hashValue)
        let ascending = try [
            "2016-12-31T23:59:59Z", "2016-12-31T23:59:59.0000000000000001Z", "2016-12-31T23:59:59.999Z",
            "2016-12-31T23:59:60Z", "2016-12-31T23:59:60.5Z", "2017-01-01T00:00:00Z", "2017-01-01T00:00:00.09Z",
            "2017-01-01T00:00:00.1Z",
        ].map(time)
        for (earlier, later) in zip(ascending, ascending.dropFirst()) {
            #expect(earlier < later)
            #expect(!(later < earlier))
            #expect(earlier != later)
        }
    }

    @Test func `the fraction is given as digits and as nanoseconds`() throws {
        let long = try #require(Timestamp("2018-12-31T23:59:59.12345678901Z"))
        #expect(long.nanoseconds == 123_456_789)
        #expect(String(long.fractionDigits) == "12345678901")
        #expect(try #require(Timestamp("2018-12-31T23:59:59.05Z")).nanoseconds == 50_000_000)
        #expect(try #require(Timestamp("2018-12-31T23:59:59Z")).nanoseconds == 0)
    }

    @Test(
        arguments: [
            (0, 0, "1970-01-01T00:00:00Z"), (-1, 999_999_999, "1969-12-31T23:59:59.999999999Z"),
            (1_456_704_000, 500_000_000, "2016-02-29T00:00:00.500Z"),
            (951_782_400, 1_000, "2000-02-29T00:00:00.000001Z"),
            (-62_167_219_200, 0, "0000-01-01T00:00:00Z"), (253_402_300_799, 0, "9999-12-31T23:59:59Z"),
        ] as [(Int64, Int32, String)]
    )
    func `an instant is written in UTC`(seconds: Int64, nanoseconds: Int32, text: String) {
        #expect(Timestamp(secondsSinceEpoch: seconds, nanoseconds: nanoseconds)?.text == text)
        var bytes = Array("<".utf8)
        bytes.append(secondsSinceEpoch: seconds, nanoseconds: nanoseconds)
        #expect(String(decoding: bytes, as: UTF8.self) == "<" + text)
    }

    @Test func `an instant that has no text is refused`() {
        #expect(Timestamp(secondsSinceEpoch: 253_402_300_800) == nil)
        #expect(Timestamp(secondsSinceEpoch: -62_167_219_201) == nil)
        #expect(Timestamp(secondsSinceEpoch: .max) == nil)
        #expect(Timestamp(secondsSinceEpoch: 0, nanoseconds: -1) == nil)
        #expect(Timestamp(secondsSinceEpoch: 0, nanoseconds: 1_000_000_000) == nil)
        var bytes: [UInt8] = []
        let isAppended = bytes.append(secondsSinceEpoch: .max)
        #expect(!isAppended && bytes.isEmpty)
    }

    @Test func `days of every year, month and day of the month are written and read alike`() throws {
        var seconds: Int64 = -62_167_219_200 + 86_399
        while seconds <= 253_402_300_799 {
            let time = try #require(Timestamp(secondsSinceEpoch: seconds))
            #expect(Timestamp(time.text)?.secondsSinceEpoch == seconds)
            seconds += 86_400 * 13
        }
    }
}
