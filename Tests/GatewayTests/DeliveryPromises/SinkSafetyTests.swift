import ServerFixtures
import Testing

extension EndToEnd {
    /// What a sink can never make the gateway do (S-05, S-06).
    @Suite(.serialized, .deliveryStacks) struct SinkSafetyTests {
        @Test(arguments: [300, 301, 302, 303, 304, 307, 308])
        func `S-06: a redirect is a failure and is never followed`(status: Int) throws {
            let client = try DeliveryPool.client()
            let canary = try WebhookReceiver()
            let receiver = try WebhookReceiver { _, _ in .status(status, fields: [("Location", canary.url)]) }
            try client.push(to: receiver, [#""sinkcredential":{"credentialtype":"ACCESSTOKEN","accesstoken":"t"}"#])
            try client.publish(TestEvent())
            let letter = try client.letters()[0]
            #expect(letter["reason"].string == "rejected")
            #expect(letter["lastStatus"].int == status)
            #expect(receiver.posts.count == 1)
            #expect(canary.requests.isEmpty)
        }

        @Test func `S-05: no spelling of an address that is not public gets in, as a sink or as a dead letter sink`()
            throws
        {
            let client = try DeliveryClient.make(settings: [:])
            let hosts = [
                // 127.0.0.1 as inet_aton and browsers read it.
                "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001",
                "127.0.0.1.", "0x7F.0.0.0x1", "%31%32%37.0.0.1", "127%2e0.0.1", "１２７.0.0.1", "127。0。0。1", "0",
                "0.0.0.0",
                "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]",
                "[64:ff9b::7f00:1]", "[64:ff9b::10.0.0.1]", "[2002:7f00:1::]", "[2002:a00:1::1]", "[::1%25lo]",
                "[fe80::1]", "[fe80::1%25eth0]", "[fc00::1]", "[fd12:3456::1]", "[ff02::1]", "[fec0::1]",
                "[2001:db8::1]", "[100::1]", "10.0.0.1", "10.1", "100.64.0.1", "169.254.169.254", "0xa9fea9fe",
                "2852039166", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.168.0.1", "198.18.0.1",
                "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "localhost", "LOCALHOST",
                "localhost.", "[example.com]", "example.com@127.0.0.1", "127.0.0.1#@example.com", "127.0.0.1\\\\@a.com",
            ]
            for host in hosts {
                let sink = "https://\(host)/"
                let asSink = try client.call("POST", "/v1/subscriptions", #"{"protocol":"HTTP","sink":"\#(sink)"}"#)
                #expect(asSink.status == 400, "\(host): \(asSink.text)")
                #expect(asSink.pointers == ["/sink"], "\(host): \(asSink.text)")
                let body = #"{"protocol":"PULL","config":{"deadLetter":{"sink":"\#(sink)"}}}"#
                let forLetters = try client.call("POST", "/v1/subscriptions", body)
                #expect(forLetters.status == 400, "\(host): \(forLetters.text)")
                #expect(forLetters.pointers == ["/config/deadLetter/sink"], "\(host): \(forLetters.text)")
            }
            #expect(try client.call("GET", "/v1/subscriptions").json["items"].items.isEmpty)
        }

        @Test func `S-08: a dead letter sink that has not consented is sent nothing`() async throws {
            let client = try DeliveryClient.make(
                settings: DeliveryPool.settings.merging(["SINK_HANDSHAKE": "required"]) { $1 }
            )
            // It answers every OPTIONS with 200, which is no consent.
            let victim = try WebhookReceiver(status: 200)
            let body = "{\"protocol\":\"PULL\",\"config\":{\"deadLetter\":{\"sink\":\(quoted(victim.url))}}}"
            let made = try client.call("PUT", "/v1/subscriptions/s", body)
            if made.status == 400 { return #expect(made.pointers == ["/config/deadLetter/sink"], "\(made.text)") }
            try client.publish(TestEvent())
            let event = try client.receive("s")
            #expect(try client.settle("s", "reject", event).json["succeededLockTokens"].items.count == 1)
            #expect(try client.letters().count == 1)
            await letPass(.seconds(2))
            #expect(victim.posts.isEmpty, "whoever rejects events can have anybody's server called")
        }

        @Test func `S-05: a name that leads to an address that is not allowed any more is not connected to`() throws {
            let client = try DeliveryClient.make(
                settings: DeliveryPool.settings.merging(["SINK_ALLOW_NETWORKS": "127.0.0.0/8,::1/128"]) { $1 }
            )
            let canary = try #require(TestSocket.listen(port: 0))
            let hook = DeliveryClient.hook(
                "http://localhost:\(canary.localPort)/",
                config: [#""maxAttempts":3,"backoff":[0]"#]
            )
            try client.subscribe("s", hook)
            try client.subscribe("literal", hook.replacing("localhost", with: "127.0.0.1"))
            client.stack.gateway.kill()
            // What was allowed when the subscription was made is judged again before every connection.
            let strict = try GatewayProcess(
                natsURL: client.stack.server.url,
                settings: ["SINK_ALLOW_HTTP": "true", "SINK_HANDSHAKE": "off"]
            )
            let event = TestEvent()
            let headers = [("X-Tenant-ID", client.tenant)]
            #expect(try strict.exchange(event.structured(headers: headers)).status == 202)
            for id in ["s", "literal"] {
                var letters: [WireJSON] = []
                let came = try waitUntil(timeout: .seconds(60)) {
                    let list = HTTPRequest("GET", "/v1/dead-letters?subscription=\(id)", headers: headers)
                    letters = try strict.exchange(list).json["items"].items
                    return !letters.isEmpty
                }
                #expect(came, "\(id): nothing ends in silence")
                #expect(letters.first?["event"]["id"].string == event.id)
                #expect(
                    letters.first?["lastError"].string?.contains("loopback") == true,
                    "\(letters.first?.text ?? "")"
                )
            }
            #expect(canary.accept(timeoutMilliseconds: 0) == nil, "there was a connection")
            let again = try strict.exchange(
                HTTPRequest("PUT", "/v1/subscriptions/new", headers: headers, body: Array(hook.utf8))
            )
            #expect([400, 415].contains(again.status), "\(again.text)")
        }
    }
}
