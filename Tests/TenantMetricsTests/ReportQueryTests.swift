import RedisStore
import TenantMetrics
import Testing

/// What Redis holds may be anything: figures are read or left out, never guessed (H-08).
@Suite struct ReportQueryTests {
    private let now: Int64 = 1_700_000_000
    private var query: ReportQuery {
        ReportQuery(tenant: "acme", keys: MetricKeys(prefix: "p"), unixSeconds: now)
    }

    private func bytes(_ text: String) -> RedisReply { .bytes(Array(text.utf8)) }

    private func replies(
        totals: RedisReply? = nil,
        types: RedisReply = .array([]),
        lastHour: RedisReply = .array([])
    ) -> [RedisReply] {
        let none = RedisReply.array(Array(repeating: .null, count: ReportQuery.figureCount))
        return [totals ?? none, types] + Array(repeating: .array([]), count: ReportQuery.hourCount - 1) + [lastHour]
    }

    @Test func `a tenant that was never seen has zeros`() throws {
        #expect(query.commands.count == ReportQuery.commandCount)
        let report = try query.report(replies())
        #expect(Expected(report) == Expected())
        #expect(report.tenant == "acme")
        #expect(report.lastEventTime == nil)
        #expect(report.unreadable == [])
    }

    @Test func `types are sorted by count, then by name`() throws {
        let types = ["b", "7", "a", "7", "c", "9"].map(bytes)
        let report = try query.report(replies(types: .array(types)))
        #expect(report.types.map(\.type) == ["c", "a", "b"])
    }

    static let garbage: [RedisReply] = [
        .null, .integer(1), .status("OK"), .bytes([]), .bytes([0xFF, 0xFE]), .array([.null]), .array([]),
    ]

    @Test(arguments: garbage)
    func `no reply is trusted`(reply: RedisReply) throws {
        let pair = RedisReply.array([reply, reply])
        let figures = RedisReply.array(Array(repeating: reply, count: ReportQuery.figureCount))
        for replies in [
            replies(totals: reply), replies(types: reply), replies(lastHour: reply),
            replies(totals: figures), replies(types: pair), replies(lastHour: pair),
            replies(totals: .array([reply])), replies(types: .array([reply])), replies(lastHour: .array([reply])),
        ] {
            #expect(Expected(try query.report(replies)) == Expected())
        }
    }

    @Test(arguments: ["", "-1", "1.5", "1e3", "x", " 1", "+1", "9223372036854775808", "99999999999999999999999999"])
    func `a count that is none is left out and named`(text: String) throws {
        let figures = RedisReply.array(Array(repeating: bytes(text), count: ReportQuery.figureCount))
        let report = try query.report(replies(totals: figures, lastHour: .array([bytes("3:a"), bytes(text)])))
        #expect(Expected(report) == Expected())
        #expect(report.unreadable == ["p:tenant:acme", "p:series:acme:\(now / 3600)"])
    }

    @Test(arguments: ["inf", "-inf", "nan", "-1", "1.5", "1e300", "0x", "", "x"])
    func `a score that is no count is left out and named`(text: String) throws {
        let report = try query.report(replies(types: .array([bytes("t"), bytes(text), bytes("u"), bytes("1e3")])))
        #expect(report.types.map(\.type) == ["u"] && report.types.map(\.count) == [1000])
        #expect(report.unreadable == ["p:types:acme"])
    }

    @Test(arguments: ["60:a", "1:x", ":a", "a", "1a", "-1:a", "1:", "1:a:a", "99999999999999999999:a"])
    func `a field that is none of a series is left out and named`(field: String) throws {
        let report = try query.report(replies(lastHour: .array([bytes(field), bytes("5")])))
        #expect(report.series == [])
        #expect(report.unreadable == ["p:series:acme:\(now / 3600)"])
    }

    @Test func `a foreign type is named, another error is thrown`() throws {
        let wrong = RedisReply.error("WRONGTYPE Operation against a key holding the wrong kind of value")
        let report = try query.report(replies(totals: wrong, types: wrong, lastHour: wrong))
        #expect(report.unreadable == ["p:tenant:acme", "p:types:acme", "p:series:acme:\(now / 3600)"])
        for text in ["LOADING Redis is loading the dataset in memory", "NOPERM no"] {
            #expect(throws: TenantMetricsError.refused(text)) { try query.report(replies(types: .error(text))) }
        }
        #expect(throws: TenantMetricsError.self) { try query.report([RedisReply]()) }
    }

    @Test(arguments: [Int64.min, -1, 0, 59, 3600, 86_400, .max])
    func `no time of a wall clock is a crash (R-38)`(time: Int64) throws {
        let query = ReportQuery(tenant: "acme", keys: MetricKeys(prefix: "p"), unixSeconds: time)
        #expect(query.commands.count == ReportQuery.commandCount)
        let hour = RedisReply.array([bytes("0:a"), bytes("1")])
        let replies = replies().prefix(2) + Array(repeating: hour, count: ReportQuery.hourCount)
        #expect(try query.report(replies).series.count >= 24)
    }

    @Test func `a series is the last 24 hours, the oldest minute first`() throws {
        let hour = RedisReply.array([bytes("59:a"), bytes("1"), bytes("0:r"), bytes("2"), bytes("7:b"), bytes("0")])
        let replies = replies().prefix(2) + Array(repeating: hour, count: ReportQuery.hourCount)
        let series = try query.report(replies).series
        #expect(series.map(\.start) == series.map(\.start).sorted())
        #expect(series.allSatisfy { $0.start > now - 86_400 })
        #expect(series.count == 49, "two minutes in each of 25 hours, the very first too old")
    }
}
