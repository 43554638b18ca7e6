import OTLPTracing
import ServerFixtures
import Testing

@Suite("Collectors that fail")
struct FaultTests {
    @Test(
        "What can be repeated is repeated until it arrives",
        arguments: [
            #"{"status":503,"fields":{"Retry-After":"1"}}"#, #"{"status":429,"fields":{"Retry-After":"x"}}"#,
            #"{"status":502}"#, #"{"status":504,"fields":{"Retry-After":"Sun, 06 Nov 1994 08:49:37 GMT"}}"#,
            #"{"do":"reset"}"#, #"{"do":"close"}"#,
        ]
    ) func repeated(step: String) async throws {
        let collector = try Collector([step])
        try await withTracer(try collector.configuration()) { tracer in
            tracer.record(3)
            await expect(tracer) { $0.exported == 3 && $0.failures == 1 && $0.lastFailure == nil }
            let requests = collector.requests
            #expect(requests.count == 2 && requests[0].body == requests[1].body, "the same request again")
            #expect(tracer.dropped == 0)
        }
    }

    @Test("Retry-After is waited for") func retryAfter() async throws {
        let collector = try Collector([#"{"status":503,"fields":{"Retry-After":"100"}}"#])
        var configuration = try collector.configuration()
        configuration.retryBudget = .seconds(3600)
        configuration.shutdownTimeout = .seconds(60)
        try await withTracer(configuration) { tracer in
            tracer.record(3)
            await expect(tracer) { $0.failures == 1 }
            await letPass(.milliseconds(500))
            tracer.forceFlush()
            await letPass(.milliseconds(500))
            #expect(collector.requests.count == 1 && tracer.status.pending == 3)
        }
        #expect(collector.spans.count == 6, "the end of the program does not wait for it")
    }

    @Test(
        "What is refused for good is dropped and counted, and the next batch arrives",
        arguments: [400, 401, 404, 413, 500, 301]
    ) func refused(status: Int) async throws {
        let collector = try Collector([#"{"status":\#(status),"message":"bad\u001b[31m data"}"#])
        try await withTracer(try collector.configuration()) { tracer in
            tracer.record(3)
            await expect(tracer) { $0.droppedByFailure == 3 && $0.requests == 1 }
            #expect(tracer.status.lastFailure == "status \(status): bad?[31m data")
            tracer.record(2)
            await expect(tracer) { $0.exported == 2 && $0.pending == 0 }
            #expect(tracer.dropped == 3)
        }
    }

    @Test("A partial success counts what was refused, and is not repeated") func partialSuccess() async throws {
        let collector = try Collector([#"{"rejected":2,"message":"too old"}"#, #"{"rejected":-5}"#])
        try await withTracer(try collector.configuration()) { tracer in
            tracer.record(3)
            await expect(tracer) { $0.exported == 1 && $0.rejected == 2 }
            tracer.record(4)
            await expect(tracer) { $0.exported == 5 && $0.rejected == 2 }
            #expect(collector.requests.count == 2)
        }
    }

    @Test("An endless body of an accepted request is cut off") func hugeBody() async throws {
        let collector = try Collector([#"{"do":"huge"}"#])
        try await withTracer(try collector.configuration()) { tracer in
            tracer.record(3)
            await expect(tracer) { $0.exported == 3 }
            tracer.record(1)
            await expect(tracer) { $0.exported == 4 && $0.failures == 0 }
            #expect(collector.requests.map(\.connection) == [0, 1])
        }
    }

    @Test(
        "No whole answer in time is a failure",
        arguments: [#"{"do":"hang"}"#, #"{"do":"trickle"}"#, #"{"do":"hugeHead"}"#]
    ) func noAnswer(step: String) async throws {
        let collector = try Collector([step])
        var configuration = try collector.configuration()
        configuration.timeout = .seconds(2)
        try await withTracer(configuration) { tracer in
            tracer.record(3)
            await expect(tracer) { $0.exported == 3 && $0.failures == 1 }
            #expect(collector.requests.map(\.connection) == [0, 1])
        }
    }

    @Test("A connection that the collector closed between requests costs nothing") func staleConnection() async throws {
        let collector = try Collector([#"{"do":"closeAfter"}"#, #"{"do":"closeAfter"}"#])
        try await withTracer(try collector.configuration()) { tracer in
            for count in 1...3 {
                tracer.record(1)
                await expect(tracer) { $0.exported == UInt64(count) }
            }
            #expect(tracer.status.failures == 0)
        }
    }

    @Test("A collector that comes up later gets what waited") func lateCollector() async throws {
        let port = try freePort()
        try await withTracer(try Collector.configuration(port: port)) { tracer in
            tracer.record(5)
            await expect(tracer) { $0.failures >= 2 }
            let reason = tracer.status.lastFailure ?? ""
            #expect(reason.contains("refused"), "\(reason)")
            let collector = try Collector(port: port)
            await expect(tracer) { $0.exported == 5 && $0.lastFailure == nil }
            #expect(collector.spans.count == 5)
        }
    }

    @Test("What cannot be delivered within its time is dropped and counted") func budget() async throws {
        var configuration = try Collector.configuration(port: try freePort())
        configuration.retryBudget = .milliseconds(100)
        try await withTracer(configuration) { tracer in
            tracer.record(5)
            await expect(tracer) { $0.droppedByFailure == 5 && $0.pending == 0 }
        }
    }

    @Test("A hung collector leaves recording alone: the queue fills, the rest is dropped, the end has a deadline")
    func hungCollector() async throws {
        let collector = try Collector()
        var configuration = try collector.configuration()
        configuration.queueMax = 100
        configuration.batchMax = 10
        configuration.timeout = .seconds(600)
        configuration.shutdownTimeout = .milliseconds(200)
        let tracer = OTLPTracer(configuration: configuration, logger: quietLogger)
        collector.pause()
        let hasEnded = Shared(false)
        tracer.record(1000)
        let run = Task {
            await tracer.run()
            hasEnded.withLock { $0 = true }
        }
        await expect(tracer) { $0.requests == 1 }
        tracer.record(1000)
        let status = tracer.status
        #expect(status.pending == 110 && status.droppedByQueue == 1890)
        run.cancel()
        #expect(await eventually(timeout: .seconds(60)) { hasEnded.current })
        #expect(tracer.dropped == 2000 && tracer.status.pending == 0)
    }

    @Test("Nobody home at the end: one attempt, all counted") func shutdownWithoutCollector() async throws {
        var configuration = try Collector.configuration(port: try freePort())
        configuration.delay = .seconds(3600)
        configuration.shutdownTimeout = .seconds(3600)
        let tracer = OTLPTracer(configuration: configuration, logger: quietLogger)
        let run = Task { await tracer.run() }
        tracer.record(600)
        run.cancel()
        await run.value
        #expect(tracer.status.droppedByFailure == 600 && tracer.status.pending == 0)
        await tracer.run()
    }
}
