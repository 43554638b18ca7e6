import ServerFixtures
import Testing

extension EndToEnd {
    /// Gateways of two event streams before one nats-server have nothing to do with one another, whatever the same names.
    @Suite(.serialized) struct TwoStreamsTests {
        /// A gateway beside others, with the tenant and the subscription that all of them have.
        private struct Side {
            static let tenant = "same"
            let gateway: GatewayProcess

            init(_ server: NATSServer, _ settings: [String: String] = [:]) throws {
                let all = DeliveryPool.settings.merging(settings) { $1 }
                gateway = try GatewayProcess(natsURL: server.url, settings: all)
                let isReady = waitUntil(timeout: .seconds(30)) { (try? call("GET", "").status) == 200 }
                try #require(isReady)
            }

            /// Calls `/v1/subscriptions` and what is below.
            func call(_ method: String, _ path: String, _ json: String? = nil) throws -> HTTPResponse {
                try send(method, "/v1/subscriptions\(path)", json)
            }

            func send(_ method: String, _ target: String, _ json: String?) throws -> HTTPResponse {
                let fields =
                    [("X-Tenant-ID", Self.tenant)] + (json == nil ? [] : [("Content-Type", "application/json")])
                let request = HTTPRequest(method, target, headers: fields, body: Array((json ?? "").utf8))
                return try gateway.connect(timeout: .seconds(60)).exchange(request)
            }

            /// Publishes an event, which gets the next sequence of this gateway's stream.
            func publish(_ event: TestEvent, as sequence: Int) throws {
                let answer = try gateway.exchange(event.structured(headers: [("X-Tenant-ID", Self.tenant)]))
                try #require(answer.status == 202 && answer.json["sequence"].int == sequence, "\(answer.text)")
            }

            /// Receives the one event that there is.
            func receive() throws -> WireJSON {
                let answer = try call("POST", "/s:receive?maxEvents=10&maxWaitTime=60")
                #expect(answer.json["value"].items.count == 1, "\(answer.text)")
                return answer.json["value"][0]
            }

            /// Settles a received event.
            func settle(_ verb: String, _ event: WireJSON) throws {
                let token = quoted(event["brokerProperties"]["lockToken"].string ?? "")
                let answer = try call("POST", "/s:\(verb)", "{\"lockTokens\":[\(token)]}")
                #expect(answer.json["succeededLockTokens"].items.count == 1, "\(answer.text)")
            }

            /// The dead letter of an event.
            func letter(of event: TestEvent) throws -> WireJSON {
                var found = WireJSON.null
                _ = try waitUntil(timeout: .seconds(60)) {
                    let letters = try send("GET", "/v1/dead-letters?subscription=s", nil).json["items"].items
                    found = letters.first { $0["event"]["id"].string == event.id } ?? .null
                    return !found.isNull
                }
                return found
            }

            func redrive(_ sequence: Int) throws -> WireJSON {
                try send("POST", "/v1/dead-letters:redrive", "{\"sequences\":[\(sequence)]}").json
            }
        }

        /// The settings of the gateway beside the one of the standard stream.
        private static func settings(_ stream: String) -> [String: String] {
            ["STREAM_NAME": stream, "SUBJECT_PREFIX": "other"]
        }

        /// The longest name of a stream.
        private static let longest = String(repeating: "n", count: 255)

        @Test(arguments: NATSServer.available, ["OTHER", longest])
        func `gateways of two streams share no subscription, and put back no dead letter of the other's`(
            binary: NATSServer.Binary,
            stream: String
        ) throws {
            let server = try NATSServer(binary)
            let (first, second) = (try Side(server), try Side(server, Self.settings(stream)))
            let receiver = try WebhookReceiver { _, before in .status(before == 0 ? 400 : 204) }
            #expect(try first.call("PUT", "/s", #"{"protocol":"PULL"}"#).status == 201)
            try #require(second.call("PUT", "/s", DeliveryClient.hook(receiver.url)).status == 201)
            #expect(try first.call("GET", "/s").json["protocol"].string == "PULL")

            // The same sequences, of the same subscription by its name: both become dead letters.
            let (left, right) = (TestEvent(), TestEvent())
            try first.publish(left, as: 1)
            try second.publish(right, as: 1)
            let received = try first.receive()
            #expect(received["event"]["id"].string == left.id)
            try first.settle("reject", received)
            #expect(receiver.hasGot(1))
            let leftLetter = try first.letter(of: left)
            let rightLetter = try second.letter(of: right)
            let (leftSequence, rightSequence) = (leftLetter["sequence"].int ?? 0, rightLetter["sequence"].int ?? 0)
            #expect(leftSequence != rightSequence)
            for (side, sequence) in [(second, leftSequence), (first, rightSequence)] {
                let answer = try side.redrive(sequence)
                #expect(answer["redriven"].int == 0 && answer["failed"].int == 1, "\(answer.text)")
            }
            #expect(try first.redrive(leftSequence)["redriven"].int == 1)
            let again = try first.receive()
            #expect(again["event"]["id"].string == left.id)
            try first.settle("acknowledge", again)
            #expect(try second.redrive(rightSequence)["redriven"].int == 1)
            #expect(receiver.hasGot(2))
            #expect(receiver.copiesByID == [right.id: 2])

            #expect(try second.call("DELETE", "/s").status == 204)
            #expect(try first.call("GET", "/s").status == 200)
        }

        @Test(arguments: NATSServer.available, ["OTHER", longest])
        func `an event that one gateway hands back is no attempt of the other's event with the same sequence`(
            binary: NATSServer.Binary,
            stream: String
        ) throws {
            let server = try NATSServer(binary)
            let (first, second) = (try Side(server), try Side(server, Self.settings(stream)))
            let reader = try StreamReader(url: server.url, stream: "KV_SLUICE_HANDBACKS")
            // Told to wait, the first gateway keeps the second event in hand, and hands it back when it is paused.
            let busy = try WebhookReceiver { _, _ in .status(503, fields: [("Retry-After", "600")]) }
            let pausing = DeliveryClient.hook(busy.url, config: [#""ackWait":60,"maxInFlight":4,"backoff":[600]"#])
            #expect(try first.call("PUT", "/s", pausing).status == 201)
            try first.publish(TestEvent(), as: 1)
            let isTold = try waitUntil(timeout: .seconds(60)) {
                try first.call("GET", "/s/status").json["thisReplica"]["retried"].int == 1
            }
            #expect(isTold)
            try first.publish(TestEvent(), as: 2)
            let isTaken = try waitUntil(timeout: .seconds(60)) {
                try first.call("GET", "/s/status").json["pending"].int == 0
            }
            #expect(isTaken)
            #expect(try first.call("POST", "/s:pause").status == 200)
            #expect(try waitUntil(timeout: .seconds(60)) { try reader.messageCount() > 1 }, "nothing is handed back")

            let dead = try WebhookReceiver(status: 500)
            let giving = DeliveryClient.hook(dead.url, config: [#""maxAttempts":2,"backoff":[0]"#])
            #expect(try second.call("PUT", "/s", giving).status == 201)
            let events = [TestEvent(), TestEvent()]
            for (index, event) in events.enumerated() { try second.publish(event, as: index + 1) }
            for event in events {
                let letter = try second.letter(of: event)
                #expect(letter["attempts"].int == 2, "\(letter.text)")
                #expect(dead.copiesByID[event.id] == 2)
            }
        }

        @Test(arguments: NATSServer.available)
        func `what native clients of one stream give up becomes dead letters, whoever else reads advisories`(
            binary: NATSServer.Binary
        ) throws {
            let server = try NATSServer(binary)
            let (first, second) = (try Side(server), try Side(server, Self.settings("OTHER")))
            let made = try second.call("PUT", "/s", #"{"protocol":"NATS","types":["com.example.poison"]}"#)
            try #require(made.status == 201, "\(made.text)")
            let events = (0..<20).map { _ in TestEvent(type: "com.example.poison") }
            for (index, event) in events.enumerated() { try second.publish(event, as: index + 1) }
            let native = try NativeClients(1, url: server.url, binding: made.json["protocolsettings"])
            for event in events {
                #expect(try second.letter(of: event)["reason"].string == "terminated", "\(native.log)")
            }
            #expect(first.gateway.status(of: "/health/ready") == 200)
        }
    }
}
