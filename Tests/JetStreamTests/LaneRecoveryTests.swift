import JetStream
import ServerFixtures
import Testing

/// Deliveries while connections and servers fail.
@Suite(.serialized) struct LaneRecoveryTests {
    @Test(arguments: NATSServer.available)
    func `R-18: a connection cut in the middle loses nothing, and no settlement is confirmed twice or falsely`(
        binary: NATSServer.Binary
    ) async throws {
        try await withStream(binary, through: true, adjust: { $0.settlementTimeout = .seconds(2) }) {
            _,
            proxy,
            test in
            #expect(await test.publish(5000))
            let consumer = try await test.makeConsumer { $0.ackWait = .seconds(2) }
            let owner = LaneOwner(test.client) { lane, message in
                lane.settle(message.ack, .acknowledge, tag: message.consumerSequence)
            }
            var tag: UInt64 = 0
            for round in 0..<60 {
                let before = owner.current
                if Set(before.messages.map(\.message.sequence)).count == 5000,
                    try await test.info(consumer)?.ackFloorStreamSequence == 5000
                {
                    break
                }
                tag += 1
                try owner.pull(consumer, batch: 700, expires: .seconds(3), tag: tag)
                if round % 3 == 1 {
                    _ = await owner.has(messages: before.messages.count + 100, timeout: .seconds(5))
                    proxy.cut()
                    _ = await eventually { !test.client.state.isConnected }
                    #expect(await test.connected())
                }
                #expect(await owner.end(of: tag) != nil)
                let expected = owner.current.messages.count
                #expect(await eventually { owner.current.settled.count >= expected })
            }
            let record = owner.current
            #expect(Set(record.messages.map(\.message.sequence)).count == 5000)
            #expect(record.settled.count == record.messages.count && Set(record.settled.map(\.tag)).count > 5000 - 1)
            #expect(record.ends.contains { $0.end == .connectionLost })
            let info = try #require(try await test.info(consumer))
            #expect(info.ackFloorStreamSequence == 5000 && info.ackPending == 0)
        }
    }

    @Test(arguments: NATSServer.available)
    func `a server killed under a pull ends it, and a new pull works after the restart`(
        binary: NATSServer.Binary
    ) async throws {
        try await withStream(binary) { server, _, test in
            #expect(await test.publish(10))
            let consumer = try await test.makeConsumer { $0.ackWait = .seconds(1) }
            let owner = LaneOwner(test.client)
            try owner.pull(consumer, batch: 20, tag: 1)
            #expect(await owner.has(messages: 10))
            server.kill()
            owner.settle(try owner.message(0), tag: 5)
            #expect(await owner.confirmed(5) == false)
            #expect(await owner.end(of: 1) == .connectionLost)
            try owner.pull(consumer, batch: 1, tag: 2)
            #expect(await owner.end(of: 2) == .notSent)
            try server.start()
            #expect(await test.connected())
            for tag in 3...40 where owner.current.messages.count < 20 {
                try owner.pull(consumer, batch: 10, expires: .seconds(1), tag: UInt64(tag))
                #expect(await owner.end(of: UInt64(tag)) != nil)
            }
            #expect(owner.current.messages.count >= 20)
        }
    }

    @Test func `a hung server confirms nothing, within the deadline, and the lane recovers`() async throws {
        try await withStream(NATSServer.standard, adjust: { $0.settlementTimeout = .seconds(1) }) { server, _, test in
            #expect(await test.publish(5))
            // Longer than the server hangs: nothing is delivered again.
            let consumer = try await test.makeConsumer { $0.ackWait = .seconds(60) }
            let owner = LaneOwner(test.client)
            try owner.pull(consumer, batch: 5, tag: 1)
            #expect(await owner.end(of: 1) == .complete)
            server.pause()
            await letPass(.milliseconds(200))
            for message in owner.current.messages { owner.settle(message.message, tag: message.message.sequence) }
            try owner.pull(consumer, batch: 5, expires: .seconds(1), tag: 2)
            #expect(await eventually { owner.current.settled.count == 5 })
            #expect(owner.current.settled.allSatisfy { !$0.confirmed })
            #expect(await owner.end(of: 2) != nil)
            server.resume()
            #expect(await test.connected())
            for message in owner.current.messages { owner.settle(message.message, tag: 10 + message.message.sequence) }
            #expect(await eventually { owner.current.settled.count == 10 })
        }
    }

    @Test func `a thousand idle pulls of as many consumers all work`() async throws {
        try await withStream(NATSServer.standard) { _, _, test in
            var consumers: [ConsumerName] = []
            for number in 0..<1000 {
                consumers.append(try await test.makeConsumer("idle_\(number)") { $0.memoryStorage = true })
            }
            let owner = LaneOwner(test.client)
            let stream = try #require(StreamName("EVENTS"))
            let names = consumers
            owner.run { lane in
                for (tag, name) in names.enumerated() {
                    lane.pull(name, in: stream, batch: 10, expires: .seconds(60), tag: UInt64(tag))
                }
            }
            #expect(await test.hasWaiting(1, at: consumers[999]))
            #expect(await test.publish(1))
            #expect(await owner.has(messages: 1000, timeout: .seconds(60)))
            #expect(Set(owner.current.messages.map(\.tag)).count == 1000)
        }
    }
}
