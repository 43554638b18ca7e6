import ServerFixtures
import Testing

extension EndToEnd {
    /// Pull and settle, in the shapes of Event Grid's namespaces.
    @Suite(.serialized, .deliveryStacks) struct PullTests {
        @Test(arguments: NATSServer.available)
        func `events are received as they are stored, with a lock, and acknowledged`(binary: NATSServer.Binary) throws {
            let client = try DeliveryPool.client(binary)
            try client.subscribe("s", #"{"protocol":"PULL"}"#)
            var event = TestEvent()
            event.attributes = [("z", "\"last\""), ("n", "1")]
            event.data = #"{ "b" : 1.0e2,  "a":"é" }"#
            let sequence = try client.publish(event)[0]
            let target = "/v1/subscriptions/s:receive?maxEvents=10&maxWaitTime=20"
            let answer = try client.call("POST", target)
            #expect(answer.status == 200)
            #expect(answer["Content-Type"] == "application/json")
            #expect(answer.text.contains("\"event\":\(event.json)}"), "byte for byte: \(answer.text)")
            let received = answer.json["value"][0]
            let properties = received["brokerProperties"]
            #expect(properties["deliveryCount"].int == 1)
            #expect(properties["sequence"].int == sequence)
            #expect(properties["enqueuedTime"].string?.hasSuffix("Z") == true)
            #expect(try client.status("s")["inFlight"].int == 1)

            let settled = try client.settle("s", "acknowledge", [received])
            #expect(settled.status == 200)
            #expect(settled.json["succeededLockTokens"][0].string == properties["lockToken"].string)
            #expect(settled.json["failedLockTokens"].items.isEmpty)
            let status = try client.status("s")
            #expect(status["inFlight"].int == 0 && status["pending"].int == 0, "\(status.text)")
            #expect(status["oldestAgeSeconds"].isNull)
            #expect(status["thisReplica"]["delivered"].int == 1)
            #expect(status["replicaLocal"].items.compactMap(\.string) == ["lastError", "breaker", "thisReplica"])
            let again = try client.settle("s", "acknowledge", [received])
            #expect(again.json["failedLockTokens"][0]["error"]["code"].string == "TokenLost", "S-30: replay after ack")
        }

        @Test func `up to maxEvents come at once, and none when the time is over`() throws {
            let client = try DeliveryPool.client()
            try client.subscribe("s", #"{"protocol":"PULL"}"#)
            #expect(try client.receive("s", max: 5, wait: 0).isEmpty)
            #expect(try client.receive("s", max: 5, wait: 1).isEmpty)
            for _ in 0..<30 { try client.publish(TestEvent()) }
            var found: Set<Int> = []
            let isComplete = try waitUntil(timeout: .seconds(60)) {
                let events = try client.receive("s", max: 20, wait: 5)
                #expect(events.count <= 20)
                _ = try client.settle("s", "acknowledge", events)
                found.formUnion(events.compactMap { $0["brokerProperties"]["sequence"].int })
                return found.count >= 30
            }
            #expect(isComplete)
            for query in [
                "maxEvents=0", "maxEvents=1001", "maxWaitTime=121", "maxEvents=1x", "max=1", "maxEvents=1&maxEvents=2",
            ] {
                #expect(try client.call("POST", "/v1/subscriptions/s:receive?\(query)").status == 400, "\(query)")
            }
            let both = try client.call("POST", "/v1/subscriptions/s:receive?maxEvents=0&maxWaitTime=-1")
            #expect(both.json["violations"].items.count == 2)
        }

        @Test(arguments: NATSServer.available)
        func `a long poll ends as soon as something comes`(binary: NATSServer.Binary) throws {
            let client = try DeliveryPool.client(binary)
            try client.subscribe("s", #"{"protocol":"PULL"}"#)
            let connection = try client.stack.gateway.connect(timeout: .seconds(60))
            let target = "/v1/subscriptions/s:receive?maxWaitTime=120"
            try connection.send(HTTPRequest("POST", target, headers: [("X-Tenant-ID", client.tenant)]))
            #expect(!connection.hasSomethingToRead(within: .milliseconds(300)))
            let sequence = try client.publish(TestEvent())[0]
            let answer = try connection.receive()
            #expect(answer.json["value"][0]["brokerProperties"]["sequence"].int == sequence, "\(answer.text)")
        }

        @Test(arguments: NATSServer.available)
        func `a released event comes again, counted, and not before its delay`(binary: NATSServer.Binary) throws {
            let client = try DeliveryPool.client(binary)
            try client.subscribe("s", #"{"protocol":"PULL"}"#)
            try client.publish(TestEvent())
            let first = try client.receive("s")
            #expect(try client.settle("s", "release", first).json["succeededLockTokens"].items.count == 1)
            let second = try client.receive("s")
            #expect(second.first?["brokerProperties"]["deliveryCount"].int == 2)
            let released = try client.settle("s", "release", second, query: "?releaseDelayInSeconds=2")
            #expect(released.json["succeededLockTokens"].items.count == 1)
            #expect(try client.receive("s", wait: 0).isEmpty)
            let third = try client.receive("s", wait: 60)
            #expect(third.first?["brokerProperties"]["deliveryCount"].int == 3)
            let wrong = try client.settle("s", "release", third, query: "?releaseDelayInSeconds=86401")
            #expect(wrong.status == 400)
            #expect(try client.settle("s", "release", third, query: "?releaseDelayInSeconds=86400").status == 200)
        }

        @Test(arguments: NATSServer.available)
        func `R-19: a token of an earlier delivery settles nothing`(binary: NATSServer.Binary) throws {
            let client = try DeliveryPool.client(binary)
            try client.subscribe("s", #"{"protocol":"PULL"}"#)
            try client.publish(TestEvent())
            let first = try client.receive("s")
            _ = try client.settle("s", "release", first)
            let second = try client.receive("s")
            #expect(second.count == 1)
            for verb in ["acknowledge", "reject", "renewLock", "release"] {
                let stale = try client.settle("s", verb, first)
                #expect(stale.json["succeededLockTokens"].items.isEmpty, "\(verb)")
                #expect(stale.json["failedLockTokens"][0]["error"]["code"].string == "TokenLost", "\(verb)")
            }
            #expect(try client.status("s")["inFlight"].int == 1)
            #expect(try client.settle("s", "acknowledge", second).json["succeededLockTokens"].items.count == 1)
        }

        @Test func `a lock that ends unsettled gives its event to somebody else; a renewed one does not`() throws {
            let client = try DeliveryPool.client()
            try client.subscribe("s", #"{"protocol":"PULL","config":{"ackWait":4}}"#)
            try client.publish(TestEvent())
            let first = try client.receive("s")
            #expect(try client.settle("s", "renewLock", first).json["succeededLockTokens"].items.count == 1)
            let second = try client.receive("s", wait: 60)
            #expect(second.first?["brokerProperties"]["deliveryCount"].int == 2)
            let lost = try client.settle("s", "renewLock", first)
            #expect(lost.json["failedLockTokens"][0]["error"]["code"].string == "TokenLost")
            #expect(try client.settle("s", "acknowledge", second).json["succeededLockTokens"].items.count == 1)
        }

        @Test(arguments: NATSServer.available)
        func `a rejected event becomes a dead letter`(binary: NATSServer.Binary) throws {
            let client = try DeliveryPool.client(binary)
            try client.subscribe("s", #"{"protocol":"PULL"}"#)
            let event = TestEvent()
            let sequence = try client.publish(event)[0]
            let settled = try client.settle("s", "reject", try client.receive("s"))
            #expect(settled.json["succeededLockTokens"].items.count == 1, "\(settled.text)")
            let letters = try client.deadLetters("s")
            #expect(letters.count == 1)
            #expect(letters.first?["reason"].string == "rejected")
            #expect(letters.first?["originalSequence"].int == sequence)
            #expect(letters.first?["event"]["id"].string == event.id)
            #expect(try client.status("s")["thisReplica"]["deadLettered"]["rejected"].int == 1)
        }

        @Test func `S-30: only a token as it was given is good`() throws {
            let client = try DeliveryPool.client()
            try client.subscribe("s", #"{"protocol":"PULL"}"#)
            try client.publish(TestEvent())
            let received = try client.receive("s")
            let token = try #require(received.first?["brokerProperties"]["lockToken"].string)
            var forged: [String] = []
            for index in stride(from: 0, to: token.utf8.count, by: 3) {
                var bytes = Array(token.utf8)
                bytes[index] = bytes[index] == 0x41 ? 0x42 : 0x41
                forged.append(String(decoding: bytes, as: UTF8.self))
            }
            forged += ["", "x", token + "A", String(token.dropLast()), String(repeating: "A", count: 5000)]
            let list = forged.map(quoted).joined(separator: ",")
            let answer = try client.call("POST", "/v1/subscriptions/s:acknowledge", "{\"lockTokens\":[\(list)]}")
            #expect(answer.status == 200)
            #expect(answer.json["succeededLockTokens"].items.isEmpty)
            let codes = Set(answer.json["failedLockTokens"].items.compactMap { $0["error"]["code"].string })
            #expect(codes == ["BadToken"])
            let bodies = [
                "{}", "[]", "{\"lockTokens\":[]}", "{\"lockTokens\":\"x\"}", "{\"lockTokens\":[1]}",
                "{\"lockTokens\":[\"a\"],\"x\":1}", "{\"lockTokens\":[\"a\"],\"lockTokens\":[\"b\"]}",
            ]
            for body in bodies {
                #expect(try client.call("POST", "/v1/subscriptions/s:acknowledge", body).status == 400, "\(body)")
            }
            #expect(try client.settle("s", "acknowledge", received).json["succeededLockTokens"].items.count == 1)
        }

        @Test(arguments: NATSServer.available)
        func `R-28: clients that vanish while they wait strand nothing`(binary: NATSServer.Binary) throws {
            let client = try DeliveryPool.client(binary)
            // Whatever a client that is gone holds locked would be missed for longer than this test waits.
            try client.subscribe("s", #"{"protocol":"PULL","config":{"ackWait":600}}"#)
            let target = "/v1/subscriptions/s:receive?maxEvents=10&maxWaitTime=120"
            let request = HTTPRequest("POST", target, headers: [("X-Tenant-ID", client.tenant)])
            for round in 0..<4 {
                let connections = try (0..<50).map { _ in
                    let connection = try client.stack.gateway.connect()
                    try connection.send(request)
                    return connection
                }
                // Some of them say that they will send no more, and are still there.
                if round == 1 { for connection in connections { connection.closeForWriting() } }
                withExtendedLifetime(connections) {}
            }
            let sequences = Set(try (0..<20).map { _ in try client.publish(TestEvent())[0] })
            var found: [Int: Int] = [:]
            let isComplete = try waitUntil(timeout: .seconds(90)) {
                let events = try client.receive("s", max: 20, wait: 5)
                _ = try client.settle("s", "acknowledge", events)
                for event in events {
                    found[event["brokerProperties"]["sequence"].int ?? 0] =
                        event["brokerProperties"]["deliveryCount"].int
                }
                return Set(found.keys) == sequences
            }
            #expect(isComplete, "\(found.count) of \(sequences.count)")
            let info = { try client.stack.reader().api("CONSUMER.INFO.SLUICE_EVENTS.\(client.tenant)_s") }
            #expect(
                try waitUntil(timeout: .seconds(30)) {
                    let info = try info()
                    return info["num_waiting"].int == 0 && info["num_ack_pending"].int == 0
                },
                "\((try? info().text) ?? "")"
            )
        }

        @Test func `a long poll ends when the gateway drains`() throws {
            let client = try DeliveryClient.make()
            let stack = client.stack
            try client.subscribe("s", #"{"protocol":"PULL"}"#)
            let connection = try stack.gateway.connect(timeout: .seconds(60))
            let target = "/v1/subscriptions/s:receive?maxWaitTime=120"
            try connection.send(HTTPRequest("POST", target, headers: [("X-Tenant-ID", client.tenant)]))
            #expect(!connection.hasSomethingToRead(within: .milliseconds(300)))
            stack.gateway.terminate()
            let answer = try connection.receive()
            #expect(answer.status == 200)
            #expect(answer.json["value"].items.isEmpty)
            #expect(stack.gateway.waitForExit())
            #expect(stack.gateway.exitStatus == 0)
        }

        @Test func `a paused subscription hands out nothing, and all of it after it is resumed`() throws {
            let client = try DeliveryPool.client()
            try client.subscribe("s", #"{"protocol":"PULL"}"#)
            let paused = try client.call("POST", "/v1/subscriptions/s:pause")
            #expect(paused.status == 200 && paused.json["state"].string == "paused")
            let sequence = try client.publish(TestEvent())[0]
            #expect(try client.receive("s", wait: 1).isEmpty)
            #expect(try client.unsettled("s") == 1)
            let resumed = try client.call("POST", "/v1/subscriptions/s:resume")
            #expect(resumed.status == 200 && resumed.json["state"].string == "active")
            #expect(try client.receive("s").first?["brokerProperties"]["sequence"].int == sequence)
        }
    }
}
