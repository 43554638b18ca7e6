import ServerFixtures
import Testing

extension EndToEnd {
    /// What other gateways do wrong when events are delivered; numbers as in the list of defects.
    @Suite(.serialized, .deliveryStacks) struct DeliveryDefectTests {
        private static func settings(_ more: [String: String]) -> [String: String] {
            DeliveryPool.settings.merging(more) { $1 }
        }

        @Test
        func `defect 2: who says nothing about delivery gets the gateway's attempts, and a failure is not the end`()
            throws
        {
            let client = try DeliveryClient.make(settings: Self.settings(["MAX_DELIVER_ATTEMPTS": "3"]))
            let (dead, ill) = (
                try WebhookReceiver(status: 503),
                try WebhookReceiver { _, before in
                    .status(before == 0 ? 503 : 204)
                }
            )
            try client.push("dead", to: dead, config: [#""backoff":[0]"#])
            try client.subscribe("ill", #"{"protocol":"HTTP","sink":"\#(ill.url)"}"#)
            let shown = try client.call("GET", "/v1/subscriptions/ill").json["config"]
            #expect(shown["maxAttempts"].int == 3)
            #expect(shown["backoff"].items.map(\.int) == [5, 30, 120, 600])
            try client.publish(TestEvent())
            let letter = try client.letters("dead")[0]
            #expect(letter["reason"].string == "retries-exhausted")
            #expect(letter["attempts"].int == 3)
            #expect(dead.posts.count == 3)
            #expect(ill.hasGot(2))
            #expect(try client.isSettled("ill"))
            #expect(try client.deadLetters("ill").isEmpty)
        }

        @Test(arguments: [400, 404])
        func `defect 3: a 4xx before the last attempt loses nothing`(status: Int) throws {
            let client = try DeliveryPool.client()
            let receiver = try WebhookReceiver(status: status)
            try client.push(to: receiver, config: [#""maxAttempts":3,"backoff":[0]"#])
            let event = TestEvent()
            try client.publish(event)
            let letter = try client.letters()[0]
            // 400 never gets better; 404 may.
            #expect(letter["reason"].string == (status == 400 ? "rejected" : "retries-exhausted"))
            #expect(letter["attempts"].int == (status == 400 ? 1 : 3))
            #expect(letter["lastStatus"].int == status)
            #expect(letter["event"]["id"].string == event.id)
            #expect(receiver.posts.count == letter["attempts"].int)
        }

        @Test(arguments: NATSServer.available)
        func `defect 4: while a dead letter cannot be stored its event is not settled`(
            binary: NATSServer.Binary
        ) throws {
            let client = try DeliveryClient.make(binary, settings: Self.settings(["DEAD_LETTER_MAX_BYTES": "4096"]))
            let stack = client.stack
            let receiver = try WebhookReceiver(status: 400)
            try client.push(to: receiver, config: [#""ackWait":2"#])
            var events = [TestEvent(), TestEvent()]
            for index in events.indices { events[index].data = quoted(String(repeating: "x", count: 2500)) }
            for event in events { try client.publish(event) }
            let first = try client.letters()[0]
            #expect(receiver.hasGot(2))
            let isRefused = waitUntil(timeout: .seconds(30)) {
                stack.gateway.log.contains { $0.contains("dead letter of") && $0.contains("not stored") }
            }
            #expect(isRefused)
            #expect(try client.deadLetters("s").count == 1)
            #expect(try client.status("s")["inFlight"].int == 1)
            // With room again it is stored, and only then the event is settled.
            #expect(try client.call("DELETE", "/v1/dead-letters/\(first["sequence"].int ?? 0)").status == 204)
            let second = try client.letters()[0]
            let ids = [first, second].compactMap { $0["event"]["id"].string }
            #expect(Set(ids) == Set(events.map(\.id)))
            #expect(try client.isSettled())
        }

        @Test(arguments: NATSServer.available)
        func `defect 5: a crash during the last attempt ends as a dead letter, not as nothing`(
            binary: NATSServer.Binary
        ) throws {
            let client = try DeliveryClient.make(binary, settings: DeliveryPool.settings)
            let stack = client.stack
            let receiver = try WebhookReceiver { _, _ in .hang }
            try client.push(to: receiver, config: [#""maxAttempts":1,"ackWait":2"#])
            let event = TestEvent()
            try client.publish(event)
            #expect(receiver.hasGot(1))
            stack.gateway.kill()
            try stack.gateway.start()
            let letter = try client.letters()[0]
            #expect(letter["reason"].string == "retries-exhausted")
            #expect(letter["event"]["id"].string == event.id)
            #expect(try client.isSettled())
            #expect(receiver.posts.count == 1, "the crash has used the attempt")
            // Nothing of it is left to the server: it would give up without a word.
            let consumer = try stack.reader().api("CONSUMER.INFO.SLUICE_EVENTS.\(client.tenant)_s")["config"]
            #expect(consumer["max_deliver"].int == -1, "\(consumer.text)")
        }

        @Test(arguments: NATSServer.available)
        func `defect 7: calls that take longer than ackWait are made at once, and only once`(
            binary: NATSServer.Binary
        ) throws {
            let client = try DeliveryPool.client(binary)
            let together = Shared(0)
            let receiver = try WebhookReceiver { _, _ in
                together.withLock { $0 += 1 }
                // All four are here before one is answered, and then ackWait passes once more.
                _ = waitUntil(timeout: .seconds(20)) { together.current >= 4 }
                _ = waitUntil(timeout: .milliseconds(4500)) { false }
                return .status(204)
            }
            try client.push(to: receiver, config: [#""ackWait":3,"maxInFlight":4"#])
            let events = (0..<4).map { _ in TestEvent() }
            for event in events { try client.publish(event) }
            #expect(receiver.hasGot(4))
            #expect(try client.isSettled())
            #expect(
                receiver.copiesByID == Dictionary(uniqueKeysWithValues: events.map { ($0.id, 1) } as [(String, Int)])
            )
            #expect(try client.status("s")["thisReplica"]["delivered"].int == 4)
        }

        @Test(arguments: NATSServer.available)
        func `defect 9: the backoff is the subscription's, headers are kept, and nothing published meanwhile is missed`(
            binary: NATSServer.Binary
        ) throws {
            let client = try DeliveryClient.make(binary, settings: DeliveryPool.settings)
            let stack = client.stack
            let receiver = try WebhookReceiver { _, before in .status(before == 0 ? 500 : 204) }
            // With the server's own redelivery the second attempt would come after an hour.
            try client.push(to: receiver, config: [#""ackWait":3600,"backoff":[1]"#])
            var event = TestEvent()
            event.attributes = [("partitionkey", quoted("k €")), ("sampledrate", "7")]
            try client.publish(event)
            #expect(receiver.hasGot(2))
            for post in receiver.posts {
                #expect(post["ce-id"] == event.id)
                #expect(post["ce-partitionkey"] == "k%20%E2%82%AC")
                #expect(post["ce-sampledrate"] == "7")
            }
            #expect(try client.isSettled())
            stack.gateway.kill()
            let missed = TestEvent()
            try client.publishNatively(Array(missed.json.utf8))
            try stack.gateway.start()
            #expect(receiver.hasGot(3))
            #expect(receiver.posts.last?["ce-id"] == missed.id)
        }
    }
}
