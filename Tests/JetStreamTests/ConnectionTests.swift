import Glibc
import JetStream
import ServerFixtures
import Testing

/// How connections begin, end and come back: against a scripted server.
@Suite struct ConnectionTests {
    @Test func `the server's greeting is read at connect, and again after each reconnect`() async throws {
        let broker = try ScriptedBroker(greeting: .info(#","cluster":"west""#))
        try await withClient(broker.url) { test in
            let info = try #require(test.client.serverInfo)
            #expect(info.version == "2.9.10" && info.serverID == "SCRIPTED" && info.serverName == "scripted")
            #expect(info.clusterName == "west" && info.maxPayload == 1_048_576 && info.jetStream)
            #expect(info.address == broker.url)
            broker.setGreeting(.info(#","cluster":"east""#))
            broker.closeConnections()
            #expect(await eventually { test.client.serverInfo?.clusterName == "east" })
        }
    }

    @Test(arguments: [
        (ScriptedBroker.Greeting.silent, "the server is silent"),
        (.raw("HTTP/1.1 400 Bad Request\r\n\r\n"), "does not greet like a NATS server"),
        (.raw("INFO {\"version\":\"2\"\r\n"), "does not greet like a NATS server"),
        (.raw("INFO {\"version\":\"" + String(repeating: "x", count: 70_000) + "\"}\r\n"), "does not greet like"),
        (.info(#","tls_required":true"#), "TLS"), (.raw("INFO {\"server_id\":\"x\"}\r\n"), "headers"),
        (.raw(""), "silent"),
    ])
    func `C-10, C-11, S-31: a peer that does not begin as it should is named, and tried again`(
        greeting: ScriptedBroker.Greeting,
        reason: String
    ) async throws {
        let broker = try ScriptedBroker(greeting: greeting)
        let test = try TestClient(broker.url) { $0.connectTimeout = .milliseconds(400) }
        #expect(await test.lastFailure(containing: reason))
        broker.setGreeting(.normal)
        #expect(await test.connected())
        await test.client.close(grace: .zero)
    }

    @Test func `C-05, R-39: a server that is silent after INFO is left in time`() async throws {
        let broker = try ScriptedBroker(greeting: .silentAfterInfo)
        let test = try TestClient(broker.url) { $0.connectTimeout = .milliseconds(500) }
        #expect(await eventually { broker.connectionCount >= 2 })
        let start = ContinuousClock.now
        #expect(await eventually(timeout: .seconds(20)) { test.states.current.contains { $0.hasFailed } })
        #expect(ContinuousClock.now - start < .seconds(5))
        broker.setGreeting(.normal)
        #expect(await test.connected())
        await test.client.close(grace: .zero)
    }

    @Test func `C-05: the watchdog spares the connections of other clients to the same server`() async throws {
        let broker = try ScriptedBroker()
        try await withClient(broker.url) { first in
            broker.setGreeting(.silentAfterInfo)
            let second = try TestClient(broker.url) { $0.connectTimeout = .milliseconds(300) }
            #expect(await eventually(timeout: .seconds(20)) { second.states.current.contains { $0.hasFailed } })
            #expect(await first.client.publish(makeMessage(id: "1")).isStored)
            #expect(!first.states.current.contains { $0.hasFailed })
            await second.client.close(grace: .zero)
        }
    }

    @Test(arguments: [
        "Unknown Protocol Operation", "Maximum Payload Violation", "Authorization Violation", "Stale Connection",
    ])
    func `C-02: a connection that the server ends with -ERR is made anew`(error: String) async throws {
        let broker = try ScriptedBroker { $0.number == 0 ? .error(error) : .acknowledge }
        try await withClient(broker.url) { test in
            #expect(await test.client.publish(makeMessage(id: "1")) == .unknown(.connectionLost))
            #expect(await test.connected())
            #expect(await test.client.publish(makeMessage(id: "2")).isStored)
        }
    }

    @Test func `without a connection everything is refused at once`() async throws {
        let broker = try ScriptedBroker()
        broker.refuse()
        let test = try TestClient(broker.url)
        #expect(await test.lastFailure(containing: "refused"))
        let start = ContinuousClock.now
        #expect(await test.client.publish(makeMessage(id: "1")) == .notSent(.disconnected))
        await #expect(throws: JetStreamError.notConnected) { try await test.client.accountInfo() }
        #expect(ContinuousClock.now - start < .seconds(1))
        broker.listen()
        #expect(await test.connected())
        #expect(await test.client.publish(makeMessage(id: "2")).isStored)
        await test.client.close()
    }

    @Test func `R-05, C-03: nothing of what was refused leaves the process after the connection is back`() async throws
    {
        let broker = try ScriptedBroker()
        try await withClient(broker.url) { test in
            broker.refuse()
            broker.closeConnections()
            #expect(await eventually { !test.client.state.isConnected })
            for number in 0..<100 {
                #expect(await test.client.publish(makeMessage(id: "refused-\(number)")) == .notSent(.disconnected))
            }
            broker.listen()
            #expect(await test.connected())
            for number in 0..<100 {
                #expect(await test.client.publish(makeMessage(id: "taken-\(number)")).isStored)
            }
        }
        #expect(!broker.receivedText.contains("refused-"))
        #expect(broker.publications.count == 100)
    }

    @Test func `R-05: of a backlog cut off by a hung server, what is called 'not sent' was not sent`() async throws {
        let broker = try ScriptedBroker(receiveBuffer: 4096) { _ in .silence }
        try await withClient(broker.url, adjust: { $0.stallTimeout = .milliseconds(2200) }) { test in
            broker.setReading(false)
            let payload = [UInt8](repeating: UInt8(ascii: "x"), count: 20_000)
            var messages: [OutboundMessage] = []
            for number in 0..<1000 { messages.append(makeMessage(id: "m-\(number)-", payload: payload)) }
            let outcomes = await publishAll(messages, on: test.client)
            broker.setReading(true)
            #expect(await test.connected())
            #expect(await test.client.publish(makeMessage(id: "last")) == .unknown(.timeout))
            let lines = broker.receivedText.utf8.split(separator: UInt8(ascii: "\n"))
            let prefix = Array("Nats-Msg-Id: ".utf8)
            let sent = Set(
                lines.filter { $0.starts(with: prefix) }.map { Array($0.dropFirst(prefix.count).dropLast()) }
            )
            var notSent = 0
            for (number, outcome) in outcomes.enumerated() {
                #expect(outcome.count == 1)
                guard case .notSent = outcome.first else { continue }
                notSent += 1
                if sent.contains(Array("m-\(number)-".utf8)) { Issue.record("message \(number) was sent") }
            }
            #expect(notSent > 0)
        }
    }

    @Test func `R-39, C-04: a zero window blocks no submitter, and the connection is given up`() async throws {
        let broker = try ScriptedBroker(receiveBuffer: 4096)
        try await withClient(broker.url) { test in
            broker.setReading(false)
            let payload = [UInt8](repeating: 1, count: 100_000)
            let client = test.client
            let message = makeMessage(payload: payload)
            let longest = await onThread {
                let lane = client.makeLane {}
                var longest = Duration.zero
                for number in 0..<200 {
                    let start = ContinuousClock.now
                    lane.submit(message, tag: UInt64(number))
                    lane.flush()
                    longest = max(longest, ContinuousClock.now - start)
                }
                return longest
            }
            #expect(longest < .milliseconds(100))
            #expect(await eventually { test.states.current.contains { $0.isStalled } })
            #expect(await test.lastFailure(containing: "not answered in time"))
            broker.setReading(true)
            #expect(await test.connected())
            #expect(await client.publish(makeMessage(id: "after")).isStored)
        }
    }

    @Test func `overload is refused at once and in full, and what was taken is still answered`() async throws {
        let broker = try ScriptedBroker { _ in .after(.milliseconds(200), .acknowledge) }
        let adjust: (inout JetStreamConfiguration) -> Void = {
            $0.inFlightMax = 100
            $0.queuedMax = 512
        }
        try await withClient(broker.url, adjust: adjust) { test in
            var messages: [OutboundMessage] = []
            for number in 0..<5120 { messages.append(makeMessage(id: "\(number)")) }
            let outcomes = await publishAll(messages, on: test.client)
            let all = outcomes.flatMap { $0 }
            #expect(outcomes.allSatisfy { $0.count == 1 })
            #expect(all.contains(.notSent(.overloaded)))
            #expect(all.contains { $0.isStored })
            #expect(all.allSatisfy { $0 == .notSent(.overloaded) || $0.isStored })
        }
    }

    @Test func `C-14: closing waits for outstanding acknowledgements, then refuses everything`() async throws {
        let broker = try ScriptedBroker { _ in .after(.milliseconds(300), .acknowledge) }
        try await withClient(broker.url) { test in
            let client = test.client
            let message = makeMessage(id: "1")
            async let outcome = client.publish(message)
            #expect(await eventually { broker.publications.count == 1 })
            await client.close(grace: .seconds(5))
            #expect(await outcome.isStored)
            #expect(client.state == .closed)
            #expect(await client.publish(message) == .notSent(.closing))
            await client.close()
        }
    }

    @Test func `closing ends in time although nothing is acknowledged`() async throws {
        let broker = try ScriptedBroker { _ in .silence }
        try await withClient(broker.url) { test in
            let client = test.client
            let message = makeMessage(id: "1")
            async let outcome = client.publish(message)
            #expect(await eventually { broker.publications.count == 1 })
            let start = ContinuousClock.now
            await client.close(grace: .milliseconds(200))
            #expect(ContinuousClock.now - start < .seconds(2))
            #expect(await outcome == .unknown(.connectionLost))
        }
    }

    @Test func `closing while messages wait to be sent again leaves none without its outcome`() async throws {
        for _ in 0..<20 {
            let broker = try ScriptedBroker { _ in .noResponders }
            let test = try TestClient(broker.url)
            #expect(await test.connected())
            let client = test.client
            async let run = publishAll((0..<500).map { makeMessage(id: "\($0)") }, on: client, timeout: .seconds(10))
            #expect(await eventually { broker.publications.count >= 100 })
            await client.close(grace: .zero)
            #expect(await run.allSatisfy { $0.count == 1 && !$0[0].isStored })
        }
    }

    @Test func `all servers are tried in turn`() async throws {
        let broker = try ScriptedBroker()
        let test = try TestClient("nats://127.0.0.1:\(try freePort())", "nats://nowhere.invalid:1", broker.url)
        #expect(await test.connected())
        await test.client.close()
    }
}

extension ConnectionState {
    var hasFailed: Bool { if case .connecting(.some) = self { true } else { false } }
    var isStalled: Bool { if case .stalled = self { true } else { false } }
}
