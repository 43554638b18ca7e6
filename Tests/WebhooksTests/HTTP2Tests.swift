import NIOCore
import NIOHPACK
import NIOHTTP2
import ServerFixtures
import Testing
import Webhooks

struct HTTP2Tests {
    private let authority: TestAuthority

    init() throws { authority = try TestAuthority() }

    private func receiver(
        _ settings: HTTP2Settings = [],
        _ script: @escaping HTTP2Receiver.Script
    ) async throws -> HTTP2Receiver {
        let tls = try authority.serverContext(protocols: ["h2", "http/1.1"])
        return try await HTTP2Receiver(tls, settings: settings, script)
    }

    private func run(_ configure: (inout WebhookClient.Configuration) -> Void = { _ in }) throws -> ClientRun {
        let rules = SinkAddressRules(allowedNetworks: try IPNetwork.list("127.0.0.0/8"))
        return try ClientRun(rules: rules, roots: authority.rootPath, configure)
    }

    private func sink(_ receiver: HTTP2Receiver) throws -> WebhookSink {
        try makeSink(receiver.port, scheme: "https", path: "/a?b", fields: [("Authorization", "Bearer t")])
    }

    @Test func manyRequestsOverOneConnection() async throws {
        let heads = Shared<[[String]]>([])
        let receiver = try await receiver { answerer in
            heads.withLock { $0.append(answerer.headers.map { "\($0.name): \($0.value)" }) }
            answerer.head(answerer.body == Array("{}".utf8) ? 202 : 500, [("retry-after", "3")], ends: true)
        }
        let run = try run()
        let sink = try sink(receiver)
        for outcome in await run.sendMany(100, sink) {
            let response = try outcome.get()
            #expect(response.status == 202)
            #expect(response.isHTTP2)
            #expect(response.retryAfter == .seconds(3))
        }
        #expect(receiver.current.connections == 1)
        #expect(receiver.current.requests == 100)
        #expect(receiver.current.streamsMax > 1)
        #expect(
            heads.current.first == [
                ":method: POST", ":scheme: https", ":authority: 127.0.0.1:\(receiver.port)", ":path: /a?b",
                "user-agent: sluice", "authorization: Bearer t", "content-length: 2",
            ]
        )
        await run.stop()
        await receiver.stop()
    }

    @Test func streamLimitOfTheSink() async throws {
        let limit = HTTP2Setting(parameter: .maxConcurrentStreams, value: 3)
        let receiver = try await receiver([limit]) { answerer in
            answerer.channel.eventLoop.scheduleTask(in: .milliseconds(2)) { answerer.head(200, ends: true) }
        }
        let run = try run { $0.connectionsPerOriginMax = 2 }
        // The first request learns the limit.
        #expect(await run.send(try sink(receiver)).status == 200)
        for outcome in await run.sendMany(100, try sink(receiver)) { #expect(outcome.status == 200) }
        #expect(receiver.current.streamsMax <= 3)
        #expect(receiver.current.connections <= 2)
        await run.stop()
        await receiver.stop()
    }

    @Test func bodiesBothWays() async throws {
        let receiver = try await receiver { answerer in
            answerer.head(400, [("x-wanted", "yes")])
            answerer.data(Array(repeating: 0x62, count: 50_000), ends: false)
            answerer.data([UInt8(truncatingIfNeeded: answerer.body.count)], ends: true)
        }
        let run = try run()
        // More than the connection's window many times over: it is widened again and again.
        for _ in 0..<30 {
            let body = [UInt8](repeating: 0x61, count: 300_000)
            let response = try await run.send(try sink(receiver), body: body, wanted: ["x-wanted"]).get()
            #expect(response.status == 400)
            #expect(response.bodyPrefix == Array(repeating: 0x62, count: 1024))
            #expect(response.fields == [.init(name: "x-wanted", value: "yes")])
            #expect(!response.isTruncated)
        }
        #expect(receiver.current.connections == 1)
        await run.stop()
        await receiver.stop()
    }

    @Test func endlessBody() async throws {
        let receiver = try await receiver { answerer in
            answerer.head(500)
            for _ in 0..<100 { answerer.data(Array(repeating: 0x62, count: 10_000), ends: false) }
        }
        let run = try run()
        for _ in 0..<3 {
            let response = try await run.send(try sink(receiver)).get()
            #expect(response.isTruncated)
            #expect(response.bodyPrefix.count == 1024)
        }
        #expect(await eventually { receiver.current.open == 0 })
        await run.stop()
        await receiver.stop()
    }

    @Test func interimAnswersAndTrailers() async throws {
        let receiver = try await receiver { answerer in
            for _ in 0..<(answerer.number == 0 ? 3 : 100) { answerer.head(103, [("link", "x")]) }
            guard answerer.number == 0 else { return }
            answerer.head(200)
            answerer.data([1, 2], ends: false)
            answerer.send(.headers(.init(headers: HPACKHeaders([("x-trailer", "1")]), endStream: true)))
        }
        let run = try run()
        #expect(await run.send(try sink(receiver)).status == 200)
        #expect(await run.send(try sink(receiver)).failure?.kind == .responseTooLarge)
        await run.stop()
        await receiver.stop()
    }

    @Test func hugeHead() async throws {
        let receiver = try await receiver { answerer in
            answerer.head(200, (0..<2000).map { ("x-\($0)", "0123456789012345678901234567890123456789") }, ends: true)
        }
        let run = try run()
        let failure = try #require(await run.send(try sink(receiver)).failure)
        #expect([.responseTooLarge, .badResponse, .reset].contains(failure.kind), "\(failure)")
        #expect(await run.becomes { $0.connections == 0 })
        await run.stop()
        await receiver.stop()
    }

    @Test func refusedAndResetStreams() async throws {
        let receiver = try await receiver { answerer in
            switch answerer.number {
            case 0: answerer.send(.rstStream(.refusedStream))
            case 1: answerer.send(.rstStream(.internalError))
            case 2:
                answerer.head(200)
                answerer.send(.rstStream(.cancel))
            default: answerer.head(200, ends: true)
            }
        }
        let run = try run()
        let sink = try sink(receiver)
        #expect(await run.send(sink).failure?.progress == .notSent)
        #expect(await run.send(sink).failure?.progress == .noAnswer(closedUnused: false))
        #expect(await run.send(sink).failure?.kind == .reset)
        #expect(await run.send(sink).status == 200)
        #expect(receiver.current.connections == 1)
        await run.stop()
        await receiver.stop()
    }

    /// What the sink says it has not taken is certainly not sent; what it has taken is still answered.
    @Test func goAway() async throws {
        let held = Shared<[HTTP2Answerer]>([])
        let receiver = try await receiver { answerer in
            if answerer.number >= 10 { return answerer.head(200, ends: true) }
            let count = held.withLock { held in
                held.append(answerer)
                return held.count
            }
            guard count == 10 else { return }
            let taken = held.current.sorted { $0.stream < $1.stream }.prefix(4)
            answerer.goAway(last: taken.last?.stream ?? .rootStream)
            for one in taken { one.head(200, ends: true) }
        }
        let run = try run()
        let outcomes = await run.sendMany(10, try sink(receiver))
        #expect(outcomes.count { $0.status == 200 } == 4)
        #expect(outcomes.count { $0.failure?.progress == .notSent } == 6)
        #expect(await run.send(try sink(receiver)).status == 200)
        #expect(receiver.current.connections == 2)
        #expect(await run.becomes { $0.connections == 1 })
        await run.stop()
        await receiver.stop()
    }

    @Test func timeoutsAndCancelling() async throws {
        let receiver = try await receiver { answerer in
            if answerer.number % 2 == 1 { answerer.head(200, ends: true) }
        }
        let run = try run()
        let sink = try sink(receiver)
        for _ in 0..<3 {
            let failure = try #require(await run.send(sink, timeout: .milliseconds(200)).failure)
            #expect(failure.kind == .timeout)
            #expect(failure.progress == .noAnswer(closedUnused: false))
            #expect(await run.send(sink).status == 200)
        }
        #expect(receiver.current.resets == 3)
        await run.stop()
        #expect(await eventually { receiver.current.open == 0 })
        await receiver.stop()
    }

    @Test func lostConnections() async throws {
        let receiver = try await receiver { answerer in
            if answerer.number % 2 == 0 { answerer.head(200, ends: true) } else { answerer.channel.close(promise: nil) }
        }
        let run = try run()
        for _ in 0..<5 {
            #expect(await run.send(try sink(receiver)).status == 200)
            let failure = try #require(await run.send(try sink(receiver)).failure)
            #expect(failure.kind == .reset)
        }
        await run.stop()
        await receiver.stop()
    }
}
