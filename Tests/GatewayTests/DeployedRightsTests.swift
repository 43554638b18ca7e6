import ServerFixtures
import Testing

extension EndToEnd {
    /// The rights of `deploy/nats/accounts.conf` are enough for everything that deliveries do.
    @Suite(.serialized) struct DeployedRightsTests {
        @Test func `S-03: events are pulled, rejected, redriven and settled, and a stop costs no attempt`() throws {
            let server = try DeployedCluster(size: 1)
            let gateway = try GatewayProcess(natsURL: server.url)
            let subscription = "/v1/subscriptions/s"
            try call(gateway, "PUT", subscription, #"{"protocol":"PULL"}"#, expecting: 201)
            try publish(1, to: gateway)

            try settle("reject", receive(gateway, delivery: 1), at: gateway)
            let letters = try call(gateway, "GET", "/v1/dead-letters?subscription=s", expecting: 200)
            #expect(letters.json["items"].items.count == 1, "\(letters.text)")
            let redriven = try call(gateway, "POST", "/v1/dead-letters:redrive", #"{"filter":{}}"#, expecting: 200)
            #expect(redriven.json["redriven"].int == 1, "\(redriven.text)")
            try settle("acknowledge", receive(gateway, delivery: 1), at: gateway)

            // A client waits at the server while the gateway stops, and an event comes for the next.
            let waiting = try gateway.connect(timeout: .seconds(60))
            try waiting.send(HTTPRequest("POST", "\(subscription):receive?maxWaitTime=60"))
            let operatorProbe = try server.probe(.operator)
            #expect(waitUntil { Self.waitingPulls(operatorProbe) > 0 })
            gateway.terminate()
            #expect(gateway.waitForExit())
            #expect(Self.waitingPulls(operatorProbe) == 0)
            try gateway.start()
            try publish(2, to: gateway)
            try settle("acknowledge", receive(gateway, delivery: 1), at: gateway)
            try call(gateway, "DELETE", subscription, expecting: 204)
            #expect(server.violations == [])
            #expect(gateway.log.filter { $0.contains(#""level":"error""#) || $0.contains("own inboxes") } == [])
        }

        /// How many pull requests wait at the server.
        private static func waitingPulls(_ probe: NATSProbe) -> Int {
            let names = probe.json("$JS.API.CONSUMER.LIST.SLUICE_EVENTS")?["consumers"] as? [[String: Any]] ?? []
            return names.reduce(0) { $0 + ($1["num_waiting"] as? Int ?? 0) }
        }

        @discardableResult
        private func call(
            _ gateway: GatewayProcess,
            _ method: String,
            _ target: String,
            _ json: String? = nil,
            expecting status: Int
        ) throws -> HTTPResponse {
            let type = json == nil ? [] : [("Content-Type", "application/json")]
            let request = HTTPRequest(method, target, headers: type, body: Array((json ?? "").utf8))
            let answer = try gateway.connect(timeout: .seconds(60)).exchange(request)
            try #require(answer.status == status, "\(method) \(target): \(answer.status) \(answer.text)")
            return answer
        }

        private func publish(_ number: Int, to gateway: GatewayProcess) throws {
            let event = EventOracle.event(client: 1, count: number)
            #expect(try gateway.exchange(event.structured()).status == 202)
        }

        /// The lock token of one event, which comes for the time that is told.
        private func receive(_ gateway: GatewayProcess, delivery: Int) throws -> String {
            let target = "/v1/subscriptions/s:receive?maxWaitTime=60"
            let properties = try call(gateway, "POST", target, expecting: 200).json["value"][0]["brokerProperties"]
            #expect(properties["deliveryCount"].int == delivery)
            return try #require(properties["lockToken"].string)
        }

        private func settle(_ verb: String, _ token: String, at gateway: GatewayProcess) throws {
            let body = "{\"lockTokens\":[\(quoted(token))]}"
            let answer = try call(gateway, "POST", "/v1/subscriptions/s:\(verb)", body, expecting: 200)
            #expect(answer.json["failedLockTokens"].items.isEmpty, "\(answer.text)")
        }
    }
}
