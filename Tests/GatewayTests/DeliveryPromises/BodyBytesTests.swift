import Foundation
import ServerFixtures
import Testing

extension EndToEnd {
    /// What arrives is what was sent, or the form that can say it.
    @Suite(.serialized, .deliveryStacks) struct BodyBytesTests {
        @Test(arguments: NATSServer.available)
        func `HTTP-07: JSON in binary mode arrives byte for byte, with the white space around it`(
            binary: NATSServer.Binary
        ) throws {
            let client = try DeliveryPool.client(binary)
            let receiver = try WebhookReceiver()
            try client.push(to: receiver)
            try client.subscribe("pull", #"{"protocol":"PULL"}"#)
            let texts = ["{\n  \"a\": 1\n}\n", "  [1]", "\r\n\t5 ", "\"s\"\n", "{\"a\":1}"]
            for text in texts {
                var event = TestEvent()
                event.data = text
                let answer = try client.stack.exchange(event.binary(headers: [("X-Tenant-ID", client.tenant)]))
                try #require(answer.status == 202, "\(answer.text)")
            }
            #expect(receiver.hasGot(texts.count))
            #expect(Set(receiver.posts.map(\.text)) == Set(texts))
            // Who pulls gets the event as JSON, whatever stands around the data.
            let values = try client.receive("pull", max: 10).map { $0["event"]["data"] }
            #expect(values.contains { $0["a"].int == 1 })
            // A redriven event keeps its bytes, too.
            let refusing = try WebhookReceiver { _, before in .status(before == 0 ? 422 : 204) }
            try client.push("again", to: refusing, [#""types":["com.example.redriven"]"#])
            var event = TestEvent()
            (event.type, event.data) = ("com.example.redriven", "{\"b\":2} \n")
            _ = try client.stack.exchange(event.binary(headers: [("X-Tenant-ID", client.tenant)]))
            #expect(try client.letters("again", count: 1).count == 1)
            let redriven = try client.call("POST", "/v1/dead-letters:redrive", #"{"filter":{"subscription":"again"}}"#)
            #expect(redriven.json["redriven"].int == 1, "\(redriven.text)")
            #expect(refusing.hasGot(2))
            #expect(refusing.posts.map(\.text) == ["{\"b\":2} \n", "{\"b\":2} \n"])
        }

        /// Attributes and data that a webhook in binary mode could not say, or a common server would not take.
        @Test(arguments: [
            ("no content type", [("data_base64", "\"AAE=\"")]),
            ("a foreign charset", [("datacontenttype", "\"text/plain; charset=iso-8859-1\""), ("data", "\"é\"")]),
            ("many attributes", (0..<90).map { ("x\($0)", "1") } + [("data", "1")]),
            ("long attributes", [("x", quoted(String(repeating: "漢", count: 5000))), ("data", "1")]),
        ])
        func `HOOK-03, JSON-17: what binary mode can't say goes in structured mode`(
            what: String,
            attributes: [(String, String)]
        ) throws {
            let client = try DeliveryPool.client()
            let receiver = try WebhookReceiver()
            try client.push(to: receiver)
            var event = TestEvent()
            event.data = nil
            event.attributes = attributes.map { (name: $0.0, json: $0.1) }
            try client.publish(event)
            #expect(receiver.hasGot(1))
            let post = try #require(receiver.posts.first)
            #expect(post["content-type"]?.hasPrefix("application/cloudevents+json") == true, "\(what)")
            #expect(post.text == event.json)
        }

        @Test func `one event of a batch that the sink can't take harms itself only`() throws {
            let client = try DeliveryPool.client()
            let receiver = try WebhookReceiver { request, _ in
                .status(request.json.items.contains { $0["data"].string == "bad" } ? 400 : 200)
            }
            try client.push(to: receiver, config: [#""batch":{"maxEvents":8,"maxWait":1}"#])
            var events = (0..<8).map { _ in TestEvent() }
            events[5].data = "\"bad\""
            let answer = try client.stack.exchange(
                batch(events.map(\.json), headers: [("X-Tenant-ID", client.tenant)])
            )
            try #require(answer.status == 202, "\(answer.text)")
            let letters = try client.letters(count: 1)
            #expect(letters.compactMap { $0["event"]["id"].string } == [events[5].id])
            #expect(try client.isSettled())
            #expect(try client.status("s")["thisReplica"]["delivered"].int == 7)
        }

        @Test func `the history of a dead letter has the deliveries whose locks ended`() throws {
            let client = try DeliveryPool.client()
            try client.subscribe("s", #"{"protocol":"PULL","config":{"ackWait":1,"maxAttempts":2}}"#)
            try client.publish(TestEvent())
            for count in 1...2 {
                let event = try #require(try client.receive("s", wait: 60).first)
                #expect(event["brokerProperties"]["deliveryCount"].int == count)
            }
            // The next who asks would get it a third time.
            var letters: [WireJSON] = []
            let isThere = try waitUntil(timeout: .seconds(60)) {
                #expect(try client.receive("s", wait: 1).isEmpty)
                letters = try client.deadLetters("s")
                return letters.count == 1
            }
            #expect(isThere)
            let times = letters.first.map { ($0["firstTime"].string, $0["lastTime"].string) }
            #expect(times?.0 != nil && times?.1 != nil && times?.0 != times?.1, "\(letters.map(\.text))")
        }

        @Test func `a token that is given twice in one call has one outcome`() throws {
            let client = try DeliveryPool.client()
            try client.subscribe("s", #"{"protocol":"PULL"}"#)
            for verb in ["acknowledge", "reject", "release"] {
                try client.publish(TestEvent())
                let event = try #require(try client.receive("s").first)
                let answer = try client.settle("s", verb, [event, event])
                #expect(answer.json["succeededLockTokens"].items.count == 2, "\(verb): \(answer.text)")
                #expect(answer.json["failedLockTokens"].items.isEmpty)
                if verb == "release" { continue }
                #expect(try client.isSettled())
            }
        }
    }
}
