import ServerFixtures
import Testing

/// One row of the framing tables: bytes as they go over the wire, and what must come of them.
///
/// A character is one byte (latin-1). In the bytes stand for each try: `{T}` the path, `{H}` a Host field, `{C}` the
/// content type of an event, `{E}` an event that is valid, `{n}` and `{x}` its length in decimal and hexadecimal, `{S}`
/// a whole second request that would publish, `{s}` its length.
struct FramingProbe: Sendable, CustomTestStringConvertible {
    /// What must come of a probe.
    enum Outcome: Sendable {
        /// One answer with one of these statuses, and the connection ends.
        case refused(Set<Int>)
        /// The fault is in the body, whose request may have been answered before: at most one answer, and the end.
        case refusedInBody(Set<Int>)
        /// An answer with this status, and the next request on the connection is answered too.
        case goesOn(Int)
        /// An answer with this status, perhaps before the request is complete: then it is the connection's last.
        case answered(Int)
        /// An answer with this status, the connection's last.
        case last(Int)
        /// Exactly these answers, and the connection ends: after the first, if that came before its request was complete.
        case sequence([Int], stored: Int)
        /// No answer but that something is missing, when the client ends before its request does.
        case incomplete
    }

    /// Which way through the gateway a probe takes.
    enum Path: String, Sendable, CaseIterable {
        case publishing = "/v1/events"
        case other = "/health"
    }

    /// In how many pieces the bytes are sent: what straddles two reads must not be read otherwise.
    enum Sending: Sendable, CaseIterable { case whole, pieces }

    let name: String
    let bytes: String
    let publishing: Outcome
    let other: Outcome

    var testDescription: String { name }

    func outcome(on path: Path) -> Outcome { path == .publishing ? publishing : other }

    init(_ name: String, _ bytes: String, _ publishing: Outcome, other: Outcome) {
        self.name = name
        self.bytes = bytes
        self.publishing = publishing
        self.other = other
    }

    // MARK: Shapes of rows

    /// A whole request, the same outcome on both paths.
    static func raw(_ name: String, _ bytes: String, _ outcome: Outcome = .refused([400])) -> FramingProbe {
        FramingProbe(name, bytes, outcome, other: outcome)
    }

    /// An event whose request line is this.
    static func line(_ name: String, _ line: String, _ outcome: Outcome = .refused([400])) -> FramingProbe {
        raw(name, line + "\r\n{H}{C}Content-Length: {n}\r\n\r\n{E}", outcome)
    }

    /// An event with these fields in front of a right Content-Length.
    static func fields(_ name: String, _ fields: String, _ outcome: Outcome = .refused([400])) -> FramingProbe {
        raw(name, "POST {T} HTTP/1.1\r\n{H}{C}\(fields)\r\nContent-Length: {n}\r\n\r\n{E}", outcome)
    }

    /// An event that is taken on the publishing path with these fields; elsewhere the method is not allowed.
    static func good(_ name: String, _ fields: String, body: String = "{E}") -> FramingProbe {
        FramingProbe(
            name,
            "POST {T} HTTP/1.1\r\n{H}{C}\(fields)\r\n\r\n\(body)",
            .goesOn(202),
            other: .answered(405)
        )
    }

    /// An event with these fields, which are to tell the body's length.
    static func length(
        _ name: String,
        _ fields: String,
        body: String = "{E}",
        _ outcome: Outcome = .refused([400])
    ) -> FramingProbe {
        raw(name, "POST {T} HTTP/1.1\r\n{H}{C}\(fields)\r\n\r\n\(body)", outcome)
    }

    /// A chunked body with a fault in it.
    static func chunks(_ name: String, _ body: String, _ statuses: Set<Int> = [400]) -> FramingProbe {
        FramingProbe(
            name,
            "POST {T} HTTP/1.1\r\n{H}{C}Transfer-Encoding: chunked\r\n\r\n" + body,
            .refused(statuses),
            other: .refusedInBody(statuses.union([405]))
        )
    }

    /// A chunked body that is right.
    static func goodChunks(_ name: String, _ body: String) -> FramingProbe {
        good(name, "Transfer-Encoding: chunked", body: body)
    }
}

extension FramingProbe {
    /// Sends the probe and looks at everything that comes of it.
    ///
    /// Events before and after tell by their sequence how many were stored in between. A second request stands behind a
    /// probe that is refused: it must not be answered, and not be stored.
    func run(on path: Path, _ sending: Sending, against stack: GatewayStack) throws {
        let before = try #require(try stack.exchange(TestEvent().structured()).json["sequence"].int)
        let outcome = outcome(on: path)
        let connection = try stack.gateway.connect(timeout: .seconds(10))
        var text = rendered(on: path)
        switch outcome {
        case .refused, .refusedInBody, .last, .sequence: text += Self.second()
        case .goesOn, .answered: text += "GET /health/live HTTP/1.1\r\nHost: sluice.test\r\nConnection: close\r\n\r\n"
        case .incomplete: break
        }
        send(latin1(text), sending, on: connection)
        if case .incomplete = outcome { connection.closeForWriting() }
        let statuses = try answers(on: connection)
        var stored = 0
        switch outcome {
        case .refused(let allowed):
            #expect(statuses.count == 1 && allowed.isSuperset(of: statuses), "\(statuses)")
        case .refusedInBody(let allowed):
            #expect(statuses.count <= 1 && allowed.isSuperset(of: statuses), "\(statuses)")
        case .goesOn(let status):
            #expect(statuses == [status, 200])
            stored = status == 202 ? 1 : 0
        case .answered(let status):
            #expect(statuses == [status, 200] || sending == .pieces && statuses == [status], "\(statuses)")
        case .last(let status):
            #expect(statuses == [status])
            stored = status == 202 ? 1 : 0
        case .sequence(let expected, let count):
            let isCutShort = sending == .pieces && statuses == Array(expected.prefix(1))
            #expect(statuses == expected || isCutShort, "\(statuses)")
            stored = count
        case .incomplete:
            #expect(Set([400, 405]).isSuperset(of: statuses) && statuses.count <= 1, "\(statuses)")
        }
        let after = try stack.exchange(TestEvent().structured()).json["sequence"].int
        #expect(after == before + 1 + stored, "\((after ?? 0) - before - 1) events were stored, not \(stored)")
    }

    /// The statuses of all final answers until the gateway ends the connection.
    private func answers(on connection: HTTPConnection) throws -> [Int] {
        var statuses: [Int] = []
        while true {
            do throws(HTTPClientError) {
                let status = try connection.receive(answering: bytes.hasPrefix("HEAD ") ? "HEAD" : "POST").status
                if status >= 200 { statuses.append(status) }
            } catch {
                switch error {
                case .closed(after: 0), .socket(call: "recv", errno: 104): return statuses
                default: throw error
                }
            }
        }
    }

    /// The gateway may end the connection before everything is sent.
    private func send(_ bytes: [UInt8], _ sending: Sending, on connection: HTTPConnection) {
        guard sending == .pieces else {
            try? connection.send(bytes)
            return
        }
        // Long ones, whose fault is their length, in larger pieces.
        let size = max(7, bytes.count / 200)
        for start in stride(from: 0, to: bytes.count, by: size) {
            do { try connection.send(Array(bytes[start..<min(start + size, bytes.count)])) } catch { return }
        }
    }

    private func rendered(on path: Path) -> String {
        let event = TestEvent().json
        let second = Self.second()
        let values = [
            ("{S}", second), ("{s}", String(second.utf8.count)), ("{H}", "Host: sluice.test\r\n"),
            ("{C}", "Content-Type: application/cloudevents+json\r\n"), ("{T}", path.rawValue),
            ("{n}", String(event.utf8.count)), ("{x}", String(event.utf8.count, radix: 16)), ("{E}", event),
        ]
        return values.reduce(bytes) { $0.replacing($1.0, with: $1.1) }
    }

    private static func second() -> String {
        String(decoding: TestEvent().structured().bytes, as: UTF8.self)
    }
}
