import Testing
import Webhooks

struct HTTP1ResponseReaderTests {
    /// What a reader makes of an answer that comes in parts of so many bytes.
    private func read(
        _ text: String,
        by count: Int = .max,
        wanted: [String] = [],
        ends: Bool = false
    ) -> HTTP1ResponseReader.Outcome {
        var reader = HTTP1ResponseReader()
        reader.start(wanted: wanted)
        var rest = Array(text.utf8)[...]
        var outcome = HTTP1ResponseReader.Outcome.incomplete
        while !rest.isEmpty, outcome == .incomplete {
            let part = Array(rest.prefix(count))
            rest = rest.dropFirst(part.count)
            outcome = part.withUnsafeBytes { reader.read($0) }
        }
        return outcome == .incomplete && ends ? reader.end() : outcome
    }

    private func complete(_ outcome: HTTP1ResponseReader.Outcome) -> (response: WebhookResponse, isReusable: Bool)? {
        guard case .complete(let response, let isReusable) = outcome else { return nil }
        return (response, isReusable)
    }

    /// Every answer is read the same, however it is cut.
    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, true),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, true),
        ("HTTP/1.1 304\r\nContent-Length: 5\r\n\r\n", 304, true),
        ("HTTP/1.1 500 \r\ncontent-length:0\r\n\r\n", 500, true),
        ("HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 200, true),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: x\r\n\r\n",
            200, true
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 202 A\r\nContent-Length: 0\r\n\r\n",
            202, true
        ),
        ("HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n", 200, false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", 200, false),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", 200, true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", 200, true),
    ])
    func cutAnywhere(_ text: String, _ status: Int, _ isReusable: Bool) throws {
        for count in 1...text.utf8.count {
            let outcome = try #require(complete(read(text, by: count)), "cut by \(count)")
            #expect(outcome.response.status == status)
            #expect(outcome.isReusable == isReusable)
        }
        for length in 0..<text.utf8.count {
            let part = String(decoding: text.utf8.prefix(length), as: UTF8.self)
            #expect(read(part) == .incomplete, "\(length) bytes are an answer")
        }
    }

    @Test func bodyUntilTheEnd() throws {
        let text = "HTTP/1.1 500 No\r\n\r\nsome words"
        #expect(read(text) == .incomplete)
        let (response, isReusable) = try #require(complete(read(text, ends: true)))
        #expect(response.bodyPrefix == Array("some words".utf8))
        #expect(!isReusable)
        #expect(read("HTTP/1.1 500 No\r\nContent-Length: 20\r\n\r\nhalf", ends: true) == .incomplete)
        #expect(read("HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf", ends: true) == .incomplete)
    }

    @Test func moreThanOneAnswerEndsTheConnection() throws {
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        let (response, isReusable) = try #require(complete(read(answer + answer)))
        #expect(response.status == 200)
        #expect(!isReusable)
    }

    @Test(arguments: [
        "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000\r\n\r\n", "HTTP/1.1 099 x\r\n\r\n",
        "\r\n\r\nHTTP/1.1",
        "SSH-2.0-OpenSSH_9.2\r\n\r\n", "+OK\r\n-ERR unknown\r\n\r\n", "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0x10\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999999\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n c: d\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFF\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\r\n",
    ])
    func malformed(_ text: String) {
        for count in [1, 7, Int.max] {
            guard case .fault(.badResponse, _) = read(text, by: count) else {
                Issue.record("\(read(text, by: count)) by \(count)")
                continue
            }
        }
    }

    @Test func limits() throws {
        let headers = String(repeating: "a: b\r\n", count: 1_000_000)
        for count in [1500, Int.max] {
            #expect(tooLarge(read("HTTP/1.1 200 OK\r\n" + headers + "\r\n", by: count)))
            #expect(tooLarge(read(String(repeating: "x", count: 20_000), by: count)))
            let interim = "HTTP/1.1 103 Hints\r\nLink: \(String(repeating: "x", count: 2000))\r\n\r\n"
            #expect(tooLarge(read(String(repeating: interim, count: 10), by: count)))
            #expect(tooLarge(read(String(repeating: "HTTP/1.1 100 C\r\n\r\n", count: 100), by: count)))
            let trailer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + headers
            #expect(tooLarge(read(trailer, by: count)))
            let chunks = String(repeating: "1;\(String(repeating: "e", count: 100))\r\na\r\n", count: 1000)
            #expect(tooLarge(read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks, by: count)))
        }
        let fits = "HTTP/1.1 200 OK\r\nA: \(String(repeating: "x", count: 16_384 - 43))\r\nContent-Length: 0\r\n\r\n"
        #expect(fits.utf8.count == 16_384)
        #expect(complete(read(fits)) != nil)
    }

    private func tooLarge(_ outcome: HTTP1ResponseReader.Outcome) -> Bool {
        if case .fault(.responseTooLarge, _) = outcome { return true }
        return false
    }

    @Test(arguments: ["Content-Length: 10000000", "X: y", "Transfer-Encoding: chunked"])
    func longBodies(_ framing: String) throws {
        var text = "HTTP/1.1 418 Tea\r\n\(framing)\r\n\r\n"
        text += framing.contains("chunked") ? "FFFFF\r\n" : ""
        text += String(repeating: "b", count: 70_000)
        for count in [4096, Int.max] {
            let (response, isReusable) = try #require(complete(read(text, by: count)))
            #expect(response.isTruncated)
            #expect(!isReusable)
            #expect(response.bodyPrefix == Array(repeating: 0x62, count: 1024))
        }
    }

    @Test func wantedFieldsAndRetryAfter() throws {
        let text = """
            HTTP/1.1 429 Slow\r\nRETRY-AFTER: 120\r\nWebHook-Allowed-Origin:  a.example \t\r\n\
            webhook-allowed-origin: b\r\nOther: x\r\nContent-Length: 0\r\n\r\n
            """
        let (response, _) = try #require(complete(read(text, wanted: ["webhook-allowed-origin"])))
        #expect(response.retryAfter == .seconds(120))
        #expect(response.fields.map(\.value) == ["a.example", "b"])
    }

    @Test func retryAfter() {
        let now: Int64 = 784_111_777  // Sun, 06 Nov 1994 08:49:37 GMT
        #expect(RetryAfter.delay("0", now: now) == .zero)
        #expect(RetryAfter.delay("99999999999999999999", now: now) == .seconds(86_400))
        #expect(RetryAfter.delay("Sun, 06 Nov 1994 08:50:37 GMT", now: now) == .seconds(60))
        #expect(RetryAfter.delay("Sun, 06 Nov 1994 08:49:00 GMT", now: now) == .zero)
        #expect(RetryAfter.delay("Sun, 06 Nov 2094 08:49:00 GMT", now: now) == .seconds(86_400))
        for text in ["", "-1", "1.5", "soon", "Sun, 06 Nov 1994", "Sun, 32 Nov 1994 08:49:37 GMT"] {
            #expect(RetryAfter.delay(text, now: now) == nil)
        }
    }
}
