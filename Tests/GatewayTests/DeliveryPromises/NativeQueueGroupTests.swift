import ServerFixtures
import Testing

extension EndToEnd {
    /// Protocol NATS: clients that know nothing of Sluice share a subscription's work.
    @Suite(.serialized, .deliveryStacks) struct NativeQueueGroupTests {
        /// Makes a subscription and returns how to bind.
        private static func bind(_ client: DeliveryClient, _ id: String, _ members: String) throws -> WireJSON {
            let answer = try client.call("PUT", "/v1/subscriptions/\(id)", "{\"protocol\":\"NATS\",\(members)}")
            try #require(answer.status == 201, "\(answer.text)")
            return answer.json["protocolsettings"]
        }

        @Test(arguments: NATSServer.available)
        func `several nats-py clients join the durable that the answer names, and share the work`(
            binary: NATSServer.Binary
        ) throws {
            let client = try DeliveryPool.client(binary)
            let binding = try Self.bind(client, "n", #""types":["com.example.work.*"]"#)
            #expect(binding["stream"].string == "SLUICE_EVENTS")
            #expect(binding["subject"].string == "ce.\(client.tenant).*.com.example.work.*")
            let events = (0..<60).map { _ in TestEvent(type: "com.example.work.done") }
            for event in events.prefix(30) { try client.publish(event) }
            for type in ["com.example.work", "com.example.work.a.b", "com.example.other"] {
                try client.publish(TestEvent(type: type))
            }
            #expect(try client.status("n")["pending"].int == 30)
            let native = try NativeClients(3, url: client.stack.server.url, binding: binding)
            #expect(native.haveMet(30), "\(native.log)")
            for event in events.dropFirst(30) { try client.publish(event) }
            #expect(native.haveMet(60), "\(native.log)")
            #expect(try client.isSettled("n"))
            #expect(native.met.map(\.id).sorted() == events.map(\.id).sorted(), "each once")
            #expect(Set(native.met.map(\.client)) == [0, 1, 2])
            #expect(try client.deadLetters("n").isEmpty)
        }

        @Test(arguments: NATSServer.available)
        func `what native clients terminate or never acknowledge becomes a dead letter with that reason`(
            binary: NATSServer.Binary
        ) throws {
            let client = try DeliveryPool.client(binary)
            let binding = try Self.bind(
                client,
                "n",
                #""types":["com.example.mixed.*"],"config":{"maxAttempts":2,"ackWait":1}"#
            )
            let types = ["good", "poison", "ignored", "good"]
            let events = types.map { TestEvent(type: "com.example.mixed.\($0)") }
            let sequences = try events.map { try client.publish($0)[0] }
            let native = try NativeClients(2, url: client.stack.server.url, binding: binding)
            let letters = try client.letters("n", count: 2)
            #expect(native.met.map(\.id).sorted() == (events + [events[2]]).map(\.id).sorted(), "the ignored one twice")
            let byID = Dictionary(letters.map { ($0["event"]["id"].string ?? "", $0) }) { first, _ in first }
            #expect(byID.count == 2)
            let terminated = try #require(byID[events[1].id])
            #expect(terminated["reason"].string == "terminated")
            #expect(terminated["attempts"].int == 1)
            #expect(terminated["originalSequence"].int == sequences[1])
            let ignored = try #require(byID[events[2].id])
            #expect(ignored["reason"].string == "maxdeliveries")
            #expect(ignored["attempts"].int == 2)
            #expect(ignored["originalSequence"].int == sequences[2])
            #expect(ignored["event"].text == (try WireJSON(parsing: Array(events[2].json.utf8))).text)

            let redriven = try client.call("POST", "/v1/dead-letters:redrive", #"{"filter":{"reason":"terminated"}}"#)
            #expect(redriven.json["redriven"].int == 1, "\(redriven.text)")
            #expect(native.haveMet(6), "\(native.log)")
            #expect(native.met.last?.id == events[1].id)
            let isBack = try waitUntil(timeout: .seconds(30)) {
                try client.deadLetters("n").contains { $0["redriveCount"].int == 1 }
            }
            #expect(isBack, "terminated again, and counted")
        }

        @Test(arguments: NATSServer.available)
        func `what native clients gave up is counted by reason like all dead letters`(
            binary: NATSServer.Binary
        ) throws {
            let client = try DeliveryPool.client(binary)
            let binding = try Self.bind(client, "n", #""types":["com.example.counted.*"]"#)
            try client.publish(TestEvent(type: "com.example.counted.poison"))
            let native = try NativeClients(1, url: client.stack.server.url, binding: binding)
            #expect(try client.letters("n").count == 1, "\(native.log)")
            let series = "sluice_dead_letters_total{reason=\"terminated\"}"
            let isCounted = try waitUntil(timeout: .seconds(20)) {
                (try MetricsPage(client.stack.gateway.get("/metrics"))[series] ?? 0) >= 1
            }
            #expect(isCounted, "R-32: the stream holds a dead letter that the metrics deny")
        }

        @Test(arguments: NATSServer.available)
        func `a dead letter sink gets what native clients gave up too`(binary: NATSServer.Binary) throws {
            let client = try DeliveryPool.client(binary)
            let letters = try WebhookReceiver()
            let members =
                "\"types\":[\"com.example.sunk.*\"],\"config\":{\"deadLetter\":{\"sink\":\(quoted(letters.url))}}"
            let answer = try client.call("PUT", "/v1/subscriptions/n", "{\"protocol\":\"NATS\",\(members)}")
            // To refuse it would be as honest; to take it and do nothing is not.
            if answer.status == 400 { return #expect(answer.pointers.contains("/config/deadLetter/sink")) }
            try client.publish(TestEvent(type: "com.example.sunk.poison"))
            let native = try NativeClients(1, url: client.stack.server.url, binding: answer.json["protocolsettings"])
            #expect(try client.letters("n").count == 1, "\(native.log)")
            #expect(letters.hasGot(1, timeout: .seconds(20)))
            #expect(letters.posts.first?["sluice-reason"] == "terminated")
        }

        @Test(arguments: NATSServer.available)
        func `a native subscription is never called paused while its clients go on`(
            binary: NATSServer.Binary
        ) async throws {
            let client = try DeliveryPool.client(binary)
            let binding = try Self.bind(client, "n", #""types":["com.example.paused.*"]"#)
            let paused = try client.call("POST", "/v1/subscriptions/n:pause")
            let native = try NativeClients(1, url: client.stack.server.url, binding: binding)
            let event = TestEvent(type: "com.example.paused.a")
            try client.publish(event)
            if paused.status == 200 {
                // With this many seconds every client that may would have met it.
                await letPass(.seconds(3))
                let state = try client.status("n")["state"].string ?? ""
                #expect(native.met.isEmpty, "\(state), and delivered")
            } else {
                #expect(paused.status == 409, "\(paused.text)")
                #expect(try client.status("n")["state"].string == "active")
                #expect(native.haveMet(1), "\(native.log)")
            }
        }

        @Test(arguments: NATSServer.available)
        func `a filter that the server cannot decide in full is refused, and the answer says why`(
            binary: NATSServer.Binary
        ) throws {
            let client = try DeliveryPool.client(binary)
            let refused = [
                (#""source":"/a""#, "/source", "source"),
                (#""filters":[{"suffix":{"subject":".jpg"}}]"#, "/filters", "filters"),
                (#""filters":[{"exact":{"priority":"high"}}]"#, "/filters", "filters"),
                (#""types":["com.a"],"filters":[{"not":{"exact":{"type":"com.b"}}}]"#, "/filters", "filters"),
                (##""types":["#.completed"]"##, "/types", "'#'"),
            ]
            for (members, pointer, word) in refused {
                let answer = try client.call("PUT", "/v1/subscriptions/n", "{\"protocol\":\"NATS\",\(members)}")
                #expect(answer.status == 400, "\(members): \(answer.text)")
                #expect(answer.pointers.contains(pointer), "\(members): \(answer.text)")
                let detail = answer.json["violations"][0]["detail"].string ?? ""
                #expect(detail.contains("the server alone decides") && detail.contains(word), "\(answer.text)")
            }
            #expect(try client.call("GET", "/v1/subscriptions/n").status == 404)
            // Two types are two subjects: nats-server takes them from 2.10 on.
            let two = try client.call(
                "PUT",
                "/v1/subscriptions/two",
                #"{"protocol":"NATS","types":["com.example.a","org.example.b"]}"#
            )
            if binary.version.hasPrefix("2.9.") {
                #expect(two.status == 400, "\(two.text)")
                #expect(two.text.contains("several filter subjects"), "\(two.text)")
            } else {
                #expect(two.status == 201, "\(two.text)")
                let subjects = two.json["protocolsettings"]["subjects"].items.compactMap(\.string)
                #expect(subjects == ["ce.\(client.tenant).*.com.example.a", "ce.\(client.tenant).*.org.example.b"])
                for type in ["com.example.a", "com.example.c", "org.example.b"] {
                    try client.publish(TestEvent(type: type))
                }
                #expect(try client.status("two")["pending"].int == 2)
            }
        }
    }
}
