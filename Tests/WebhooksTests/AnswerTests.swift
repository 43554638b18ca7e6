import NIOCore
import ServerFixtures
import Testing
import Webhooks

/// What sinks may answer, and what they had better not (S-06, S-07).
struct AnswerTests {
    private func outcome(
        timeout: Duration = .seconds(60),
        wanted: [String] = [],
        method: String = "POST",
        _ script: @escaping Receiver.Script
    ) async throws -> ClientRun.Outcome {
        let receiver = try await Receiver("127.0.0.1", script)
        let run = try ClientRun()
        let sink = try makeSink(receiver.port, method: method)
        let outcome = await run.send(sink, timeout: timeout, wanted: wanted)
        if outcome.failure != nil {
            // Nothing of a failed connection stays.
            #expect(await run.becomes { $0.connections == 0 && $0.inFlight == 0 })
        }
        await run.stop()
        await receiver.stop()
        return outcome
    }

    @Test(arguments: [200, 201, 202, 204, 301, 400, 401, 404, 410, 415, 429, 500, 503, 599])
    func everyStatus(_ status: Int) async throws {
        let outcome = try await outcome { _, answerer in
            if status == 204 { answerer.send("HTTP/1.1 204 X\r\n\r\n") } else { answerer.answer(status, body: "words") }
        }
        let response = try outcome.get()
        #expect(response.status == status)
        #expect(response.bodyPrefix == (status < 300 ? [] : Array("words".utf8)))
        #expect(!response.isHTTP2)
    }

    @Test func requestAsItArrives() async throws {
        let receiver = try await Receiver { _, answerer in answerer.answer(200) }
        let run = try ClientRun()
        let sink = try makeSink(receiver.port, path: "/a/b?c=%20d", fields: [("Authorization", "Bearer t")])
        let body = (0..<100_000).map { UInt8(truncatingIfNeeded: $0) }
        #expect(await run.send(sink, fields: [("ce-id", "1"), ("content-type", "a/b")]).status == 200)
        #expect(await run.send(sink, body: body).status == 200)
        #expect(await run.send(sink, body: []).status == 200)
        let requests = receiver.requests
        #expect(requests.count == 3)
        let lines = requests[0].head.split(separator: "\r\n").map(String.init)
        #expect(
            lines == [
                "POST /a/b?c=%20d HTTP/1.1", "host: 127.0.0.1:\(receiver.port)", "user-agent: sluice",
                "Authorization: Bearer t", "ce-id: 1", "content-type: a/b", "content-length: 2",
            ]
        )
        #expect(requests[1].body == body)
        #expect(requests[2].values("content-length") == ["0"])
        #expect(receiver.current.connections == 1)
        await run.stop()
        await receiver.stop()
    }

    @Test func hang() async throws {
        let outcome = try await outcome(timeout: .milliseconds(300)) { _, _ in }
        #expect(outcome.failure?.kind == .timeout)
        #expect(outcome.failure?.progress == .noAnswer(closedUnused: false))
    }

    @Test func reset() async throws {
        let outcome = try await outcome { _, answerer in answerer.reset() }
        #expect(outcome.failure?.kind == .reset)
        #expect(outcome.failure?.progress == .noAnswer(closedUnused: false))
    }

    @Test(arguments: ["", "HTTP/1.1 20", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"])
    func halfAnAnswer(_ part: String) async throws {
        let outcome = try await outcome { _, answerer in
            if !part.isEmpty { answerer.send(part) }
            answerer.close()
        }
        #expect(outcome.failure?.kind == .reset)
        #expect(outcome.failure?.progress == .noAnswer(closedUnused: false))
    }

    /// Something comes all the time, and never the end: the deadline is for the whole.
    @Test(arguments: ["", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\n"])
    func trickle(_ start: String) async throws {
        let outcome = try await outcome(timeout: .milliseconds(500)) { _, answerer in
            answerer.send(start + "H")
            answerer.trickle("T", every: .milliseconds(20))
        }
        #expect(outcome.failure?.kind == (start.contains("chunked") ? .badResponse : .timeout))
    }

    @Test(arguments: ["", "transfer-encoding: chunked\r\n", "content-length: 99999999999\r\n"])
    func endlessBody(_ field: String) async throws {
        let outcome = try await outcome { _, answerer in
            answerer.send("HTTP/1.1 500 X\r\n\(field)\r\n")
            let body = String(repeating: "b", count: 4096)
            answerer.flood(field.contains("chunked") ? "1000\r\n\(body)\r\n" : body)
        }
        let response = try outcome.get()
        #expect(response.status == 500)
        #expect(response.isTruncated)
        #expect(response.bodyPrefix.count == 1024)
    }

    @Test(arguments: [
        "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Hints\r\nlink: x\r\n\r\n", "HTTP/1.1 200 OK\r\n", "x: y\r\n",
    ])
    func endlessHead(_ part: String) async throws {
        let outcome = try await outcome { _, answerer in
            if part == "x: y\r\n" { answerer.send("HTTP/1.1 200 OK\r\n") }
            answerer.flood(String(repeating: part, count: 1000))
        }
        #expect(outcome.failure?.kind == .responseTooLarge)
    }

    @Test func millionHeaders() async throws {
        let outcome = try await outcome { _, answerer in
            answerer.send("HTTP/1.1 200 OK\r\n" + String(repeating: "a: b\r\n", count: 1_000_000) + "\r\n")
        }
        #expect(outcome.failure?.kind == .responseTooLarge)
    }

    /// Forty bytes of gzip that say they are a million are kept as they came.
    @Test func compressedBodyIsLeftAlone() async throws {
        let bomb: [UInt8] =
            [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3] + (0..<30).map { $0 } + [0, 0, 0, 0, 0x40, 0x42, 0x0F, 0]
        let outcome = try await outcome { _, answerer in
            answerer.send("HTTP/1.1 400 X\r\ncontent-encoding: gzip\r\ncontent-length: \(bomb.count)\r\n\r\n")
            answerer.send(bomb)
        }
        #expect(try outcome.get().bodyPrefix == bomb)
    }

    @Test(arguments: [301, 302, 303, 307, 308])
    func redirectsAreNotFollowed(_ status: Int) async throws {
        let canary = try await Receiver { _, answerer in answerer.answer(200) }
        let port = canary.port
        let outcome = try await outcome { _, answerer in
            answerer.answer(status, "location: http://127.0.0.1:\(port)/\r\n")
        }
        #expect(outcome.status == status)
        #expect(canary.current.connections == 0)
        await canary.stop()
    }

    @Test func notHTTP() async throws {
        let outcome = try await outcome { _, answerer in answerer.send("-ERR wrong number of arguments\r\n\r\n") }
        #expect(outcome.failure?.kind == .badResponse)
    }

    @Test func retryAfterAndWantedFields() async throws {
        let outcome = try await outcome(wanted: ["webhook-allowed-origin"], method: "OPTIONS") { request, answerer in
            answerer.answer(429, "Retry-After: 7\r\nWebHook-Allowed-Origin: \(request.method)\r\nset-cookie: a=b\r\n")
        }
        let response = try outcome.get()
        #expect(response.retryAfter == .seconds(7))
        #expect(response.fields == [.init(name: "webhook-allowed-origin", value: "OPTIONS")])
    }

    @Test func fieldsThatCannotBeSent() async throws {
        let receiver = try await Receiver { _, answerer in answerer.answer(200) }
        let run = try ClientRun()
        let sink = try makeSink(receiver.port)
        for (name, value) in [("ce-id", "a\r\nx: y"), ("ce id", "a"), ("ce-id\r\nx", "a"), ("", "a"), ("ce-id", "a\0")]
        {
            let outcome = await run.send(sink, fields: [(name, value)])
            #expect(outcome.failure?.kind == .badRequest)
            #expect(outcome.failure?.progress == .notSent)
        }
        #expect(receiver.current.connections == 0)
        await run.stop()
        await receiver.stop()
    }
}
