import ServerFixtures
import Testing

extension EndToEnd {
    /// `/metrics` about deliveries (S-19, R-32).
    @Suite(.serialized) struct DeliveryMetricsTests {
        private static func page(_ client: DeliveryClient) throws -> MetricsPage {
            try MetricsPage(client.stack.gateway.get("/metrics"))
        }

        /// The series of one subscription, by the metric's name without `sluice_`.
        private static func series(_ client: DeliveryClient, _ id: String) throws -> (String) -> Double? {
            let page = try page(client)
            return { page["sluice_\($0){subscription=\"\(client.tenant)/\(id)\"}"] }
        }

        @Test(arguments: NATSServer.available)
        func `R-32: the series of deliveries equal what the receivers saw`(binary: NATSServer.Binary) throws {
            let client = try DeliveryClient.make(binary)
            let well = try WebhookReceiver(status: 200)
            let ill = try WebhookReceiver { _, before in .status(before.isMultiple(of: 2) ? 503 : 204) }
            let (dead, picky) = (try WebhookReceiver(status: 500), try WebhookReceiver(status: 422))
            try client.push("well", to: well)
            try client.push("ill", to: ill, config: [#""backoff":[0],"maxAttempts":50,"maxInFlight":1"#])
            try client.push("dead", to: dead, config: [#""maxAttempts":2,"backoff":[0]"#])
            try client.push("picky", to: picky, [#""filters":[{"suffix":{"subject":".yes"}}]"#])
            for number in 0..<4 {
                var event = TestEvent()
                event.attributes = [("subject", quoted(number == 0 ? "a.yes" : "a.no"))]
                try client.publish(event)
            }
            for id in ["well", "ill", "dead", "picky"] { #expect(try client.isSettled(id), "\(id)") }
            // deliveries, attempts, failures, retries, dead letters, skipped
            let expected: [(String, WebhookReceiver, [Double])] = [
                ("well", well, [4, 4, 0, 0, 0, 0]), ("ill", ill, [4, 8, 4, 4, 0, 0]),
                ("dead", dead, [0, 8, 8, 4, 4, 0]), ("picky", picky, [0, 1, 1, 0, 1, 3]),
            ]
            let names = [
                "deliveries_total", "delivery_attempts_total", "delivery_failures_total", "delivery_retries_total",
                "delivery_dead_letters_total", "delivery_skipped_total",
            ]
            for (id, receiver, values) in expected {
                let agrees = try waitUntil(timeout: .seconds(30)) {
                    let value = try Self.series(client, id)
                    return names.map(value) == values
                }
                let value = try Self.series(client, id)
                #expect(agrees, "\(id): \(names.map { "\($0) \(value($0) ?? -1)" })")
                #expect(value("delivery_attempts_total") == Double(receiver.posts.count), "\(id)")
                #expect(value("delivery_in_flight") == 0 && value("delivery_breakers_open") == 0, "\(id)")
                #expect((value("delivery_attempt_seconds_total") ?? 0) > 0, "\(id)")
            }
            let page = try Self.page(client)
            let posts = [well, ill, dead, picky].reduce(0) { $0 + $1.posts.count }
            #expect(page["sluice_delivery_attempt_duration_seconds_count"] == Double(posts))
            #expect(page["sluice_dead_letters_total{reason=\"retries-exhausted\"}"] == 4)
            #expect(page["sluice_dead_letters_total{reason=\"rejected\"}"] == 1)
            #expect(page["sluice_subscriptions{state=\"active\"}"] == 4)
            let verdict = try Program.run(
                "promtool",
                ["check", "metrics"],
                input: client.stack.gateway.get("/metrics").body
            )
            #expect(verdict.status == 0 && verdict.output.isEmpty, "\(verdict.output)")
        }

        @Test func `what waits is shown with its age, and a subscription that is gone waits for nothing`() throws {
            let client = try DeliveryClient.make()
            try client.subscribe("pull", #"{"protocol":"PULL"}"#)
            try client.subscribe("native", #"{"protocol":"NATS"}"#)
            for _ in 0..<3 { try client.publish(TestEvent()) }
            for id in ["pull", "native"] {
                let isShown = try waitUntil(timeout: .seconds(60)) {
                    let value = try Self.series(client, id)
                    return value("subscription_pending") == 3 && (value("subscription_oldest_age_seconds") ?? 0) >= 1
                }
                #expect(isShown, "\(id)")
                #expect(try client.call("DELETE", "/v1/subscriptions/\(id)").status == 204)
            }
            for id in ["pull", "native"] {
                let isGone = try waitUntil(timeout: .seconds(40)) {
                    let value = try Self.series(client, id)
                    return (value("subscription_pending") ?? 0) == 0
                        && (value("subscription_oldest_age_seconds") ?? 0) == 0
                }
                #expect(isGone, "\(id): an alert on its age would never end")
            }
        }

        @Test func `R-22: a dead letter that cannot be stored is counted, and the fill of their stream is shown`()
            throws
        {
            let settings = ["DEAD_LETTER_MAX_BYTES": "4096", "MAX_AGE": "7200"]
            let client = try DeliveryClient.make(settings: DeliveryPool.settings.merging(settings) { $1 })
            let receiver = try WebhookReceiver(status: 400)
            try client.push(to: receiver)
            var events = [TestEvent(), TestEvent()]
            for index in events.indices { events[index].data = quoted(String(repeating: "x", count: 2500)) }
            for event in events { try client.publish(event) }
            let failures = "delivery_dead_letter_failures_total"
            #expect(try waitUntil(timeout: .seconds(60)) { (try Self.series(client, "s")(failures) ?? 0) >= 1 })
            #expect(try Self.series(client, "s")("delivery_dead_letters_total") == 1)
            let fill = "sluice_stream_fill_ratio{stream=\"SLUICE_DEAD_LETTERS\"}"
            #expect(try waitUntil(timeout: .seconds(60)) { (try Self.page(client)[fill] ?? 0) > 0.5 })
            let page = try Self.page(client)
            #expect(page["sluice_stream_messages{stream=\"SLUICE_DEAD_LETTERS\"}"] == 1)
            #expect(page["sluice_event_max_age_seconds"] == 7200)
        }

        @Test func `R-22: a dead letter of a native consumer that cannot be stored is counted`() throws {
            let settings = ["DEAD_LETTER_MAX_BYTES": "64"]
            let client = try DeliveryClient.make(settings: DeliveryPool.settings.merging(settings) { $1 })
            try client.subscribe("n", #"{"protocol":"NATS"}"#)
            let binding = try client.call("GET", "/v1/subscriptions/n").json["protocolsettings"]
            let natives = try NativeClients(1, url: client.stack.server.url, binding: binding)
            try client.publish(TestEvent(type: "com.example.poison"))
            #expect(natives.haveMet(1), "\(natives.log)")
            let failures = "delivery_dead_letter_failures_total"
            #expect(try waitUntil(timeout: .seconds(60)) { (try Self.series(client, "n")(failures) ?? 0) >= 1 })
            #expect(try client.deadLetters("n").isEmpty)
        }

        @Test func `a gateway says whether it can deliver`() throws {
            let client = try DeliveryClient.make()
            let ready = "sluice_delivery_ready"
            #expect(try waitUntil(timeout: .seconds(30)) { try Self.page(client)[ready] == 1 })
            client.stack.server.kill()
            #expect(waitUntil(timeout: .seconds(30)) { (try? Self.page(client))?[ready] == 0 })
            try client.stack.server.start()
            #expect(waitUntil(timeout: .seconds(60)) { (try? Self.page(client))?[ready] == 1 })
        }

        @Test func `S-19: 250 subscriptions have 200 names, and the rest are other`() throws {
            let client = try DeliveryClient.make()
            for number in 0..<250 { try client.subscribe("s\(number)", #"{"protocol":"PULL"}"#) }
            try client.publish(TestEvent())
            let pending = "sluice_subscription_pending"
            let isComplete = try waitUntil(timeout: .seconds(90)) { try Self.page(client).sum(pending) == 250 }
            let answer = try client.stack.gateway.get("/metrics")
            let page = try MetricsPage(answer)
            #expect(isComplete, "\(page.sum(pending))")
            #expect(page[pending + "{subscription=\"other\"}"] == 50)
            for (name, _) in page.types {
                let labelled = page.series(name).filter { $0.contains("{subscription=") }
                #expect([0, 201].contains(labelled.count), "\(name): \(labelled.count)")
            }
            #expect(page["sluice_subscriptions{state=\"active\"}"] == 250)
            #expect(answer.body.count < 1_000_000)
        }
    }
}
