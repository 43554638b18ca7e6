import JetStream
import ServerFixtures
import Testing

/// Real servers that are killed, hung, or cut off.
@Suite(.serialized) struct RecoveryTests {
    private func withServer(
        _ binary: NATSServer.Binary,
        through proxied: Bool = false,
        adjust: (inout JetStreamConfiguration) -> Void = { _ in },
        _ body: (NATSServer, TCPProxy, TestClient) async throws -> Void
    ) async throws {
        let server = try NATSServer(binary)
        let proxy = TCPProxy(target: server.port)
        try await withClient(proxied ? proxy.url : server.url, adjust: adjust) { test in
            let name = try #require(StreamName("EVENTS"))
            _ = try await test.client.createStream(StreamConfiguration(name: name, subjects: ["ce.>"]))
            try await body(server, proxy, test)
        }
        server.resume()
        server.kill()
        proxy.stop()
    }

    @Test(arguments: NATSServer.available)
    func `R-02: what was acknowledged survives SIGKILL of the server under load, and the client comes back`(
        binary: NATSServer.Binary
    ) async throws {
        try await withServer(binary) { server, _, test in
            for round in 0..<3 {
                let messages = (0..<20_000).map { makeMessage(id: "r\(round)-\($0)") }
                let client = test.client
                async let run = publishAll(messages, on: client, window: 500)
                let probe = try NATSProbe(port: server.port)
                let before = probe.lastSequence("EVENTS")
                #expect(await eventually { probe.lastSequence("EVENTS") > before + 1000 })
                server.kill()
                let outcomes = await run
                #expect(outcomes.allSatisfy { $0.count == 1 })
                try server.start()
                #expect(await test.connected())
                let last = try NATSProbe(port: server.port).lastSequence("EVENTS")
                let highest = outcomes.compactMap { outcome -> UInt64? in
                    if case .stored(let sequence, _)? = outcome.first { sequence } else { nil }
                }.max()
                #expect(UInt64(last) >= highest ?? .max)
                #expect(outcomes.contains { $0 != [.notSent(.disconnected)] && !$0[0].isStored } || highest != nil)
            }
        }
    }

    @Test(arguments: NATSServer.available)
    func `R-39: a server that hangs while idle is stalled in time, and the client recovers`(
        binary: NATSServer.Binary
    ) async throws {
        try await withServer(binary) { server, _, test in
            server.pause()
            #expect(await eventually(timeout: .seconds(4)) { test.client.state.isStalled })
            #expect(await eventually(timeout: .seconds(8)) { !test.client.state.isStalled })
            #expect(await test.client.publish(makeMessage(id: "hung")) == .notSent(.disconnected))
            // During reconnecting: the kernel accepts, the server says nothing.
            await letPass(.seconds(3))
            server.resume()
            #expect(await test.connected(timeout: .seconds(5)))
            #expect(await test.client.publish(makeMessage(id: "after")).isStored)
        }
    }

    @Test(arguments: NATSServer.available)
    func `R-39, C-06: a server that hangs under load: each message is answered within its deadline`(
        binary: NATSServer.Binary
    ) async throws {
        try await withServer(binary, adjust: { $0.publishTimeout = .seconds(3) }) { server, _, test in
            let client = test.client
            let messages = (0..<30_000).map { makeMessage(id: "h\($0)") }
            async let run = publishAll(messages, on: client, window: 15_000)
            #expect(await eventually { (try? NATSProbe(port: server.port).lastSequence("EVENTS")) ?? 0 > 500 })
            server.pause()
            let start = ContinuousClock.now
            let outcomes = await run
            #expect(ContinuousClock.now - start < .seconds(7))
            #expect(outcomes.allSatisfy { $0.count == 1 })
            server.resume()
            #expect(await test.connected())
            #expect(await client.publish(makeMessage(id: "after")).isStored)
            // What was called "not sent" must not be in the stream.
            let stored = outcomes.count { $0[0].isStored }
            let unknown = outcomes.count { if case .unknown? = $0.first { true } else { false } }
            let count = try NATSProbe(port: server.port).count("EVENTS") - 1
            #expect(count >= stored && count <= stored + unknown)
        }
    }

    @Test(arguments: NATSServer.available)
    func `R-04: when acknowledgements are lost, retrying with the same id stores one copy`(
        binary: NATSServer.Binary
    ) async throws {
        try await withServer(binary, through: true, adjust: { $0.publishTimeout = .milliseconds(500) }) {
            server,
            proxy,
            test in
            let messages = (0..<200).map { makeMessage(id: "once-\($0)") }
            proxy.set { $0.dropsServerBytes = true }
            let lost = await publishAll(messages, on: test.client)
            #expect(lost.allSatisfy { $0 == [.unknown(.timeout)] })
            proxy.set { $0.dropsServerBytes = false }
            proxy.cut()
            #expect(await eventually { !test.client.state.isConnected })
            #expect(await test.connected())
            let again = await publishAll(messages, on: test.client)
            #expect(again.allSatisfy { if case .stored(_, true)? = $0.first { true } else { false } })
            let count = try NATSProbe(port: server.port).count("EVENTS")
            #expect(count == 200)
        }
    }

    @Test func `R-05: messages refused while the server was away are not in the stream afterwards`() async throws {
        try await withServer(NATSServer.standard) { server, _, test in
            server.kill()
            #expect(await eventually { !test.client.state.isConnected })
            for number in 0..<100 {
                #expect(await test.client.publish(makeMessage(id: "\(number)")) == .notSent(.disconnected))
            }
            try server.start()
            #expect(await test.connected())
            #expect(await test.client.publish(makeMessage(id: "last")) == .stored(sequence: 1, duplicate: false))
        }
    }
}
