import Foundation
import NIOCore
import ServerFixtures
import SluiceCommands
import Testing

/// The parts of the load generator that its figures rest on.
struct BenchPartsTests {
    @Test func `quantiles of a histogram are within a hundredth of the exact ones`() {
        var generator = SeededGenerator(seed: 7)
        var histogram = LatencyHistogram()
        var values: [UInt64] = []
        for _ in 0..<50_000 {
            let value = generator.next() >> (20 + generator.next() % 44)
            values.append(value)
            histogram.record(value)
        }
        values.sort()
        for share in [0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0] {
            let rank = max(1, Int((share * Double(values.count)).rounded(.up)))
            let exact = values[rank - 1]
            let estimate = histogram.quantile(share)
            #expect(estimate >= exact)
            #expect(Double(estimate) <= Double(exact) * 1.01 + 1)
        }
        #expect(histogram.quantile(1) == values.last)
        #expect(histogram.count == 50_000)
    }

    @Test(arguments: [0, 1, 127, 128, 129, 255, 256, 257, 1 << 20, UInt64.max - 1, UInt64.max])
    func `a histogram takes any value`(value: UInt64) {
        var histogram = LatencyHistogram()
        histogram.record(value)
        #expect(histogram.quantile(0.5) == value)
        #expect(histogram.max == value)
    }

    @Test func `merged histograms are as one, and an empty one is zero`() {
        var left = LatencyHistogram()
        var right = LatencyHistogram()
        #expect(left.quantile(0.5) == 0)
        #expect(left.mean == 0)
        for value in 1...100 as ClosedRange<UInt64> {
            if value % 2 == 0 { left.record(value) } else { right.record(value) }
        }
        left.merge(right)
        #expect(left.quantile(0.5) == 50)
        #expect(left.quantile(0.99) == 99)
        #expect(left.mean == 50.5)
        #expect(left.max == 100)
    }

    private func text(_ template: BenchTemplate, number: UInt64) -> (head: [String], body: Data) {
        var buffer = ByteBuffer()
        template.render(number: number, into: &buffer)
        let bytes = Data(buffer.readableBytesView)
        guard let end = bytes.range(of: Data("\r\n\r\n".utf8)) else { return ([], bytes) }
        let head = String(decoding: bytes[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
        return (head, bytes[end.upperBound...])
    }

    @Test(arguments: BenchMode.allCases)
    func `a rendered request is complete and every event has its own id`(mode: BenchMode) throws {
        let template = BenchTemplate(
            mode: mode,
            authority: "h:1",
            path: "/v1/events",
            run: "run-7",
            batchSize: 3,
            dataBytes: 512,
            fields: [("X-Tenant-ID", "acme")]
        )
        let (head, body) = text(template, number: 41)
        #expect(head.first == "POST /v1/events HTTP/1.1")
        #expect(head.contains("Content-Length: \(body.count)"))
        #expect(head.contains("X-Tenant-ID: acme"))
        let json = try JSONSerialization.jsonObject(with: body)
        let ids: [String?]
        switch mode {
        case .binary:
            #expect(body.count == 512)
            ids = head.filter { $0.hasPrefix("ce-id: ") }.map { String($0.dropFirst(7)) }
        case .structured: ids = [(json as? [String: Any])?["id"] as? String]
        case .batch: ids = (json as? [[String: Any]])?.map { $0["id"] as? String } ?? []
        }
        let expected: [String?] = (0..<template.eventsPerRequest).map { "run-7-0000000000\(41 + $0)" }
        #expect(ids == expected)
    }

    private func events(_ text: String, chunk: Int) -> [BenchResponseReader.Event] {
        var reader = BenchResponseReader()
        var events: [BenchResponseReader.Event] = []
        let bytes = Array(text.utf8)
        for start in stride(from: 0, to: bytes.count, by: chunk) {
            Array(bytes[start..<min(start + chunk, bytes.count)]).withUnsafeBytes { raw in
                var rest = raw[...]
                while !rest.isEmpty {
                    let event = reader.read(&rest)
                    if event != .incomplete { events.append(event) }
                    if case .fault = event { return }
                }
            }
        }
        return events
    }

    @Test(arguments: [1, 2, 3, 7, 64, 10_000])
    func `answers are found however the bytes are cut`(chunk: Int) {
        let text =
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Length: 5\r\nServer: x\r\n\r\nhello"
            + "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 503 Busy\r\ncontent-LENGTH:0\r\nConnection: close\r\n\r\n"
        #expect(
            events(text, chunk: chunk) == [
                .answer(status: 202, closes: false), .answer(status: 204, closes: false),
                .answer(status: 503, closes: true),
            ]
        )
    }

    @Test(
        arguments: [
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "SSH-2.0-x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
            "HTTP/1.1 200 OK\r\nContent-Length: 1 2\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 2x0 OK\r\nContent-Length: 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX: " + String(repeating: "x", count: 70_000) + "\r\n",
        ])
    func `what cannot be read is a fault and never a count`(text: String) {
        let found = events(text, chunk: 1000)
        #expect(found.count >= 1)
        guard case .fault = found.first else {
            Issue.record("\(found)")
            return
        }
    }
}
