import JetStream
import ServerFixtures
import Testing

/// Deliveries and settlements against real servers.
@Suite(.serialized) struct DeliveryLaneTests {
    @Test(arguments: NATSServer.available)
    func `what is delivered is what was published, with its place in the stream`(
        binary: NATSServer.Binary
    ) async throws {
        try await withStream(binary) { _, _, test in
            var message = makeMessage("a.b é", id: "id-1", payload: Array(0...255))
            message.headers.contentType = HeaderValue("application/cloudevents+json")
            message.headers.tracestate = HeaderValue("a=b, c=d")
            #expect(await test.client.publish(message).isStored)
            let consumer = try await test.makeConsumer()
            let owner = LaneOwner(test.client)
            try owner.pull(consumer, batch: 1, tag: 77)
            #expect(await owner.has(messages: 1))
            let (tag, delivered) = try #require(owner.current.messages.first)
            #expect(tag == 77 && delivered.subject == "ce.test.a=2Eb=20=C3=A9" && delivered.payload == Array(0...255))
            #expect(delivered.sequence == 1 && delivered.consumerSequence == 1 && delivered.deliveries == 1)
            #expect(delivered.pending == 0 && delivered.time > 1_700_000_000_000_000_000)
            #expect(delivered.header("content-TYPE") == "application/cloudevents+json")
            #expect(delivered.header("tracestate") == "a=b, c=d" && delivered.header("nats-msg-id") == "id-1")
            #expect(delivered.headers.count == 4 && delivered.header("x") == nil)
            #expect(await owner.end(of: 77) == .complete)
        }
    }

    @Test(arguments: NATSServer.available)
    func `R-18: a settlement is confirmed once the server has it, and the ack floor follows`(
        binary: NATSServer.Binary
    ) async throws {
        try await withStream(binary) { _, _, test in
            #expect(await test.publish(3000))
            let consumer = try await test.makeConsumer()
            let owner = LaneOwner(test.client) { lane, message in
                lane.settle(message.ack, .acknowledge, tag: message.sequence)
            }
            for tag in 1...3 { try owner.pull(consumer, batch: 1000, tag: UInt64(tag)) }
            #expect(await eventually(timeout: .seconds(30)) { owner.current.settled.count == 3000 })
            let record = owner.current
            #expect(record.messages.map(\.message.sequence) == (1...3000).map { UInt64($0) })
            #expect(record.settled.allSatisfy(\.confirmed) && Set(record.settled.map(\.tag)).count == 3000)
            #expect(record.ends.count == 3 && record.ends.allSatisfy { $0.end == .complete })
            let info = try #require(try await test.info(consumer))
            #expect(info.ackFloorStreamSequence == 3000 && info.ackPending == 0 && info.pending == 0)
            // One wake-up for many.
            #expect(record.wakeUps < 3000)
        }
    }

    @Test(arguments: NATSServer.available)
    func `a release brings the message back after its delay, progress keeps it, terminate ends it`(
        binary: NATSServer.Binary
    ) async throws {
        try await withStream(binary) { _, _, test in
            #expect(await test.publish(2))
            let consumer = try await test.makeConsumer { $0.ackWait = .seconds(2) }
            let owner = LaneOwner(test.client) { lane, message in
                // The second is kept alive for as long as the first is away.
                if message.sequence == 2 { lane.tell(message.ack, .progress) }
            }
            try owner.pull(consumer, batch: 2)
            #expect(await owner.has(messages: 2))
            let (first, second) = (try owner.message(0), try owner.message(1))
            owner.settle(first, .release(delay: .milliseconds(800)), tag: 1)
            #expect(await owner.confirmed(1) == true)
            let released = ContinuousClock.now
            try owner.pull(consumer, batch: 10, tag: 2)
            while owner.current.messages.count < 3, ContinuousClock.now - released < .seconds(20) {
                owner.run { $0.tell(second.ack, .progress) }
                await letPass(.milliseconds(200))
            }
            let again = try #require(owner.current.messages.dropFirst(2).first?.message)
            #expect(again.sequence == 1 && again.deliveries == 2)
            #expect(ContinuousClock.now - released >= .milliseconds(700))
            owner.settle(again, .terminate, tag: 3)
            owner.settle(second, .acknowledge, tag: 4)
            #expect(await owner.confirmed(3) == true)
            #expect(await owner.confirmed(4) == true)
            let info = try #require(try await test.info(consumer))
            #expect(info.ackPending == 0 && info.ackFloorStreamSequence == 2)
            #expect(owner.current.messages.count == 3)
        }
    }

    @Test(arguments: NATSServer.available)
    func `a message that nobody settles comes again, and a release without delay at once`(
        binary: NATSServer.Binary
    ) async throws {
        try await withStream(binary) { _, _, test in
            #expect(await test.publish(1))
            let consumer = try await test.makeConsumer { $0.ackWait = .seconds(1) }
            let owner = LaneOwner(test.client)
            try owner.pull(consumer, batch: 3)
            #expect(await owner.has(messages: 2))
            let second = try owner.message(1)
            owner.run { $0.tell(second.ack, .release(delay: .zero)) }
            #expect(await owner.has(messages: 3))
            #expect(owner.current.messages.map(\.message.deliveries) == [1, 2, 3])
            #expect(await owner.end(of: 1) == .complete)
        }
    }

    @Test(arguments: NATSServer.available)
    func `N-04: a pull ends when its time is over, and what comes late is handed over`(
        binary: NATSServer.Binary
    ) async throws {
        try await withStream(binary) { _, _, test in
            let consumer = try await test.makeConsumer()
            let owner = LaneOwner(test.client)
            try owner.pull(consumer, batch: 5, expires: .milliseconds(300), tag: 1)
            #expect(await owner.end(of: 1) == .expired)
            try owner.pull(consumer, batch: 5, tag: 2)
            #expect(await test.hasWaiting(1, at: consumer))
            owner.run { $0.cancel(pull: 2) }
            #expect(await owner.end(of: 2) == .closing)
            #expect(await test.publish(1))
            #expect(await owner.has(messages: 1))
            #expect(owner.current.messages.first?.tag == 2)
        }
    }

    @Test(arguments: NATSServer.available)
    func `a pull without waiting brings what is there and ends`(binary: NATSServer.Binary) async throws {
        try await withStream(binary) { _, _, test in
            let consumer = try await test.makeConsumer()
            let owner = LaneOwner(test.client)
            try owner.pull(consumer, batch: 5, expires: .seconds(1), noWait: true, tag: 1)
            #expect(await owner.end(of: 1) == .noMessages)
            #expect(await test.publish(3))
            try owner.pull(consumer, batch: 5, expires: .seconds(1), noWait: true, tag: 2)
            #expect(await owner.has(messages: 3))
            #expect(await owner.end(of: 2) != nil)
        }
    }

    @Test(arguments: NATSServer.available)
    func `R-43: a consumer that is deleted ends its pulls, and settlements are not confirmed`(
        binary: NATSServer.Binary
    ) async throws {
        try await withStream(binary, adjust: { $0.settlementTimeout = .seconds(2) }) { _, _, test in
            #expect(await test.publish(1))
            let consumer = try await test.makeConsumer()
            let owner = LaneOwner(test.client)
            try owner.pull(consumer, batch: 2, expires: .seconds(10), tag: 1)
            #expect(await owner.has(messages: 1))
            let stream = try #require(StreamName("EVENTS"))
            #expect(try await test.client.deleteConsumer(consumer, in: stream))
            #expect(await owner.end(of: 1) == .consumerGone)
            owner.settle(try owner.message(0), tag: 9)
            #expect(await owner.confirmed(9) == false)
            try owner.pull(consumer, batch: 2, expires: .seconds(1), tag: 2)
            #expect(await owner.end(of: 2) == .consumerGone)
        }
    }

    @Test func `a lane that holds too much asks for nothing more until messages are let go`() async throws {
        try await withStream(NATSServer.standard, adjust: { $0.deliveryBytesMax = 100_000 }) { _, _, test in
            #expect(await test.publish(400))
            let consumer = try await test.makeConsumer()
            let held = Shared<[DeliveredMessage]>([])
            let done = Shared(0)
            let (messages, wakes) = AsyncStream.makeStream(of: Void.self)
            let counts = Shared<[Int]>([])
            let client = test.client
            let task = await onThread {
                let lane = client.makeDeliveryLane { wakes.yield() }
                guard let stream = StreamName("EVENTS") else { return lane }
                lane.pull(consumer, in: stream, batch: 300, expires: .seconds(20), tag: 1)
                lane.flush()
                return lane
            }
            func drain() {
                task.drain { event in
                    if case .message(_, let message) = event { held.withLock { $0.append(message) } }
                    if case .pullEnded = event { done.withLock { $0 += 1 } }
                }
                counts.withLock { $0.append(task.bytesHeld) }
            }
            for await _ in messages {
                drain()
                if done.current == 1 { break }
            }
            #expect(held.current.count == 300 && task.bytesHeld > 100_000)
            let stream = try #require(StreamName("EVENTS"))
            task.pull(consumer, in: stream, batch: 100, expires: .seconds(20), tag: 2)
            task.flush()
            await letPass(.milliseconds(300))
            drain()
            #expect(held.current.count == 300)
            held.withLock { $0 = [] }
            for await _ in messages {
                drain()
                if done.current == 2 { break }
            }
            #expect(held.current.count == 100)
            // A pull that gets no room in its time has never left.
            held.withLock { $0 = [] }
            #expect(task.bytesHeld == 0)
        }
    }
}
