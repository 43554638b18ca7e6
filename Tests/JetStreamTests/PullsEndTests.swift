import JetStream
import ServerFixtures
import Testing

/// the end of all pulls of a client, before it gives back what it has in hand.
@Suite(.serialized) struct PullsEndTests {
    /// Whether the user may send messages to itself.
    private static func rights(sendsToItself: Bool) -> String {
        if sendsToItself { return "" }
        return """
            authorization { users: [{ user: a, password: b, permissions: { publish: { deny: ["_INBOX.>"] } } }] }
            no_auth_user: a
            """
    }

    @Test(arguments: NATSServer.available, [true, false])
    func `what is given back after the end of all pulls is not delivered here again`(
        binary: NATSServer.Binary,
        sendsToItself: Bool
    ) async throws {
        let rights = Self.rights(sendsToItself: sendsToItself)
        try await withStream(binary, extra: rights) { server, _, test in
            #expect(await test.publish(3))
            let consumer = try await test.makeConsumer { $0.ackWait = .seconds(300) }
            let owner = LaneOwner(test.client)
            try owner.pull(consumer, batch: 100, expires: .seconds(60), tag: 7)
            #expect(await owner.has(messages: 3))
            await test.client.endPulls(within: .seconds(60))
            for (_, message) in owner.current.messages {
                owner.settle(message, .release(delay: .zero), tag: message.sequence)
            }
            for tag in 1...3 { #expect(await owner.confirmed(UInt64(tag)) == true) }
            try await withClient(server.url) { other in
                let next = LaneOwner(other.client)
                try next.pull(consumer, batch: 3)
                #expect(await next.has(messages: 3))
                #expect(next.current.messages.allSatisfy { $0.message.deliveries == 2 })
            }
            #expect(owner.current.messages.count == 3)
            owner.run { $0.cancel(pull: 7) }
            #expect(await owner.end(of: 7) == .closing)
        }
    }

    @Test(arguments: NATSServer.available)
    func `what is on its way at the end of all pulls is handed over, and the rest is for others`(
        binary: NATSServer.Binary
    ) async throws {
        let total = 20_000
        try await withStream(binary) { server, _, test in
            for part in 0..<10 { #expect(await test.publish(total / 10, from: part * total / 10)) }
            // So long that nothing which was dropped comes again within the test.
            let consumer = try await test.makeConsumer { $0.ackWait = .seconds(3600) }
            let owner = LaneOwner(test.client)
            for tag in 1...10 { try owner.pull(consumer, batch: 2000, expires: .seconds(60), tag: UInt64(tag)) }
            #expect(await owner.has(messages: 300))
            await test.client.endPulls(within: .seconds(60))
            try await withClient(server.url) { other in
                let next = LaneOwner(other.client)
                for tag in 1...10 { try next.pull(consumer, batch: 2000, expires: .seconds(60), tag: UInt64(tag)) }
                #expect(
                    await eventually(timeout: .seconds(60)) {
                        owner.current.messages.count + next.current.messages.count >= total
                    }
                )
                let (here, there) = (owner.current.messages, next.current.messages)
                #expect(Set((here + there).map(\.message.sequence)).count == total)
                #expect(here.count + there.count == total)
                // Older servers count what they were about to send when the interest ended (nats-server 2.9.22,
                // `didNotDeliver`).
                let again = there.count { $0.message.deliveries > 1 }
                #expect(again == 0 || test.client.serverInfo?.isAtLeast(2, 9, 22) == false, "\(again)")
            }
        }
    }

    @Test func `after the end of all pulls nothing is asked for, on a new connection neither, and all else works`()
        async throws
    {
        try await withStream(NATSServer.standard, through: true) { _, proxy, test in
            let consumer = try await test.makeConsumer()
            let owner = LaneOwner(test.client)
            try owner.pull(consumer, batch: 5, expires: .seconds(60), tag: 1)
            #expect(await test.hasWaiting(1, at: consumer))
            await test.client.endPulls(within: .seconds(60))
            #expect(await test.publish(5))
            try owner.pull(consumer, batch: 5, expires: .milliseconds(500), tag: 2)
            #expect(await owner.end(of: 2) == .notSent)
            proxy.cut()
            #expect(await owner.end(of: 1) == .connectionLost)
            #expect(await test.connected())
            #expect(await test.publish(5, from: 5))
            try owner.pull(consumer, batch: 5, expires: .milliseconds(500), tag: 3)
            #expect(await owner.end(of: 3) == .notSent)
            #expect(owner.current.messages.isEmpty)
            await test.client.endPulls(within: .seconds(60))
            let info = try #require(try await test.info(consumer))
            #expect(info.pending == 10 && info.deliveredConsumerSequence == 0)
        }
    }

    @Test func `the end of all pulls is waited for no longer than told, nor than the connection lasts`() async throws {
        for isCut in [false, true] {
            try await withStream(NATSServer.standard, through: true) { server, proxy, test in
                let consumer = try await test.makeConsumer()
                let owner = LaneOwner(test.client)
                try owner.pull(consumer, batch: 5, expires: .seconds(60), tag: 1)
                #expect(await test.hasWaiting(1, at: consumer))
                server.pause()
                async let end: Void = test.client.endPulls(within: isCut ? .seconds(3600) : .milliseconds(200))
                if isCut { proxy.cut() }
                await end
                server.resume()
            }
        }
        let idle = try TestClient("nats://127.0.0.1:1")
        await idle.client.endPulls(within: .seconds(3600))
        await idle.client.close(grace: .zero)
        await idle.client.endPulls(within: .seconds(3600))
    }
}
