import ServerFixtures
import Testing

extension EndToEnd {
    /// What became of deliveries, in the counters of tenants (R-32).
    @Suite(.serialized) struct DeliveryCounterTests {
        private static let names = ["delivered", "failed", "retried", "deadLettered"]

        private static func counts(_ client: DeliveryClient, _ gateway: GatewayProcess) throws -> [Int?] {
            let report = try gateway.get("/v1/tenants/\(client.tenant)/metrics").json
            return names.map { report["deliveries"][$0].int }
        }

        /// A tenant of a gateway of its own that knows its subscriptions.
        private static func client(_ settings: [String: String]) throws -> DeliveryClient {
            try DeliveryClient.make(settings: settings)
        }

        /// Receives so many events of the subscription `s`.
        private static func receive(_ count: Int, _ client: DeliveryClient) throws -> [WireJSON] {
            var events: [WireJSON] = []
            _ = try waitUntil(timeout: .seconds(60)) {
                events += try client.receive("s", max: count - events.count, wait: 5)
                return events.count == count
            }
            try #require(events.count == count)
            return events
        }

        private static func settle(_ verb: String, _ events: [WireJSON], _ client: DeliveryClient) throws {
            let answer = try client.settle("s", verb, events)
            try #require(answer.json["succeededLockTokens"].items.count == events.count, "\(answer.text)")
        }

        @Test func `deliveries are counted for their tenant, over changes, and to the last when the gateway stops`()
            throws
        {
            let redis = try RedisServer()
            let settings = DeliveryPool.settings.merging(["REDIS_URL": redis.url]) { $1 }
            let client = try Self.client(settings)
            let stack = client.stack
            #expect(try Self.counts(client, stack.gateway) == [0, 0, 0, 0])
            try client.subscribe("s", #"{"protocol":"PULL"}"#)
            for _ in 0..<4 { try client.publish(TestEvent()) }
            let events = try Self.receive(4, client)
            try Self.settle("acknowledge", Array(events[..<2]), client)
            try Self.settle("reject", [events[2]], client)
            try Self.settle("release", [events[3]], client)
            try Self.settle("acknowledge", try Self.receive(1, client), client)
            #expect(waitUntil(timeout: .seconds(60)) { (try? Self.counts(client, stack.gateway)) == [3, 0, 1, 1] })

            // Another worker takes over, which has counted nothing yet.
            try client.subscribe("s", #"{"protocol":"PULL","config":{"maxInFlight":7}}"#)
            try client.publish(TestEvent())
            try Self.settle("acknowledge", try Self.receive(1, client), client)
            #expect(waitUntil(timeout: .seconds(60)) { (try? Self.counts(client, stack.gateway)) == [4, 0, 1, 1] })

            try client.publish(TestEvent())
            try Self.settle("acknowledge", try Self.receive(1, client), client)
            stack.gateway.terminate()
            #expect(stack.gateway.waitForExit())
            let next = try GatewayProcess(natsURL: stack.server.url, settings: settings)
            #expect(try Self.counts(client, next) == [5, 0, 1, 1], "counted before the gateway ended")
            let listed = try next.get("/v1/stats").json["items"].items
            #expect(listed.first { $0["tenant"].string == client.tenant }?["deliveries"]["delivered"].int == 5)
        }

        @Test func `failed attempts of a webhook are counted for the tenant of the subscription`() throws {
            let redis = try RedisServer()
            let settings = DeliveryPool.settings.merging(["REDIS_URL": redis.url]) { $1 }
            let client = try Self.client(settings)
            let receiver = try WebhookReceiver { _, _ in .status(503) }
            let config = #""config":{"maxAttempts":3,"backoff":[1]}"#
            try client.subscribe("s", "{\"protocol\":\"HTTP\",\"sink\":\"\(receiver.url)\",\(config)}")
            try client.publish(TestEvent())
            #expect(
                waitUntil(timeout: .seconds(60)) { (try? Self.counts(client, client.stack.gateway)) == [0, 3, 2, 1] }
            )
        }
    }
}
