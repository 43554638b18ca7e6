import NIOCore
import ServerFixtures
import Testing
import Webhooks

/// Connections: kept, shared by those who may, bounded, and left in time.
struct PoolTests {
    @Test func connectionsAreReused() async throws {
        let receiver = try await Receiver { _, answerer in answerer.answer(200, body: "ok") }
        let run = try ClientRun()
        let sink = try makeSink(receiver.port)
        for _ in 0..<100 { #expect(await run.send(sink).status == 200) }
        #expect(receiver.current.connections == 1)
        #expect(await run.status.connectionsOpened == 1)
        await run.stop()
        await receiver.stop()
    }

    /// Two credentials on one host, a thousand requests in both directions (S-11).
    @Test func credentialsNeverCross() async throws {
        let receiver = try await Receiver { _, answerer in answerer.answer(200) }
        let run = try ClientRun { $0.connectionsPerOriginMax = 4 }
        let sinks = try ["one", "two", "three"].map { name in
            try makeSink(
                receiver.port,
                path: "/\(name)",
                partition: name,
                fields: name == "three" ? [] : [("authorization", "Bearer \(name)")]
            )
        }
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<900 {
                group.addTask { #expect(await run.send(sinks[number % 3]).status == 200) }
            }
        }
        let requests = receiver.requests
        #expect(requests.count == 900)
        for request in requests {
            let name = String(request.head.split(separator: " ")[1].dropFirst())
            #expect(request.values("authorization") == (name == "three" ? [] : ["Bearer \(name)"]))
        }
        for (_, onOne) in Dictionary(grouping: requests, by: \.connection) {
            #expect(Set(onOne.map { $0.values("authorization") }).count == 1)
        }
        #expect(receiver.current.connections <= 12)
        await run.stop()
        await receiver.stop()
    }

    @Test func capsAndQueue() async throws {
        let held = Shared<[Answerer]>([])
        let receiver = try await Receiver { _, answerer in held.withLock { $0.append(answerer) } }
        let run = try ClientRun {
            $0.connectionsPerOriginMax = 8
            $0.waitingPerOriginMax = 20
        }
        let sink = try makeSink(receiver.port)
        let outcomes = Shared<[ClientRun.Outcome]>([])
        let sendMany = { @Sendable (client: WebhookClient, count: Int) in
            for _ in 0..<count {
                client.send(WebhookRequest(sink)) { outcome in outcomes.withLock { $0.append(outcome) } }
            }
        }
        await run.onLoop { sendMany($0, 28) }
        // Until the connections are there everything waits, and some of it is too much.
        #expect(await run.becomes { $0.inFlight == 8 })
        #expect(await run.status.waiting == 12)
        #expect(outcomes.current.count == 8)
        await run.onLoop { sendMany($0, 10) }
        #expect(await run.status.waiting == 20)
        #expect(outcomes.current.count == 10)
        for outcome in outcomes.current {
            #expect(outcome.failure?.kind == .busy)
            #expect(outcome.failure?.progress == .notSent)
        }
        var answered = 0
        while answered < 28 {
            guard await eventually({ !held.current.isEmpty }) else { break }
            let answerers = held.withLock { held in
                defer { held = [] }
                return held
            }
            answered += answerers.count
            for answerer in answerers { answerer.answer(200) }
        }
        #expect(await eventually { outcomes.current.count == 38 })
        #expect(outcomes.current.count { $0.status == 200 } == 28)
        #expect(receiver.current.openMax == 8)
        await run.stop()
        await receiver.stop()
    }

    /// Requests of many partitions for one host go over few connections, and all get their turn (S-29).
    @Test func hostsHaveACapOfTheirOwn() async throws {
        let receiver = try await Receiver { _, answerer in answerer.answer(200) }
        let run = try ClientRun {
            $0.connectionsPerOriginMax = 4
            $0.connectionsPerHostMax = 6
        }
        let sinks = try (0..<30).map { try makeSink(receiver.port, partition: "p\($0)") }
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<600 { group.addTask { Self.expectOK(await run.send(sinks[number % 30])) } }
        }
        #expect(receiver.current.count == 600)
        #expect(await run.status.connections <= 6)
        await run.stop()
        #expect(await run.becomes { $0.origins == 0 })
        await receiver.stop()
    }

    @Test func clientHasACap() async throws {
        let receivers = try await makeReceivers(5)
        let run = try ClientRun { $0.connectionsMax = 2 }
        let sinks = try receivers.map { try makeSink($0.port) }
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<200 { group.addTask { Self.expectOK(await run.send(sinks[number % 5])) } }
        }
        #expect(await run.status.connections <= 2)
        await run.stop()
        for receiver in receivers { await receiver.stop() }
    }

    private static func expectOK(_ outcome: ClientRun.Outcome) { #expect(outcome.status == 200, "\(outcome)") }

    private func makeReceivers(_ count: Int) async throws -> [Receiver] {
        var receivers: [Receiver] = []
        for _ in 0..<count { receivers.append(try await Receiver { _, answerer in answerer.answer(200) }) }
        return receivers
    }

    /// A sink that hangs, one that trickles and one that cannot be reached hold nobody else up.
    @Test func oneSlowSinkSlowsNoOther() async throws {
        let blackhole = try await Receiver { _, _ in }
        let trickle = try await Receiver { _, answerer in
            answerer.send("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
            answerer.trickle("x", every: .milliseconds(50))
        }
        let healthy = try await makeReceivers(10)
        let run = try ClientRun { $0.connectionsPerOriginMax = 8 }
        let bad = try [makeSink(blackhole.port), makeSink(trickle.port)]
        let ended = Shared(0)
        for sink in bad {
            for _ in 0..<100 {
                run.start(WebhookRequest(sink, timeout: .seconds(3600))) { _ in ended.withLock { $0 += 1 } }
            }
        }
        #expect(await run.becomes { $0.inFlight == 16 && $0.waiting == 184 })
        let sinks = try healthy.map { try makeSink($0.port) }
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<2000 { group.addTask { #expect(await run.send(sinks[number % 10]).status == 200) } }
        }
        #expect(ended.current == 0)
        #expect(blackhole.current.connections == 8)
        #expect(await run.status.inFlight == 16)
        await run.stop()
        #expect(ended.current == 200)
        for receiver in healthy + [blackhole, trickle] { await receiver.stop() }
    }

    /// A sink closes connections that rest: nothing is lost by that, and the next request goes over a new one.
    @Test func idleConnectionsThatTheSinkCloses() async throws {
        let last = Shared<Answerer?>(nil)
        let receiver = try await Receiver { _, answerer in
            last.withLock { $0 = answerer }
            answerer.answer(200)
        }
        let run = try ClientRun()
        let sink = try makeSink(receiver.port)
        for number in 1...5 {
            #expect(await run.send(sink).status == 200)
            #expect(receiver.current.connections == number)
            last.current?.close()
            #expect(await run.becomes { $0.connections == 0 })
        }
        await run.stop()
        await receiver.stop()
    }

    /// The sink closes just when the next request comes: that is told apart from a failure of the sink.
    @Test func idleCloseRace() async throws {
        let receiver = try await Receiver { request, answerer in
            // The second request of a connection meets the end of an idle connection.
            if request.number % 2 == 0 { answerer.answer(200) } else { answerer.close() }
        }
        let run = try ClientRun()
        let sink = try makeSink(receiver.port)
        for _ in 0..<20 {
            #expect(await run.send(sink).status == 200)
            let failure = try #require(await run.send(sink).failure)
            #expect(failure.kind == .reset)
            #expect(failure.progress == .noAnswer(closedUnused: true))
        }
        await run.stop()
        await receiver.stop()
    }

    /// Every answer is followed by the end of the connection, unannounced: whatever fails, fails as a race, and what does
    /// not is answered.
    @Test func closeAfterEveryAnswer() async throws {
        let receiver = try await Receiver(keepsRequests: false) { _, answerer in
            answerer.answer(200)
            answerer.close()
        }
        let run = try ClientRun()
        let sink = try makeSink(receiver.port)
        var answered = 0
        for _ in 0..<500 {
            switch await run.send(sink) {
            case .success(let response):
                #expect(response.status == 200)
                answered += 1
            case .failure(let failure): #expect(failure.progress != .noAnswer(closedUnused: false), "\(failure)")
            }
        }
        #expect(answered > 0)
        #expect(receiver.current.count == answered)
        await run.stop()
        await receiver.stop()
    }

    @Test func restingConnectionsAreClosed() async throws {
        let receiver = try await Receiver { _, answerer in answerer.answer(200) }
        let run = try ClientRun { $0.idleTimeout = .milliseconds(100) }
        #expect(await run.send(try makeSink(receiver.port)).status == 200)
        #expect(await run.becomes { $0.connections == 0 && $0.origins == 0 })
        #expect(await eventually { receiver.current.open == 0 })
        await run.stop()
        await receiver.stop()
    }

    /// What comes unasked never becomes the answer to the next request.
    @Test func unaskedAnswers() async throws {
        let receiver = try await Receiver { request, answerer in
            let body = "\(request.number)"
            let length = "content-length: \(body.utf8.count)"
            answerer.send("HTTP/1.1 500 X\r\n\(length)\r\n\r\n\(body)HTTP/1.1 200 X\r\n\(length)\r\n\r\n\(body)")
        }
        let run = try ClientRun()
        let sink = try makeSink(receiver.port)
        for number in 0..<50 {
            switch await run.send(sink) {
            case .success(let response):
                #expect(response.status == 500)
                #expect(response.bodyPrefix == Array("\(number)".utf8))
            case .failure(let failure): Issue.record("\(failure)")
            }
        }
        await run.stop()
        await receiver.stop()
    }

    @Test func cancel() async throws {
        let receiver = try await Receiver { _, _ in }
        let run = try ClientRun { $0.connectionsPerOriginMax = 1 }
        let sink = try makeSink(receiver.port)
        let outcomes = Shared<[ClientRun.Outcome]>([])
        let cancelled = await run.onLoop { client in
            let exchanges = (0..<2).map { _ in
                client.send(WebhookRequest(sink)) { outcome in outcomes.withLock { $0.append(outcome) } }
            }
            client.cancel(exchanges[1])
            client.cancel(exchanges[1])
            return exchanges[1].hasEnded
        }
        #expect(cancelled)
        #expect(outcomes.current.map { $0.failure?.progress } == [.notSent])
        #expect(await eventually { receiver.current.count == 1 })
        await run.stop()
        #expect(outcomes.current.map { $0.failure?.kind } == [.cancelled, .cancelled])
        #expect(outcomes.current.last?.failure?.progress == .noAnswer(closedUnused: false))
        #expect(await run.send(sink).failure?.kind == .cancelled)
        await receiver.stop()
    }

    /// Completions that send the next request, from within the answer, the timeout and the failure of the last.
    @Test func sendingFromCompletions() async throws {
        let receiver = try await Receiver { request, answerer in
            switch request.number % 4 {
            case 0: answerer.answer(200)
            case 1: answerer.reset()
            case 2: answerer.send("nonsense\r\n\r\n")
            default: break
            }
        }
        let run = try ClientRun { $0.connectionsPerOriginMax = 2 }
        let sink = try makeSink(receiver.port)
        let count = Shared(0)
        await run.onLoop { client in
            func next() {
                client.send(WebhookRequest(sink, timeout: .milliseconds(50))) { _ in
                    if count.withLock({
                        $0 += 1
                        return $0
                    }) < 60 {
                        next()
                    }
                }
            }
            for _ in 0..<4 { next() }
        }
        #expect(await eventually(timeout: .seconds(60)) { count.current >= 60 })
        await run.stop()
        await receiver.stop()
    }
}
