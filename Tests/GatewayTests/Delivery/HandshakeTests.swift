import ServerFixtures
import Testing

extension EndToEnd {
    /// S-08: nothing is sent to a sink that has not consented (CloudEvents webhooks §4, HOOK-16 to HOOK-28).
    @Suite(.serialized) struct HandshakeTests {
        private static let settings = [
            "SINK_ALLOW_NETWORKS": "127.0.0.0/8", "SINK_ALLOW_HTTP": "true", "SINK_HANDSHAKE": "required",
            "SINK_ORIGIN": "gateway.example", "PUBLIC_URL": "https://gateway.example/base/",
        ]

        private static func client() throws -> DeliveryClient {
            try DeliveryClient.make(settings: settings)
        }

        private static func hook(_ receiver: WebhookReceiver) -> String {
            #"{"protocol":"HTTP","sink":"\#(receiver.url)"}"#
        }

        @Test func `consent is the header alone, and its rate and origin are kept`() throws {
            let client = try Self.client()
            let receiver = try WebhookReceiver { request, _ in
                guard request.method == "OPTIONS" else { return .status(204) }
                return .status(
                    405,
                    fields: [("WebHook-Allowed-Origin", "gateway.example"), ("WebHook-Allowed-Rate", "600")]
                )
            }
            let made = try client.call("POST", "/v1/subscriptions", Self.hook(receiver))
            #expect(made.status == 201)
            #expect(made.json["state"].string == "active", "\(made.text)")
            #expect(made.json["consent"]["ratePerMinute"].int == 600)
            let asked = try #require(receiver.handshakes.first)
            #expect(asked.target == "/sink")
            #expect(asked["webhook-request-origin"] == "gateway.example")
            let callback = try #require(asked["webhook-request-callback"])
            #expect(callback.hasPrefix("https://gateway.example/base/v1/consents/"))
            try client.publish(TestEvent())
            #expect(waitUntil(timeout: .seconds(30)) { receiver.posts.count == 1 })
            #expect(receiver.posts.first?["webhook-request-origin"] == "gateway.example", "HOOK-04")
            #expect(receiver.handshakes.count == 1)
        }

        @Test
        func `a 200 without the header is no consent: nothing is sent, nothing is lost, and the sink is asked again`()
            throws
        {
            let client = try Self.client()
            let consents = Shared(false)
            let receiver = try WebhookReceiver { request, _ in
                guard request.method == "OPTIONS", consents.current else {
                    return .status(200, fields: [("Allow", "POST")])
                }
                return .status(200, fields: [("WebHook-Allowed-Origin", "*")])
            }
            let made = try client.call("PUT", "/v1/subscriptions/s", Self.hook(receiver))
            #expect(made.status == 201)
            #expect(made.json["state"].string == "awaiting-consent", "\(made.text)")
            #expect(made.json["stateReason"].string?.contains("WebHook-Allowed-Origin") == true, "\(made.text)")
            let event = TestEvent()
            try client.publish(event)
            #expect(try client.unsettled("s") == 1)
            #expect(receiver.posts.isEmpty)
            consents.withLock { $0 = true }
            #expect(waitUntil(timeout: .seconds(60)) { receiver.posts.count == 1 })
            #expect(receiver.posts.first?["ce-id"] == event.id)
            #expect(try client.call("GET", "/v1/subscriptions/s").json["state"].string == "active")
            #expect(receiver.handshakes.dropFirst().allSatisfy { $0["webhook-request-callback"] == nil })
        }

        @Test(arguments: ["GET", "POST"])
        func `a callback consents once, with its rate`(method: String) throws {
            let client = try Self.client()
            let receiver = try WebhookReceiver { _, _ in .status(200) }
            try client.subscribe("s", Self.hook(receiver))
            let callback = try #require(receiver.handshakes.first?["webhook-request-callback"])
            let path = "/v1/consents/" + (callback.split(separator: "/").last ?? "")
            let stack = client.stack
            for wrong in [String(path.dropLast()) + (path.hasSuffix("A") ? "B" : "A"), "/v1/consents/x", path + "x"] {
                #expect(try stack.exchange(HTTPRequest(method, wrong)).status == 404, "\(wrong)")
            }
            #expect(try stack.exchange(HTTPRequest("HEAD", path)).status == 405)
            #expect(
                try stack.exchange(HTTPRequest(method, path, headers: [("WebHook-Allowed-Rate", "0")])).status == 400
            )
            #expect(try client.call("GET", "/v1/subscriptions/s").json["state"].string == "awaiting-consent")
            let granted = try stack.exchange(HTTPRequest(method, path, headers: [("WebHook-Allowed-Rate", "60")]))
            #expect(granted.status == 200, "\(granted.text)")
            #expect(granted.json["state"].string == "active")
            let shown = try client.call("GET", "/v1/subscriptions/s").json
            #expect(shown["state"].string == "active")
            #expect(shown["consent"]["ratePerMinute"].int == 60)
            #expect(try stack.exchange(HTTPRequest(method, path)).status == 404, "single use")
            try client.publish(TestEvent())
            #expect(waitUntil(timeout: .seconds(30)) { receiver.posts.count == 1 })
        }

        @Test func `S-08: the sink gets no more requests than it has allowed, and all of them in the end`() throws {
            let client = try Self.client()
            let receiver = try WebhookReceiver { request, _ in
                guard request.method == "OPTIONS" else { return .status(204) }
                return .status(200, fields: [("WebHook-Allowed-Origin", "*"), ("WebHook-Allowed-Rate", "60")])
            }
            try client.subscribe("s", Self.hook(receiver))
            let clock = ContinuousClock()
            let start = clock.now
            let events = (0..<5).map { _ in TestEvent() }
            for event in events { try client.publish(event) }
            var excess = 0.0
            let came = waitUntil(timeout: .seconds(120)) {
                let count = receiver.posts.count
                // One at once, and one for each second since then: however slow this machine is, never more.
                excess = max(excess, Double(count) - 1 - (clock.now - start) / .seconds(1))
                return count >= events.count
            }
            #expect(came)
            #expect(excess <= 0)
            #expect(Set(receiver.posts.compactMap { $0["ce-id"] }) == Set(events.map(\.id)))
        }

        @Test func `another sink is asked again, the same one is not`() throws {
            let client = try Self.client()
            let first = try WebhookReceiver { _, _ in .status(200, fields: [("WebHook-Allowed-Origin", "*")]) }
            let second = try WebhookReceiver { _, _ in .status(200) }
            try client.subscribe("s", Self.hook(first))
            try client.subscribe("s", #"{"protocol":"HTTP","sink":"\#(first.url)","types":["com.example.tested"]}"#)
            #expect(first.handshakes.count == 1)
            let moved = try client.call("PUT", "/v1/subscriptions/s", Self.hook(second))
            #expect(moved.status == 200)
            #expect(moved.json["state"].string == "awaiting-consent")
            #expect(moved.json["consent"].isNull)
            try client.publish(TestEvent())
            #expect(second.handshakes.count >= 1)
            #expect(try client.call("POST", "/v1/subscriptions/s:pause").json["state"].string == "paused")
            let asked = second.handshakes.count
            #expect(try client.call("POST", "/v1/subscriptions/s:resume").json["state"].string == "awaiting-consent")
            #expect(second.handshakes.count > asked, "resume asks again")
            #expect(second.handshakes.last?["webhook-request-callback"] != nil)
            #expect(second.posts.isEmpty && first.posts.isEmpty)
        }

        @Test func `a sink that hangs or is away does not hold up who subscribes for long`() throws {
            let client = try DeliveryClient.make(settings: Self.settings.merging(["SINK_TIMEOUT": "1"]) { $1 })
            let hanging = try WebhookReceiver { _, _ in .hang }
            let away = try freePort()
            for sink in [hanging.url, "http://127.0.0.1:\(away)/"] {
                let made = try client.call("POST", "/v1/subscriptions", #"{"protocol":"HTTP","sink":"\#(sink)"}"#)
                #expect(made.status == 201, "\(made.text)")
                #expect(made.json["state"].string == "awaiting-consent")
                #expect(made.json["stateReason"].string?.isEmpty == false)
            }
        }
    }
}
