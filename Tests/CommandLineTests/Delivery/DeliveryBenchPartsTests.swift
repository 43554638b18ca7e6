import SluiceCommands
import Testing

/// The parts of `bench deliver` that its figures rest on.
struct DeliveryBenchPartsTests {
    private func events(_ text: String, chunk: Int) -> [DeliverRequestReader.Event] {
        var reader = DeliverRequestReader(run: "r1")
        var found: [DeliverRequestReader.Event] = []
        let bytes = Array(text.utf8)
        var start = 0
        while start < bytes.count {
            let part = Array(bytes[start..<min(start + chunk, bytes.count)])
            start += part.count
            part.withUnsafeBytes { buffer in
                var rest = buffer[...]
                while !rest.isEmpty {
                    let event = reader.read(&rest)
                    if event == .incomplete { break }
                    found.append(event)
                    if case .fault = event { return }
                }
            }
            if case .fault? = found.last { return found }
        }
        return found
    }

    @Test(arguments: [1, 2, 3, 7, 50, 10_000])
    func `requests are found whatever the pieces they come in`(chunk: Int) {
        let text =
            "POST / HTTP/1.1\r\nHost: a\r\nce-id: r1-17\r\nContent-Length: 5\r\n\r\nhello"
            + "OPTIONS / HTTP/1.1\r\nWebHook-Request-Origin: x\r\n\r\n"
            + "POST /x HTTP/1.1\r\nCE-ID:r1-18 \r\ncontent-length: 0\r\n\r\n"
            + "POST / HTTP/1.1\r\nce-id: other-19\r\nContent-Length: 2\r\n\r\n\r\n"
            + "POST / HTTP/1.1\r\nce-id: r1-x\r\nContent-Length: 0\r\n\r\n"
        let expected: [DeliverRequestReader.Event] = [
            .delivery(number: 17), .options, .delivery(number: 18), .delivery(number: nil), .delivery(number: nil),
        ]
        #expect(events(text, chunk: chunk) == expected)
    }

    @Test(
        arguments: [
            "GET / HTTP/1.1\r\n\r\n", "POST / HTTP/1.0\r\n\r\n", "PRI * HTTP/2.0\r\n\r\n", "\u{16}\u{3}\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nX: \(String(repeating: "x", count: 70_000))",
        ])
    func `what cannot be read is a fault`(text: String) {
        guard case .fault? = events(text, chunk: 1000).last else {
            Issue.record("no fault")
            return
        }
    }

    @Test func `a report tells what was measured and only that`() throws {
        var report = DeliverBenchReport(mode: "pull")
        report.backlog = .init(events: 2000, delivered: 2000, seconds: 0.5, cpuSeconds: 0.25)
        var json = try JSONText(parsing: Array(report.json.utf8))
        #expect(json["deliveries_per_s"] == .number("4000.0"))
        #expect(json["delay_p99_ms"] == .null)
        #expect(json["missing"]?.integer == 0)
        #expect(report.lines.contains("rate         4,000 deliveries/s"))

        var delays = LatencyHistogram()
        for value in 1...100 as ClosedRange<UInt64> { delays.record(value * 1_000_000) }
        report.paced = .init(rate: 100, events: 101, delivered: 100, delays: delays, cpuSeconds: 1)
        report.fault = "gone\u{1B}"
        json = try JSONText(parsing: Array(report.json.utf8))
        #expect(json["missing"]?.integer == 1)
        #expect(json["delay_max_ms"] == .number("100.000"))
        #expect(report.lines.last == #"MISSING      1: gone\u{1b}"#)
    }
}
