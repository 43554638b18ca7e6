import Foundation
import ServerFixtures
import Testing

extension EndToEnd {
    /// What a push looks like on the wire.
    @Suite(.serialized, .deliveryStacks) struct PushFormTests {
        @Test(arguments: NATSServer.available)
        func `HOOK-03: an event without data goes in structured mode, whatever the content mode says`(
            binary: NATSServer.Binary
        ) throws {
            let client = try DeliveryPool.client(binary)
            let receiver = try WebhookReceiver()
            try client.push(to: receiver, config: [#""contentMode":"binary""#])
            var event = TestEvent()
            event.data = nil
            try client.publish(event)
            #expect(receiver.hasGot(1))
            let post = try #require(receiver.posts.first)
            #expect(post["content-type"]?.hasPrefix("application/cloudevents+json") == true)
            #expect(post.text == event.json)
            #expect(!post.fields.contains { $0.name.hasPrefix("ce-") })
        }

        @Test func `binary data arrives as bytes in binary mode and as base64 in structured mode`() throws {
            let client = try DeliveryPool.client()
            let (binary, structured) = (try WebhookReceiver(), try WebhookReceiver())
            try client.push("b", to: binary)
            try client.push("s", to: structured, config: [#""contentMode":"structured""#])
            let bytes = (0...255).map { UInt8($0) }
            let base64 = Data(bytes).base64EncodedString()
            var event = TestEvent()
            event.data = nil
            event.attributes = [("datacontenttype", quoted("application/x-blob")), ("data_base64", quoted(base64))]
            try client.publish(event)
            #expect(binary.hasGot(1) && structured.hasGot(1))
            #expect(binary.posts.first?.body == bytes)
            #expect(binary.posts.first?["content-type"] == "application/x-blob")
            #expect(structured.posts.first?.json["data_base64"].string == base64)
        }

        @Test func `events come one by one unless batches are asked for`() throws {
            let client = try DeliveryPool.client()
            let (single, batched) = (
                try WebhookReceiver(),
                try WebhookReceiver { _, before in
                    .status(before == 0 ? 503 : 200)
                }
            )
            try client.push("single", to: single)
            try client.push(
                "batched",
                to: batched,
                config: [#""batch":{"maxEvents":5,"maxWait":1},"backoff":[1]"#]
            )
            let events = (0..<25).map { _ in TestEvent() }
            let answer = try client.stack.exchange(
                batch(events.map(\.json), headers: [("X-Tenant-ID", client.tenant)])
            )
            try #require(answer.status == 202, "\(answer.text)")
            #expect(single.hasGot(25))
            #expect(single.posts.allSatisfy { $0["ce-id"] != nil && $0["content-type"] == "application/json" })
            #expect(try client.isSettled("batched") && client.isSettled("single"))
            #expect(single.posts.count == 25)
            let type = "application/cloudevents-batch+json"
            #expect(batched.posts.allSatisfy { $0["content-type"]?.hasPrefix(type) == true })
            #expect(batched.posts.allSatisfy { (1...5).contains($0.json.items.count) })
            #expect(batched.posts.contains { $0.json.items.count > 1 })
            // The first one was refused: all of it, and nothing else, came again.
            let refused = batched.posts.first?.json.items.count ?? 0
            let ids = batched.posts.flatMap { $0.json.items }.compactMap { $0["id"].string }
            #expect(ids.count == 25 + refused)
            #expect(Set(ids) == Set(events.map(\.id)))
        }

        @Test func `a batch that the sink rejects becomes one dead letter for each event`() throws {
            let client = try DeliveryPool.client()
            let receiver = try WebhookReceiver(status: 422)
            try client.push(to: receiver, config: [#""batch":{"maxEvents":5,"maxWait":1}"#])
            let events = (0..<5).map { _ in TestEvent() }
            _ = try client.stack.exchange(batch(events.map(\.json), headers: [("X-Tenant-ID", client.tenant)]))
            let letters = try client.letters(count: 5)
            #expect(Set(letters.compactMap { $0["event"]["id"].string }) == Set(events.map(\.id)))
            #expect(letters.allSatisfy { $0["reason"].string == "rejected" && $0["attempts"].int == 1 })
        }

        @Test func `one batch that fails is one failure of its sink, and no circuit breaker opens for it`() throws {
            let client = try DeliveryPool.client()
            let receiver = try WebhookReceiver { _, before in .status(before == 0 ? 503 : 200) }
            try client.push(to: receiver, config: [#""batch":{"maxEvents":10,"maxWait":5},"backoff":[1]"#])
            let events = (0..<10).map { _ in TestEvent() }
            _ = try client.stack.exchange(batch(events.map(\.json), headers: [("X-Tenant-ID", client.tenant)]))
            #expect(receiver.hasGot(1))
            try #require(receiver.posts[0].json.items.count == 10)
            let hasFailed = try waitUntil(timeout: .seconds(30)) {
                try client.status("s")["lastError"]["message"].string != nil
            }
            #expect(hasFailed)
            let status = try client.status("s")
            #expect(status["breaker"].string == "closed", "\(status.text)")
        }

        @Test func `every credential and header reaches its own sink only, on connections that are used again`() throws
        {
            let client = try DeliveryPool.client()
            let receiver = try WebhookReceiver()
            let credentials = [
                ("plain", #"{"credentialtype":"PLAIN","identifier":"user","secret":"s3cret-p"}"#),
                ("token", #"{"credentialtype":"ACCESSTOKEN","accesstoken":"s3cret-t","accesstokentype":"Bearer"}"#),
                ("header", #"{"credentialtype":"HEADER","name":"X-Api-Key","value":"s3cret-h"}"#),
            ]
            for (id, credential) in credentials {
                try client.subscribe(
                    id,
                    DeliveryClient.hook(
                        "http://127.0.0.1:\(receiver.port)/\(id)",
                        [
                            "\"sinkcredential\":\(credential)",
                            "\"protocolsettings\":{\"headers\":{\"X-Sink\":\"\(id)\",\"User-Agent\":\"tests\"}}",
                        ]
                    )
                )
            }
            try client.subscribe("none", DeliveryClient.hook("http://127.0.0.1:\(receiver.port)/none"))
            for _ in 0..<10 { try client.publish(TestEvent()) }
            #expect(receiver.hasGot(40))
            let basic = "Basic " + Data("user:s3cret-p".utf8).base64EncodedString()
            let expected = [
                "/plain": [basic, nil, "plain"], "/token": ["Bearer s3cret-t", nil, "token"],
                "/header": [nil, "s3cret-h", "header"], "/none": [nil, nil, nil],
            ]
            for post in receiver.posts {
                let found = [post["authorization"], post["x-api-key"], post["x-sink"]]
                #expect(found == expected[post.target], "S-11: \(post.target)")
            }
            for target in expected.keys { #expect(receiver.posts.count { $0.target == target } == 10, "\(target)") }
        }

        @Test func `headers that are not the subscription's to set are refused, all at once`() throws {
            let client = try DeliveryPool.client()
            let names = [
                "Content-Type", "content-length", "ce-id", "Host", "Authorization", "Webhook-Signature", "Connection",
                "Transfer-Encoding", "traceparent", "bad name", "Bad:Name",
            ]
            let fields = names.map { "\(quoted($0)):\"v\"" } + [#""X-Split":"a\r\nX-Forged: b""#]
            let answer = try client.call(
                "POST",
                "/v1/subscriptions",
                DeliveryClient.hook(
                    "http://127.0.0.1:9000/",
                    ["\"protocolsettings\":{\"headers\":{\(fields.joined(separator: ","))}}"]
                )
            )
            #expect(answer.status == 400)
            let wanted = (names + ["X-Split"]).map { "/protocolsettings/headers/\($0)" }
            #expect(Set(answer.pointers).isSuperset(of: wanted), "\(answer.text)")
        }

        @Test(arguments: NATSServer.available)
        func `the trace of the publisher goes on in the delivery`(binary: NATSServer.Binary) throws {
            let client = try DeliveryPool.client(binary)
            let receiver = try WebhookReceiver()
            try client.push(to: receiver)
            let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
            let answer = try client.stack.exchange(
                TestEvent().structured(headers: [
                    ("X-Tenant-ID", client.tenant), ("traceparent", "00-\(trace)-00f067aa0ba902b7-01"),
                    ("tracestate", "vendor=1"),
                ])
            )
            try #require(answer.status == 202)
            #expect(receiver.hasGot(1))
            let parent = receiver.posts.first?["traceparent"] ?? ""
            #expect(parent.hasPrefix("00-\(trace)-") && parent.count == 55, "\(parent)")
            #expect(receiver.posts.first?["tracestate"] == "vendor=1")
        }
    }
}
