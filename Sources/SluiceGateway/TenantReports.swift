import CloudEvents
import EventBus
import Hummingbird
import NIOCore
import Synchronization
import TenantMetrics

/// `GET /v1/tenants/{id}/metrics` and `GET /v1/stats`: what tenants published and received, over all
/// replicas.
struct TenantReports: Sendable {
    /// `nil` with `REDIS_URL=off`.
    let metrics: TenantMetrics?

    /// How many questions are answered at a time: an answer is put together in memory, and Redis has other work.
    static let questionsMax = 2
    private let questions = Permits(TenantReports.questionsMax)

    init(metrics: TenantMetrics?) { self.metrics = metrics }

    /// How many items a page has: by default, and at most (design: every list).
    static let pageDefault = 100
    static let pageMax = 1000

    /// One tenant: zeros where nothing was ever counted, since a tenant needs no registration.
    func one(_ name: String) async throws(Problem) -> Response {
        guard let tenant = TenantName(name) else {
            throw Problem(
                kind: .invalidTenant,
                detail: "\(name.quotedForDetail) is not a tenant name: \(TenantName.rule)"
            )
        }
        let metrics = try available()
        try questions.take()
        defer { questions.giveBack() }
        do throws(TenantMetricsError) {
            var body: [UInt8] = []
            Self.write(try await metrics.report(of: tenant.text), into: &body)
            return Self.response(body)
        } catch {
            throw Self.problem(error)
        }
    }

    /// A page of all tenants, by name.
    func page(target: String) async throws(Problem) -> Response {
        let query = try QueryParameters(target, allowed: ["limit", "after"])
        let limit = try Self.limit(query["limit"])
        if let after = query["after"], !(1...63).contains(after.utf8.count) {
            throw Problem(
                kind: .invalidParameter,
                detail: "after=\(after.quotedForDetail) is no cursor: take it from the 'next' of a page"
            )
        }
        let metrics = try available()
        try questions.take()
        defer { questions.giveBack() }
        do throws(TenantMetricsError) {
            let page = try await metrics.reports(after: query["after"], limit: limit)
            var body: [UInt8] = []
            body.appendJSON(raw: "{\"items\":[")
            for (index, report) in page.items.enumerated() {
                if index > 0 { body.append(UInt8(ascii: ",")) }
                Self.write(report, into: &body)
            }
            body.appendJSON(raw: "],\"next\":")
            if let next = page.next { body.appendJSON(string: next) } else { body.appendJSON(raw: "null") }
            body.append(UInt8(ascii: "}"))
            return Self.response(body)
        } catch {
            throw Self.problem(error)
        }
    }

    private func available() throws(Problem) -> TenantMetrics {
        guard let metrics else {
            throw Problem(kind: .notFound, detail: "there are no counters of tenants: REDIS_URL is off")
        }
        return metrics
    }

    private static func problem(_ error: TenantMetricsError) -> Problem {
        Problem(kind: .countersUnavailable, detail: "Redis, which keeps the counters, cannot be read: \(error)")
    }

    private static func limit(_ text: String?) throws(Problem) -> Int {
        guard let text else { return pageDefault }
        guard let limit = Int(text), (1...pageMax).contains(limit) else {
            throw Problem(
                kind: .invalidParameter,
                detail: "limit=\(text.quotedForDetail) is not a whole number from 1 to \(pageMax)"
            )
        }
        return limit
    }

    private static func response(_ body: [UInt8]) -> Response {
        Response(
            status: .ok,
            headers: [.contentType: HTTPAnswer.MediaType.json, .cacheControl: "no-store"],
            body: .init(byteBuffer: ByteBuffer(bytes: body))
        )
    }
}

// What a report looks like.
extension TenantReports {
    static func write(_ report: TenantReport, into body: inout [UInt8]) {
        body.appendJSON(raw: "{\"tenant\":")
        body.appendJSON(string: report.tenant)
        write(",\"accepted\":", report.accepted, into: &body)
        write(",\"duplicates\":", report.duplicates, into: &body)
        body.appendJSON(raw: ",\"rejected\":{")
        for (index, rejection) in report.rejected.enumerated() {
            if index > 0 { body.append(UInt8(ascii: ",")) }
            body.appendJSON(string: rejection.reason.rawValue)
            write(":", rejection.count, into: &body)
        }
        write("},\"bytes\":", report.bytes, into: &body)
        body.appendJSON(raw: ",\"types\":{")
        for (index, total) in report.types.enumerated() {
            if index > 0 { body.append(UInt8(ascii: ",")) }
            body.appendJSON(string: total.type)
            write(":", total.count, into: &body)
        }
        write("},\"otherTypes\":", report.otherTypes, into: &body)
        write(report.deliveries, into: &body)
        body.appendJSON(raw: ",\"lastEventTime\":")
        if let time = report.lastEventTime.flatMap(timestamp) {
            body.appendJSON(string: time.text)
        } else {
            body.appendJSON(raw: "null")
        }
        body.appendJSON(raw: ",\"series\":[")
        for (index, minute) in report.series.enumerated() {
            if index > 0 { body.append(UInt8(ascii: ",")) }
            write(minute, into: &body)
        }
        body.appendJSON(raw: "]}")
    }

    private static func write(_ deliveries: DeliveryCounts, into body: inout [UInt8]) {
        write(",\"deliveries\":{\"delivered\":", deliveries.delivered, into: &body)
        write(",\"failed\":", deliveries.failed, into: &body)
        write(",\"retried\":", deliveries.retried, into: &body)
        write(",\"deadLettered\":", deliveries.deadLettered, into: &body)
        body.append(UInt8(ascii: "}"))
    }

    private static func write(_ minute: TenantReport.Minute, into body: inout [UInt8]) {
        body.appendJSON(raw: "{\"minute\":")
        body.appendJSON(string: Timestamp(secondsSinceEpoch: minute.start)?.text ?? "")
        write(",\"accepted\":", minute.accepted, into: &body)
        write(",\"duplicates\":", minute.duplicates, into: &body)
        write(",\"rejected\":", minute.rejected, into: &body)
        write(",\"bytes\":", minute.bytes, into: &body)
        body.append(UInt8(ascii: "}"))
    }

    private static func timestamp(unixMilliseconds: Int64) -> Timestamp? {
        let (seconds, rest) = unixMilliseconds.quotientAndRemainder(dividingBy: 1000)
        return Timestamp(secondsSinceEpoch: seconds, nanoseconds: Int32(clamping: max(rest, 0)) * 1_000_000)
    }

    private static func write(_ name: StaticString, _ value: UInt64, into body: inout [UInt8]) {
        body.appendJSON(raw: name)
        body.appendJSON(integer: value)
    }
}

/// How many may do something at a time, for any thread.
private final class Permits: Sendable {
    private let left: Atomic<Int>

    init(_ count: Int) { left = Atomic(count) }

    func take() throws(Problem) {
        guard left.subtract(1, ordering: .relaxed).newValue < 0 else { return }
        giveBack()
        throw Problem(kind: .countersUnavailable, detail: "others are reading the counters now; try again")
    }

    func giveBack() { left.add(1, ordering: .relaxed) }
}
