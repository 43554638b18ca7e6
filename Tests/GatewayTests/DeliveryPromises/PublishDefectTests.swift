import ServerFixtures
import Testing

extension EndToEnd {
    /// What other gateways do wrong when events are published; numbers as in the list of defects.
    @Suite(.serialized, .deliveryStacks) struct PublishDefectTests {
        @Test(arguments: NATSServer.available)
        func `defect 1: an id of another source or tenant is another event, and every one of them is delivered`(
            binary: NATSServer.Binary
        ) throws {
            let client = try DeliveryPool.client(binary)
            let neighbour = client.neighbour
            let (receiver, theirs) = (try WebhookReceiver(), try WebhookReceiver())
            try client.push(to: receiver)
            try neighbour.push(to: theirs)
            let event = TestEvent()
            var sources = [event.source, "/tests/gateway/", "/tests", "urn:other"]
            for source in sources { try client.publish(TestEvent(id: event.id, source: source)) }
            try neighbour.publish(event)
            #expect(receiver.hasGot(sources.count) && theirs.hasGot(1))
            #expect(receiver.posts.allSatisfy { $0["ce-id"] == event.id })
            #expect(receiver.posts.compactMap { $0["ce-source"] }.sorted() == sources.sorted())
            // The same source and id again is the same event.
            sources.removeAll()
            try client.publish(event)
            let last = TestEvent()
            try client.publish(last)
            #expect(waitUntil(timeout: .seconds(60)) { receiver.posts.last?["ce-id"] == last.id })
            #expect(receiver.posts.count == 5)
        }

        @Test(arguments: NATSServer.available)
        func `defect 6: an event that nobody subscribes to is kept, and delivered to who comes later`(
            binary: NATSServer.Binary
        ) throws {
            let client = try DeliveryPool.client(binary)
            let event = TestEvent()
            let sequence = try client.publish(event)[0]
            let stream = try client.stack.reader().api("STREAM.INFO.SLUICE_EVENTS")["config"]
            #expect(stream["retention"].string == "limits")
            #expect(stream["discard"].string == "new")
            #expect(stream["storage"].string == "file")
            let receiver = try WebhookReceiver()
            try client.push(to: receiver, config: [#""startAt":"earliest""#])
            #expect(receiver.hasGot(1))
            #expect(receiver.posts.first?["ce-id"] == event.id)
            // And it is still there for the next one.
            #expect(try client.isSettled())
            try client.subscribe("again", "{\"protocol\":\"PULL\",\"config\":{\"startAt\":\(sequence)}}")
            #expect(try client.receive("again").first?["event"]["id"].string == event.id)
        }

        @Test func `defect 8: readiness tells the truth, liveness is another question, and bodies have a bound`() throws
        {
            let stack = try GatewayStack(NATSServer.standard, settings: ["MAX_BODY_BYTES": "65536"])
            #expect(stack.gateway.status(of: "/health/ready") == 200)
            var event = TestEvent()
            event.data = quoted(String(repeating: "x", count: 70_000))
            let large = try stack.exchange(event.structured())
            #expect(large.status == 413, "\(large.text)")
            #expect(large.json["limit"].int == 65_536)
            stack.server.kill()
            #expect(waitUntil(timeout: .seconds(30)) { stack.gateway.status(of: "/health/ready") == 503 })
            #expect(stack.gateway.status(of: "/health/live") == 200)
            #expect(try stack.exchange(TestEvent().structured()).status == 503)
            try stack.server.start()
            #expect(stack.waitUntilReady())
        }

        @Test(arguments: NATSServer.available)
        func `defect 11: what is stored says what it is, and 413 is 413`(binary: NATSServer.Binary) throws {
            let client = try DeliveryPool.client(binary)
            let event = TestEvent()
            let answer = try client.stack.exchange(event.binary(headers: [("X-Tenant-ID", client.tenant)]))
            let sequence = try #require(answer.json["sequence"].int, "\(answer.text)")
            let stored = try #require(try client.stack.reader().message(sequence))
            #expect(stored["Nats-Msg-Id"]?.isEmpty == false)
            #expect(stored["Content-Type"]?.hasPrefix("application/cloudevents+json") == true)
            #expect(!stored.headers.contains { $0.name.lowercased().hasPrefix("ce-") })
            #expect(try stored.event().attributes["id"] == event.id)
            // In binary mode the body is the data and the type the data's; in structured mode all is in the body.
            let (binary, structured) = (try WebhookReceiver(), try WebhookReceiver())
            try client.push("b", to: binary, config: [#""startAt":"earliest""#])
            try client.push("s", to: structured, config: [#""startAt":"earliest","contentMode":"structured""#])
            #expect(binary.hasGot(1) && structured.hasGot(1))
            let (plain, whole) = (try #require(binary.posts.first), try #require(structured.posts.first))
            #expect(plain["content-type"] == "application/json" && plain.text == event.data)
            #expect(whole["content-type"]?.hasPrefix("application/cloudevents+json") == true)
            #expect(whole.json["id"].string == event.id)
            #expect(!whole.fields.contains { $0.name.hasPrefix("ce-") })
            var large = TestEvent()
            large.data = quoted(String(repeating: "x", count: 2 << 20))
            let refused = try client.stack.exchange(large.structured())
            #expect(refused.status == 413, "\(refused.text)")
            #expect(refused.json["limit"].int != nil)
        }

        @Test func `defect 12: a 400 says all that is wrong, and a body that is too long is not read to its end`()
            throws
        {
            let client = try DeliveryPool.client()
            let broken = #"{"specversion":"1.0","id":"","type":5,"Bad":1}"#
            let type = ("Content-Type", "application/cloudevents+json")
            let answer = try client.stack.exchange(
                HTTPRequest("POST", "/v1/events", headers: [type], body: Array(broken.utf8))
            )
            #expect(answer.status == 400)
            #expect(answer["Content-Type"] == "application/problem+json")
            #expect(Set(answer.pointers).isSuperset(of: ["/id", "/type", "/source", "/Bad"]), "\(answer.text)")
            // Three GiB are announced and none of it is sent: only who reads heads can answer.
            let connection = try client.stack.gateway.connect(timeout: .seconds(60))
            let length = ("Content-Length", "3221225472")
            try connection.send(
                HTTPRequest("POST", "/v1/events", headers: [type, length], framing: HTTPRequest.Framing.none)
            )
            #expect(try connection.receive().status == 413)
        }
    }
}
