import Foundation
import ServerFixtures
import Testing

extension EndToEnd {
    /// Where events go that cannot be delivered.
    @Suite(.serialized, .deliveryStacks) struct LastResortTests {
        @Test(arguments: NATSServer.available)
        func `a dead letter sink gets the event and why, and the letter stays listed`(binary: NATSServer.Binary) throws
        {
            let client = try DeliveryPool.client(binary)
            let receiver = try WebhookReceiver(status: 500)
            let letters = try WebhookReceiver { _, before in .status(before == 0 ? 503 : 202) }
            try client.push(
                to: receiver,
                [
                    #""sinkcredential":{"credentialtype":"ACCESSTOKEN","accesstoken":"for-the-sink-alone"}"#,
                    #""protocolsettings":{"headers":{"X-Own":"1"}}"#,
                ],
                config: ["\"maxAttempts\":2,\"backoff\":[1],\"deadLetter\":{\"sink\":\(quoted(letters.url))}"]
            )
            let event = TestEvent()
            let sequence = try client.publish(event)[0]
            // The first answer is 503: a letter is tried again like everything else.
            #expect(letters.hasGot(2))
            for post in letters.posts {
                #expect(post["sluice-reason"] == "retries-exhausted")
                #expect(post["sluice-attempts"] == "2")
                #expect(post["sluice-last-status"] == "500")
                #expect(post["sluice-subscription"] == "s")
                #expect(post["sluice-sequence"] == "\(sequence)")
                #expect(post["ce-id"] == event.id && post["ce-type"] == event.type)
                #expect(post.text == event.data)
                #expect(post["authorization"] == nil && post["x-own"] == nil, "S-11")
            }
            let listed = try client.letters()
            #expect(listed.count == 1)
            #expect(listed[0]["reason"].string == "retries-exhausted")
            #expect(listed[0]["event"]["id"].string == event.id)
            // Their letters are no deliveries of the subscription.
            #expect(try client.isSettled())
            #expect(try client.status("s")["thisReplica"]["delivered"].int == 0)
        }

        @Test func `a dead letter sink that refuses everything changes nothing`() throws {
            let client = try DeliveryPool.client()
            let receiver = try WebhookReceiver(status: 400)
            let letters = try WebhookReceiver(status: 400)
            try client.push(to: receiver, config: ["\"deadLetter\":{\"sink\":\(quoted(letters.url))}"])
            try client.publish(TestEvent(), TestEvent())
            #expect(letters.hasGot(2))
            #expect(try client.letters(count: 2).count == 2)
            #expect(try client.status("s")["state"].string == "active")
        }

        @Test(arguments: NATSServer.available)
        func `an event whose expirytime has passed is a dead letter and is never sent`(
            binary: NATSServer.Binary
        ) throws {
            let client = try DeliveryPool.client(binary)
            let receiver = try WebhookReceiver()
            try client.push(to: receiver)
            try client.subscribe("pull", #"{"protocol":"PULL"}"#)
            var old = TestEvent()
            old.attributes = [("expirytime", quoted("2020-01-01T00:00:00Z"))]
            var young = TestEvent()
            young.attributes = [("expirytime", quoted("2099-01-01T00:00:00Z"))]
            try client.publish(old, young)
            #expect(receiver.hasGot(1))
            let received = try client.receive("pull", max: 10)
            #expect(received.map { $0["event"]["id"].string } == [young.id])
            for id in ["s", "pull"] {
                let letter = try client.letters(id)[0]
                #expect(letter["reason"].string == "expired")
                #expect(letter["attempts"].int == 0)
                #expect(letter["event"]["id"].string == old.id)
            }
            #expect(receiver.posts.map { $0["ce-id"] } == [young.id])
        }

        @Test func `an event that expires while it waits for another attempt is not sent again`() throws {
            let client = try DeliveryPool.client()
            let receiver = try WebhookReceiver(status: 503)
            try client.push(to: receiver, config: [#""backoff":[6]"#])
            var event = TestEvent()
            let time = ISO8601DateFormatter().string(from: Date(timeIntervalSinceNow: 2))
            event.attributes = [("expirytime", quoted(time))]
            try client.publish(event)
            #expect(try client.letters()[0]["reason"].string == "expired")
            #expect(receiver.posts.count <= 1)
        }

        @Test(arguments: NATSServer.available)
        func `a native message that is no event is a dead letter with its bytes as they came`(
            binary: NATSServer.Binary
        ) throws {
            let client = try DeliveryPool.client(binary)
            let receiver = try WebhookReceiver()
            try client.push(to: receiver)
            try client.subscribe("pull", #"{"protocol":"PULL"}"#)
            let bytes: [UInt8] = [0, 0xFF, 13, 10, 0x7B] + (0...255).map { UInt8($0) }
            try client.publishNatively(bytes, headers: ["X-Odd: 1"])
            let envelope = #"{"specversion":"1.0","id":"x"}"#
            try client.publishNatively(Array(envelope.utf8))
            #expect(try client.receive("pull", wait: 2).isEmpty)
            for id in ["s", "pull"] {
                let letters = try client.letters(id, count: 2)
                #expect(letters.allSatisfy { $0["reason"].string == "undeliverable" && $0["event"].isNull })
                #expect(letters.allSatisfy { $0["lastError"].string?.isEmpty == false })
                let payloads = letters.compactMap { $0["payloadBase64"].string }
                #expect(payloads == [Data(bytes), Data(envelope.utf8)].map { $0.base64EncodedString() })
            }
            let reader = try StreamReader(url: client.stack.server.url, stream: "SLUICE_DEAD_LETTERS")
            let stored = try reader.allMessages().filter { $0.subject == "dl.\(client.tenant).s" }
            #expect(stored.map(\.payload) == [bytes, Array(envelope.utf8)])
            #expect(stored.allSatisfy { $0["Sluice-Reason"] == "undeliverable" })
            #expect(receiver.posts.isEmpty)
        }

        @Test(arguments: NATSServer.available)
        func `a native event in NATS binary mode is delivered like any other`(binary: NATSServer.Binary) throws {
            let client = try DeliveryPool.client(binary)
            let receiver = try WebhookReceiver()
            try client.push(to: receiver)
            let headers = [
                "ce-specversion: 1.0", "ce-id: native-1", "ce-source: /native", "ce-type: com.example.tested",
                "ce-datacontenttype: text/plain", "ce-note: a%20b",
            ]
            try client.publishNatively(Array("plain text".utf8), headers: headers)
            #expect(receiver.hasGot(1))
            let post = try #require(receiver.posts.first)
            #expect(post["ce-id"] == "native-1" && post["ce-note"] == "a%20b")
            #expect(post["content-type"] == "text/plain" && post.text == "plain text")
        }
    }
}
