import ServerFixtures
import Testing

extension EndToEnd {
    /// R-36: more than the broker takes in time is refused at once, and what is not refused is stored.
    @Suite(.serialized) struct OverloadTests {
        private func isOverload(_ answer: HTTPResponse) -> Bool {
            answer.status == 503 && answer.json["type"].string == "urn:sluice:problem:overloaded"
        }

        @Test func `R-36: a slow broker gets what it can take, the rest is told to come back`() throws {
            let server = try NATSServer()
            let proxy = TCPProxy(target: server.port)
            let gateway = try GatewayProcess(natsURL: proxy.url)
            let connections = try (0..<24).map { _ in try gateway.connect(timeout: .seconds(30)) }
            proxy.set { $0.latency = .milliseconds(150) }
            var stored: Set<String> = []
            var refusals = 0
            let isSeen = try waitUntil(timeout: .seconds(60)) {
                let batches = connections.map { _ in (0..<200).map { _ in TestEvent() } }
                for (connection, events) in zip(connections, batches) { try connection.send(batch(events.map(\.json))) }
                for (connection, events) in zip(connections, batches) {
                    let answer = try connection.receive()
                    if answer.status == 202 {
                        stored.formUnion(events.map(\.id))
                    } else {
                        #expect(isOverload(answer), "\(answer.status) \(answer.text.prefix(200))")
                        #expect(answer["Retry-After"] == "1")
                        #expect(answer["Connection"] == nil, "a refused client had to connect again")
                        refusals += 1
                    }
                }
                return refusals >= 50 && stored.count >= 5000
            }
            #expect(isSeen, "\(refusals) refused, \(stored.count) stored")
            #expect(gateway.status(of: "/health/live") == 200)
            #expect(gateway.residentBytes < 400 << 20)
            proxy.set { $0.latency = .zero }
            for connection in connections {
                let isTaken = try waitUntil(timeout: .seconds(30)) {
                    let events = (0..<200).map { _ in TestEvent() }
                    let answer = try connection.exchange(batch(events.map(\.json)))
                    if answer.status == 202 { stored.formUnion(events.map(\.id)) }
                    return answer.status == 202
                }
                #expect(isTaken)
            }
            #expect(try StreamReader(url: server.url).messageCount() == stored.count)
            #expect(waitUntil { gateway.log.contains { $0.contains("overloaded: requests were refused") } })
        }

        @Test func `R-36: a hung broker is given a few events and not everybody's`() throws {
            let stack = try GatewayStack(NATSServer.standard)
            #expect(try stack.exchange(TestEvent().structured()).status == 202)
            stack.server.pause()
            var waiting: [HTTPConnection] = []
            var refusal: HTTPResponse?
            let isRefused = try waitUntil(timeout: .seconds(20)) {
                let connection = try stack.gateway.connect()
                try connection.send(TestEvent().structured())
                guard connection.hasSomethingToRead(within: .milliseconds(50)) else {
                    waiting.append(connection)
                    return false
                }
                refusal = try connection.receive()
                return true
            }
            #expect(isRefused)
            let answer = try #require(refusal)
            #expect(isOverload(answer), "\(answer.status) \(answer.text)")
            #expect(answer["Retry-After"] == "1")
            #expect(!waiting.isEmpty)
            let large = HTTPRequest(
                "POST",
                "/v1/events",
                headers: [("Expect", "100-continue"), ("Content-Type", "application/cloudevents+json")],
                body: Array(TestEvent(data: "\"\(String(repeating: "x", count: 100_000))\"").json.utf8)
            )
            let early = try stack.gateway.connect()
            try early.send(large.head)
            let earlyAnswer = try early.receive()
            #expect(earlyAnswer.status == 503, "a large body was asked for")
            stack.server.resume()
            for connection in waiting { #expect([202, 503, 504].contains(try connection.receive().status)) }
            #expect(waitUntil(timeout: .seconds(30)) { (try? stack.exchange(large).status) == 202 })
        }

        @Test func `R-36: a batch refused for overload is told so entry by entry, and nothing of it is stored`() throws
        {
            // The answers that are waited for come when the broker goes on.
            let stack = try GatewayStack(NATSServer.standard, settings: ["PUBLISH_TIMEOUT": "60"])
            #expect(try stack.exchange(TestEvent().structured()).status == 202)
            let bad = #"{"specversion":"1.0","id":"bad","source":"/tests/gateway"}"#
            let events = [TestEvent(), TestEvent()]
            let entries = [bad] + events.map(\.json)
            stack.server.pause()
            var waiting: [HTTPConnection] = []
            let isFull = try waitUntil(timeout: .seconds(20)) {
                let connection = try stack.gateway.connect(timeout: .seconds(90))
                try connection.send(TestEvent().structured())
                if connection.hasSomethingToRead(within: .milliseconds(50)) {
                    return isOverload(try connection.receive())
                }
                waiting.append(connection)
                return false
            }
            #expect(isFull)

            // One that is faulty is faulty whatever the load, and without on-invalid=skip the batch with it.
            let strict = try stack.exchange(batch(entries))
            #expect(strict.status == 400, "\(strict.text)")
            #expect(strict.json["type"].string == "urn:sluice:problem:invalid-event")
            let skipping = try stack.exchange(batch(entries, to: "/v1/events?on-invalid=skip"))
            #expect(isOverload(skipping), "\(skipping.status) \(skipping.text)")
            #expect(skipping["Retry-After"] == "1")
            let results = skipping.json["results"].items
            #expect(results.map { $0["index"].int } == [0, 1, 2])
            #expect(results.map { $0["status"].int } == [400, 503, 503])
            #expect(results.dropFirst().map { $0["id"].string } == events.map(\.id))
            for result in results.dropFirst() {
                #expect(result["error"]["type"].string == "urn:sluice:problem:overloaded", "\(result.text)")
                #expect(result["sequence"].isNull)
            }

            stack.server.resume()
            for connection in waiting { #expect([202, 503, 504].contains(try connection.receive().status)) }
            let reader = try stack.reader()
            let before = try reader.copiesByID()
            #expect(events.allSatisfy { before[$0.id] == nil }, "what was refused is stored")
            // Sent again it is stored, once, and the faulty one still is not.
            var again = try stack.exchange(batch(entries, to: "/v1/events?on-invalid=skip"))
            _ = try waitUntil(timeout: .seconds(30)) {
                if again.status != 503 { return true }
                again = try stack.exchange(batch(entries, to: "/v1/events?on-invalid=skip"))
                return false
            }
            #expect(again.status == 207, "\(again.status) \(again.text)")
            #expect(again.json["accepted"].int == 2 && again.json["duplicates"].int == 0, "\(again.text)")
            let after = try reader.copiesByID()
            #expect(events.allSatisfy { after[$0.id] == 1 } && after["bad"] == nil)
        }
    }
}
