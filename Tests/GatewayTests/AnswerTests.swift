import ServerFixtures
import Testing

extension EndToEnd {
    /// What a producer is told when its events were taken (design §4).
    @Suite(.serialized, .sharedStacks) struct AnswerTests {
        @Test(arguments: ["/v1/events", "/"])
        func `a stored event is answered with its place in the stream`(target: String) throws {
            let stack = try StackPool.stack()
            let event = TestEvent()
            let response = try stack.exchange(event.structured(to: target))
            #expect(response.status == 202)
            #expect(response["Content-Type"]?.hasPrefix("application/json") == true)
            #expect(Set(response.json.members.map(\.name)) == ["id", "source", "stream", "sequence", "duplicate"])
            #expect(response.json["id"].string == event.id)
            #expect(response.json["source"].string == event.source)
            #expect(response.json["stream"].string == GatewayStack.stream)
            #expect(response.json["duplicate"].bool == false)
            let sequence = try #require(response.json["sequence"].int)
            #expect(try stack.reader().message(sequence)?.event().attributes["id"] == event.id)
        }

        @Test func `the same event again is answered with the first sequence and says so`() throws {
            let stack = try StackPool.stack()
            var event = TestEvent()
            let first = try stack.exchange(event.structured())
            event.data = "\"other content\""
            let second = try stack.exchange(event.binary())
            #expect(second.status == 202)
            #expect(second.json["duplicate"].bool == true)
            #expect(second.json["sequence"].int == first.json["sequence"].int)
        }

        @Test func `a batch is answered entry by entry in its own order`() throws {
            let stack = try StackPool.stack()
            let events = (0..<5).map { _ in TestEvent() }
            _ = try stack.exchange(events[2].structured())
            let response = try stack.exchange(batch(events.map(\.json)))
            #expect(response.status == 202)
            #expect(response.json["accepted"].int == 5)
            #expect(response.json["duplicates"].int == 1)
            let results = response.json["results"].items
            #expect(results.map { $0["index"].int } == [0, 1, 2, 3, 4])
            #expect(results.map { $0["id"].string } == events.map(\.id))
            #expect(results.map { $0["source"].string } == events.map(\.source))
            #expect(results.map { $0["status"].int } == [202, 202, 202, 202, 202])
            #expect(results.map { $0["duplicate"].bool } == [false, false, true, false, false])
            let reader = try stack.reader()
            for (result, event) in zip(results, events) {
                let sequence = try #require(result["sequence"].int)
                #expect(try reader.message(sequence)?.event().attributes["id"] == event.id)
            }
        }

        @Test func `an empty batch is accepted`() throws {
            let response = try StackPool.stack().exchange(batch([]))
            #expect(response.status == 202)
            #expect(response.json["accepted"].int == 0)
            #expect(response.json["results"].items.isEmpty)
        }

        @Test func `one bad entry keeps the whole batch out and every violation is listed by index`() throws {
            let stack = try StackPool.stack()
            let before = try stack.reader().lastSequence()
            let bad = "{\"specversion\":\"1.0\",\"id\":\"\",\"type\":\"t\"}"
            let response = try stack.exchange(batch([TestEvent().json, bad, "7", TestEvent().json]))
            #expect(response.status == 400)
            #expect(response["Content-Type"] == "application/problem+json")
            let pointers = response.json["violations"].items.compactMap { $0["pointer"].string }
            #expect(pointers.contains { $0.hasPrefix("/1") })
            #expect(pointers.contains { $0.hasPrefix("/2") })
            #expect(!pointers.contains { $0.hasPrefix("/0") || $0.hasPrefix("/3") })
            #expect(try stack.reader().lastSequence() == before)
        }

        @Test func `on-invalid=skip stores the good entries and reports the bad ones`() throws {
            let stack = try StackPool.stack()
            let good = TestEvent()
            let before = try stack.reader().lastSequence()
            let request = batch([good.json, "{\"specversion\":\"1.0\"}"], to: "/v1/events?on-invalid=skip")
            let response = try stack.exchange(request)
            #expect(response.status == 207)
            #expect(response.json["accepted"].int == 1)
            let results = response.json["results"]
            #expect(results[0]["status"].int == 202)
            #expect(results[0]["sequence"].int == before + 1)
            #expect(results[1]["status"].int == 400)
            #expect(results[1]["sequence"].int == nil)
            #expect(results[1]["error"]["type"].string == "urn:sluice:problem:invalid-event")
            #expect(results[1]["error"]["violations"].items.isEmpty == false)
            #expect(try stack.reader().lastSequence() == before + 1)
        }

        @Test func `on-invalid=skip answers 202 when nothing was wrong and 400 when everything was`() throws {
            let stack = try StackPool.stack()
            let target = "/v1/events?on-invalid=skip"
            #expect(try stack.exchange(batch([TestEvent().json], to: target)).status == 202)
            let before = try stack.reader().lastSequence()
            #expect(try stack.exchange(batch(["{}", "[]"], to: target)).status == 400)
            #expect(try stack.reader().lastSequence() == before)
        }

        @Test func `an unknown value of on-invalid is refused before anything is stored`() throws {
            let stack = try StackPool.stack()
            let before = try stack.reader().lastSequence()
            let response = try stack.exchange(batch([TestEvent().json], to: "/v1/events?on-invalid=ignore"))
            #expect(response.status == 400)
            #expect(response.json["type"].string == "urn:sluice:problem:invalid-parameter")
            #expect(try stack.reader().lastSequence() == before)
        }

        @Test func `Prefer return=minimal gets the same status without a body`() throws {
            let stack = try StackPool.stack()
            let prefer = [("Prefer", "return=minimal")]
            let bad = "{}"
            let requests = [
                (TestEvent().structured(headers: prefer), 202),
                (batch([TestEvent().json], headers: prefer), 202),
                (batch([TestEvent().json, bad], to: "/v1/events?on-invalid=skip", headers: prefer), 207),
            ]
            for (request, status) in requests {
                let response = try stack.exchange(request)
                #expect(response.status == status)
                #expect(response.text == "")
                #expect(response["Preference-Applied"] == "return=minimal")
            }
        }

        @Test(arguments: ["abc-123", "01HZX", String(repeating: "r", count: 64)])
        func `a request id is echoed on every route`(id: String) throws {
            let stack = try StackPool.stack()
            let headers = [("X-Request-Id", id)]
            let requests = [
                TestEvent().structured(headers: headers), StatusTests.structured("{}", headers: headers),
                HTTPRequest("GET", "/health", headers: headers), HTTPRequest("GET", "/none", headers: headers),
            ]
            for request in requests {
                #expect(try stack.exchange(request)["X-Request-Id"] == id, "\(request.method) \(request.target)")
            }
        }
    }
}
