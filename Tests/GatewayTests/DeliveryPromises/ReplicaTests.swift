import Foundation
import ServerFixtures
import Testing

extension EndToEnd {
    /// Two gateways before one nats-server are one service.
    @Suite(.serialized) struct ReplicaTests {
        /// Two replicas of which each has seen what the other has.
        private struct Pair {
            let first: DeliveryClient
            let second: GatewayProcess

            init(_ binary: NATSServer.Binary = NATSServer.standard, settings: [String: String] = [:]) throws {
                let all = DeliveryPool.settings.merging(settings) { $1 }
                first = try DeliveryClient.make(binary, settings: all)
                second = try GatewayProcess(natsURL: first.stack.server.url, settings: all)
                let (tenant, second) = (first.tenant, second)
                let isReady = waitUntil(timeout: .seconds(30)) {
                    (try? Self.call(second, tenant, "GET", "/v1/subscriptions").status) == 200
                }
                try #require(isReady)
            }

            /// The same call at the second replica.
            func call(_ method: String, _ target: String, _ json: String? = nil) throws -> HTTPResponse {
                try Self.call(second, first.tenant, method, target, json)
            }

            private static func call(
                _ gateway: GatewayProcess,
                _ tenant: String,
                _ method: String,
                _ target: String,
                _ json: String? = nil
            ) throws -> HTTPResponse {
                let fields = [("X-Tenant-ID", tenant)] + (json == nil ? [] : [("Content-Type", "application/json")])
                let request = HTTPRequest(method, target, headers: fields, body: Array((json ?? "").utf8))
                return try gateway.connect(timeout: .seconds(60)).exchange(request)
            }

            /// Settles received events at the second replica.
            func settle(_ verb: String, _ events: [WireJSON], query: String = "") throws -> WireJSON {
                let tokens = events.map { quoted($0["brokerProperties"]["lockToken"].string ?? "") }
                let body = "{\"lockTokens\":[\(tokens.joined(separator: ","))]}"
                return try call("POST", "/v1/subscriptions/s:\(verb)\(query)", body).json
            }
        }

        /// Waits a while for what the promise says takes less than a second.
        private static func soon(_ condition: () throws -> Bool) rethrows -> Bool {
            try waitUntil(timeout: .seconds(20), condition)
        }

        @Test(arguments: NATSServer.available)
        func `what is changed at one replica is so at the other, without a restart`(
            binary: NATSServer.Binary
        ) throws {
            let pair = try Pair(binary)
            let client = pair.first
            let (before, after) = (try WebhookReceiver(), try WebhookReceiver())
            try client.push(to: before, config: [#""maxInFlight":7"#])
            #expect(
                try Self.soon { try pair.call("GET", "/v1/subscriptions/s").json["config"]["maxInFlight"].int == 7 }
            )
            #expect(try pair.call("PUT", "/v1/subscriptions/s", DeliveryClient.hook(after.url)).status == 200)
            let isReplaced = try Self.soon {
                try client.call("GET", "/v1/subscriptions/s").json["sink"].string == after.url
            }
            #expect(isReplaced)
            let events = (0..<20).map { _ in TestEvent() }
            for event in events { try client.publish(event) }
            #expect(after.hasGot(20))
            #expect(Set(after.copiesByID.keys) == Set(events.map(\.id)))
            #expect(before.posts.isEmpty)

            #expect(try client.call("POST", "/v1/subscriptions/s:pause").status == 200)
            #expect(try Self.soon { try pair.call("GET", "/v1/subscriptions/s").json["state"].string == "paused" })
            let late = TestEvent()
            try client.publish(late)
            // A pull request cannot be taken back: what it still brings is given back unsent.
            let waiting = try pair.call("GET", "/v1/subscriptions/s/status").json
            #expect((waiting["pending"].int ?? 0) + (waiting["inFlight"].int ?? 0) == 1, "\(waiting.text)")
            #expect(after.posts.count == 20)
            #expect(try pair.call("POST", "/v1/subscriptions/s:resume").status == 200)
            #expect(after.hasGot(21))
            #expect(after.posts.last?["ce-id"] == late.id)

            #expect(try pair.call("DELETE", "/v1/subscriptions/s").status == 204)
            #expect(try Self.soon { try client.call("GET", "/v1/subscriptions/s").status == 404 })
            let info = try client.stack.reader().api("CONSUMER.INFO.SLUICE_EVENTS.\(client.tenant)_s")
            #expect(info["error"]["code"].int == 404, "its consumer is gone with it")
        }

        @Test(arguments: NATSServer.available)
        func `a lock that one replica gave is settled at the other, and only once`(
            binary: NATSServer.Binary
        ) throws {
            let pair = try Pair(binary)
            let client = pair.first
            try client.subscribe("s", #"{"protocol":"PULL","config":{"ackWait":20}}"#)
            #expect(try Self.soon { try pair.call("GET", "/v1/subscriptions/s").status == 200 })
            for _ in 0..<4 { try client.publish(TestEvent()) }
            var events: [WireJSON] = []
            let isComplete = try waitUntil(timeout: .seconds(60)) {
                events += try client.receive("s", max: 4 - events.count, wait: 5)
                return events.count == 4
            }
            try #require(isComplete)
            #expect(try pair.settle("acknowledge", [events[0]])["succeededLockTokens"].items.count == 1)
            #expect(try pair.settle("renewLock", [events[1]])["succeededLockTokens"].items.count == 1)
            #expect(try pair.settle("acknowledge", [events[1]])["succeededLockTokens"].items.count == 1)
            #expect(try pair.settle("reject", [events[2]])["succeededLockTokens"].items.count == 1)
            #expect(try client.letters().first?["event"]["id"].string == events[2]["event"]["id"].string)
            #expect(try pair.settle("release", [events[3]])["succeededLockTokens"].items.count == 1)
            for event in events {
                let again = try pair.settle("acknowledge", [event])
                #expect(again["failedLockTokens"][0]["error"]["code"].string == "TokenLost", "\(again.text)")
            }
            let back = try client.receive("s", wait: 60)
            #expect(back.first?["event"]["id"].string == events[3]["event"]["id"].string)
            #expect(back.first?["brokerProperties"]["deliveryCount"].int == 2)
        }

        @Test func `a lock of a replica that is gone is lost, and its event comes again at the other`() throws {
            let pair = try Pair()
            let client = pair.first
            try client.subscribe("s", #"{"protocol":"PULL","config":{"ackWait":3}}"#)
            #expect(try Self.soon { try pair.call("GET", "/v1/subscriptions/s").status == 200 })
            let event = TestEvent()
            try client.publish(event)
            let held = try client.receive("s")
            try #require(held.count == 1)
            client.stack.gateway.kill()
            let answer = try pair.settle("acknowledge", held)
            #expect(answer["failedLockTokens"][0]["error"]["code"].string == "TokenLost", "\(answer.text)")
            let again = try pair.call("POST", "/v1/subscriptions/s:receive?maxWaitTime=60")
            #expect(again.json["value"][0]["event"]["id"].string == event.id, "\(again.text)")
            let settled = try pair.settle("acknowledge", again.json["value"].items)
            #expect(settled["succeededLockTokens"].items.count == 1)
        }

        @Test func `S-25: no secret is shown by any replica, in any answer, log or stream of events`() throws {
            let pair = try Pair(settings: ["LOG_LEVEL": "trace"])
            let client = pair.first
            let receiver = try WebhookReceiver(status: 500)
            let signing = Data("canary-signing-0123456789abcdef".utf8).base64EncodedString()
            let credentials = [
                ("plain", #"{"credentialtype":"PLAIN","identifier":"user","secret":"canary-password"}"#),
                ("token", #"{"credentialtype":"ACCESSTOKEN","accesstoken":"canary-token"}"#),
                ("header", #"{"credentialtype":"HEADER","name":"X-Key","value":"canary-header"}"#),
            ]
            for (id, credential) in credentials {
                try client.push(
                    id,
                    to: receiver,
                    ["\"sinkcredential\":\(credential)"],
                    config: ["\"maxAttempts\":2,\"backoff\":[0],\"signing\":{\"secrets\":[\"whsec_\(signing)\"]}"]
                )
            }
            try client.publish(TestEvent())
            for (id, _) in credentials { _ = try client.letters(id) }
            let basic = Data("user:canary-password".utf8).base64EncodedString()
            let secrets = ["canary-", basic, signing, String(signing.dropLast(2))]
            let carried = receiver.posts.flatMap(\.fields).map(\.value)
            #expect(carried.contains { $0.contains("canary-token") }, "the sink itself is told")
            let lists = ["/v1/subscriptions", "/v1/dead-letters", "/metrics", "/health", "/health/ready"]
            let targets =
                lists
                + credentials.flatMap { id, _ in
                    ["/v1/subscriptions/\(id)", "/v1/subscriptions/\(id)/status"]
                }
            for target in targets {
                for answer in [try client.call("GET", target), try pair.call("GET", target)] {
                    let text = answer.text + answer.headers.map(\.value).joined()
                    for secret in secrets { #expect(!text.contains(secret), "\(target) shows \(secret)") }
                }
            }
            // Who pauses or resumes is shown no more than who reads.
            let paused = try pair.call("POST", "/v1/subscriptions/token:pause")
            #expect(paused.status == 200 && !paused.text.contains("canary-"))
            for (name, log) in [("first", client.stack.gateway.log), ("second", pair.second.log)] {
                #expect(log.count > 5)
                for secret in secrets { #expect(!log.contains { $0.contains(secret) }, "the log of the \(name)") }
            }
            for stream in ["SLUICE_EVENTS", "SLUICE_DEAD_LETTERS"] {
                for message in try StreamReader(url: client.stack.server.url, stream: stream).allMessages() {
                    let text = message.headers.map(\.value).joined() + String(decoding: message.payload, as: UTF8.self)
                    for secret in secrets { #expect(!text.contains(secret), "\(stream)") }
                }
            }
        }
    }
}
