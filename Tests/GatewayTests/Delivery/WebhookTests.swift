import ServerFixtures
import Testing

extension EndToEnd {
    /// Push to webhooks: what arrives, what every answer means, retries and dead letters.
    @Suite(.serialized, .deliveryStacks) struct WebhookTests {
        @Test(arguments: NATSServer.available)
        func `an event published by HTTP arrives at the webhook, in binary and in structured mode`(
            binary: NATSServer.Binary
        ) throws {
            let client = try DeliveryPool.client(binary)
            let receiver = try WebhookReceiver()
            try client.subscribe(
                "b",
                Self.hook(receiver, #""sinkcredential":{"credentialtype":"ACCESSTOKEN","accesstoken":"tok"},"#)
            )
            try client.subscribe("s", Self.hook(receiver, "", config: #""contentMode":"structured""#))
            let event = TestEvent()
            try client.publish(event)
            #expect(waitUntil(timeout: .seconds(60)) { receiver.posts.count == 2 }, "\(receiver.posts.count)")
            let inBinary = try #require(receiver.posts.first { $0["ce-id"] != nil })
            #expect(inBinary["ce-id"] == event.id)
            #expect(inBinary["ce-type"] == event.type)
            #expect(inBinary["ce-source"] == event.source)
            #expect(inBinary["content-type"] == "application/json")
            #expect(inBinary["authorization"] == "Bearer tok")
            #expect(inBinary.text == event.data)
            let structured = try #require(receiver.posts.first { $0["ce-id"] == nil })
            #expect(structured["content-type"]?.hasPrefix("application/cloudevents+json") == true)
            #expect(structured["authorization"] == nil)
            #expect(structured.text == event.json)
            #expect(Set(receiver.posts.map(\.target)) == ["/sink"])
        }

        @Test(arguments: NATSServer.available)
        func `a sink that fails is tried again until it takes the event`(binary: NATSServer.Binary) throws {
            let client = try DeliveryPool.client(binary)
            let receiver = try WebhookReceiver { _, before in
                switch before {
                case 0: .status(503)
                // Half an answer ends the connection, so that the next try has a fresh one.
                case 1: .half
                case 2: .reset
                default: .status(200)
                }
            }
            try client.subscribe("s", Self.hook(receiver, "", config: #""maxAttempts":10,"backoff":[1]"#))
            let event = TestEvent()
            try client.publish(event)
            #expect(waitUntil(timeout: .seconds(60)) { receiver.posts.count == 4 }, "\(receiver.posts.count)")
            #expect(Set(receiver.posts.compactMap { $0["ce-id"] }) == [event.id])
            #expect(
                try waitUntil(timeout: .seconds(60)) { try client.status("s")["thisReplica"]["delivered"].int == 1 },
                "\((try? client.status("s").text) ?? "")"
            )
            let status = try client.status("s")
            #expect(status["inFlight"].int == 0 && status["pending"].int == 0, "\(status.text)")
            #expect(status["thisReplica"]["retried"].int == 3, "\(status.text)")
            #expect(status["lastError"]["message"].string != nil)
            #expect(status["breaker"].string == "closed")
            #expect(try client.deadLetters("s").isEmpty)
        }

        @Test(arguments: NATSServer.available)
        func `exhausted retries end as a dead letter with its reason, and one call puts it back`(
            binary: NATSServer.Binary
        ) throws {
            let client = try DeliveryPool.client(binary)
            let isWell = Shared(false)
            let receiver = try WebhookReceiver { _, _ in .status(isWell.current ? 200 : 500) }
            try client.subscribe("s", Self.hook(receiver, "", config: #""maxAttempts":2,"backoff":[1]"#))
            let event = TestEvent()
            let sequence = try client.publish(event)[0]
            #expect(try waitUntil(timeout: .seconds(60)) { try client.deadLetters("s").count == 1 })
            let letter = try #require(try client.deadLetters("s").first)
            #expect(letter["reason"].string == "retries-exhausted")
            #expect(letter["attempts"].int == 2)
            #expect(letter["lastStatus"].int == 500)
            #expect(letter["lastError"].string != nil)
            #expect(letter["originalSequence"].int == sequence)
            #expect(letter["redriveCount"].int == 0)
            #expect(letter["firstTime"].string != nil && letter["lastTime"].string != nil)
            #expect(letter["event"].text == (try WireJSON(parsing: Array(event.json.utf8))).text)
            #expect(receiver.posts.count == 2)

            isWell.withLock { $0 = true }
            let redriven = try client.call("POST", "/v1/dead-letters:redrive", #"{"filter":{"subscription":"s"}}"#)
            #expect(redriven.status == 200, "\(redriven.text)")
            #expect(redriven.json["matched"].int == 1 && redriven.json["redriven"].int == 1, "\(redriven.text)")
            #expect(waitUntil(timeout: .seconds(60)) { receiver.posts.count == 3 })
            #expect(receiver.posts.last?["ce-id"] == event.id)
            #expect(try client.deadLetters("s").isEmpty)
        }

        @Test(arguments: [400, 415, 422, 301])
        func `an answer that no retry can change is a dead letter at once`(status: Int) throws {
            let client = try DeliveryPool.client()
            let receiver = try WebhookReceiver { _, _ in .status(status, fields: [("Location", "/elsewhere")]) }
            try client.subscribe("s", Self.hook(receiver, "", config: #""backoff":[1]"#))
            try client.publish(TestEvent())
            #expect(try waitUntil(timeout: .seconds(60)) { try client.deadLetters("s").count == 1 })
            let letter = try client.deadLetters("s").first
            #expect(letter?["reason"].string == "rejected")
            #expect(letter?["lastStatus"].int == status)
            #expect(receiver.posts.map(\.target) == ["/sink"])
        }

        @Test func `410 disables the subscription, says why, and resume brings it back`() throws {
            let client = try DeliveryPool.client()
            let receiver = try WebhookReceiver { _, before in .status(before == 0 ? 410 : 204) }
            try client.subscribe("s", Self.hook(receiver, ""))
            try client.publish(TestEvent())
            #expect(try waitUntil(timeout: .seconds(60)) { try client.status("s")["state"].string == "disabled" })
            let shown = try client.call("GET", "/v1/subscriptions/s").json
            #expect(shown["state"].string == "disabled")
            #expect(shown["stateReason"].string?.contains("410") == true, "\(shown.text)")
            #expect(try waitUntil(timeout: .seconds(60)) { try client.deadLetters("s").count == 1 })
            #expect(try client.deadLetters("s").first?["reason"].string == "gone")
            let second = TestEvent()
            try client.publish(second)
            #expect(try client.unsettled("s") == 1)
            #expect(try client.call("POST", "/v1/subscriptions/s:resume").json["state"].string == "active")
            #expect(waitUntil(timeout: .seconds(60)) { receiver.posts.last?["ce-id"] == second.id })
        }

        @Test func `a paused subscription is sent nothing, and all of it after it is resumed`() throws {
            let client = try DeliveryPool.client()
            let receiver = try WebhookReceiver()
            try client.subscribe("s", Self.hook(receiver, ""))
            #expect(try client.call("POST", "/v1/subscriptions/s:pause").json["state"].string == "paused")
            let events = [TestEvent(), TestEvent()]
            for event in events { try client.publish(event) }
            #expect(try client.unsettled("s") == 2)
            #expect(receiver.posts.isEmpty)
            #expect(try client.call("POST", "/v1/subscriptions/s:resume").json["state"].string == "active")
            #expect(waitUntil(timeout: .seconds(60)) { receiver.posts.count == 2 })
            #expect(Set(receiver.posts.compactMap { $0["ce-id"] }) == Set(events.map(\.id)))
        }

        @Test func `S-05: a sink on an address that is not allowed is refused at once`() throws {
            let client = try DeliveryClient.make(settings: [:])
            let sinks = [
                "http://example.com/", "https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0x7f.1/",
                "https://[::1]/", "https://[::ffff:7f00:1]/", "https://10.0.0.1/", "https://169.254.169.254/latest",
                "https://localhost/", "https://localhost./", "https://user@example.com/", "https://example.com:22/",
                "https://example.com:6379/", "ftp://example.com/", "example.com", "https://example.com/#x",
            ]
            for sink in sinks {
                let answer = try client.call(
                    "POST",
                    "/v1/subscriptions",
                    #"{"protocol":"HTTP","sink":\#(quoted(sink))}"#
                )
                #expect(answer.status == 400, "\(sink): \(answer.text)")
                #expect(answer.json["violations"][0]["pointer"].string == "/sink", "\(sink): \(answer.text)")
            }
            #expect(try client.call("GET", "/v1/subscriptions").json["items"].items.isEmpty)
        }

        private static func hook(_ receiver: WebhookReceiver, _ members: String, config: String = "") -> String {
            #"{"protocol":"HTTP",\#(members)"sink":"\#(receiver.url)","config":{\#(config)}}"#
        }
    }
}
