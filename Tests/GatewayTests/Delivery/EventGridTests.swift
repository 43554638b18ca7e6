import Foundation
import ServerFixtures
import Testing

extension EndToEnd {
    /// The paths, shapes and errors of Event Grid's namespaces, and the client that Microsoft publishes for them.
    @Suite(.serialized, .deliveryStacks) struct EventGridTests {
        @Test(arguments: NATSServer.available)
        func `azure-eventgrid publishes, receives and settles unmodified`(binary: NATSServer.Binary) throws {
            let client = try DeliveryPool.client(binary)
            try client.subscribe("s", #"{"protocol":"PULL"}"#)
            let folder = TemporaryDirectory()
            let program = folder.path + "/client.py"
            try Data(Self.program.utf8).write(to: URL(fileURLWithPath: program))
            let lines = try PythonProgram.run(
                program,
                arguments: ["http://127.0.0.1:\(client.stack.gateway.port)", client.tenant]
            )
            let steps = lines.compactMap { try? WireJSON(parsing: Array($0.utf8)) }
            let results = Dictionary(steps.map { ($0["step"].string ?? "", $0) }) { $1 }
            #expect(results["received"]?["ids"].items.compactMap(\.string).sorted() == ["a", "b", "c", "d"])
            #expect(results["received"]?["data"]["a"].text == #"{"n":1}"#)
            #expect(results["received"]?["data"]["d"].string == "AAH/")
            #expect(results["received"]?["counts"].items.map(\.int) == [1, 1, 1, 1])
            #expect(results["acknowledged"]?["succeeded"].int == 1 && results["acknowledged"]?["failed"].int == 0)
            #expect(results["renewed"]?["succeeded"].int == 1)
            #expect(results["released"]?["succeeded"].int == 1)
            #expect(results["rejected"]?["succeeded"].int == 1)
            #expect(results["again"]?["count"].int == 2)
            #expect(results["stale"]?["code"].string == "TokenLost")
            #expect(results["unknown"]?["status"].int == 404)
            #expect(results["unknown"]?["code"].string == "ResourceNotFound")
            #expect(results["invalid"]?["status"].int == 400)
            #expect(try client.deadLetters("s").count == 1)
        }

        @Test func `errors have Event Grid's shape, and a publish is answered when all is stored`() throws {
            let client = try DeliveryPool.client()
            let stack = client.stack
            let path = "/topics/\(client.tenant):publish?api-version=2024-06-01"
            let key = [("Authorization", "SharedAccessKey abc")]
            let stored = try stack.exchange(TestEvent().structured(to: path, headers: key))
            #expect(stored.status == 200 && stored.text == "{}", "\(stored.text)")
            let events = [TestEvent().json, TestEvent().json]
            let both = try stack.exchange(batch(events, to: path, headers: key))
            #expect(both.status == 200 && both.text == "{}", "\(both.text)")
            let before = try stack.reader().messageCount()
            let bad = try stack.exchange(batch([events[0], #"{"specversion":"1.0"}"#], to: path, headers: key))
            #expect(bad.status == 400)
            #expect(bad["x-ms-error-code"] == "BadRequest")
            #expect(bad.json["error"]["code"].string == "BadRequest")
            #expect(bad.json["error"]["message"].string?.isEmpty == false)
            #expect(
                bad.json["error"]["details"].items.contains { $0["target"].string?.hasPrefix("/1/") == true },
                "\(bad.text)"
            )
            #expect(try stack.reader().messageCount() == before)
            let last = try #require(try stack.reader().message(try stack.reader().lastSequence()))
            #expect(last.subject.hasPrefix("ce.\(client.tenant)."))
            let wrong: [(HTTPRequest, Int, String)] = [
                (TestEvent().structured(to: "/topics/No_Topic:publish"), 404, "ResourceNotFound"),
                (HTTPRequest("GET", path), 405, "MethodNotAllowed"),
                (
                    HTTPRequest("POST", path, headers: [("Content-Type", "text/plain")], body: [120]), 415,
                    "UnsupportedMediaType"
                ),
                (
                    HTTPRequest("POST", "/topics/\(client.tenant)/eventsubscriptions/none:receive?maxWaitTime=0"), 404,
                    "ResourceNotFound"
                ),
                (
                    HTTPRequest("POST", "/topics/\(client.tenant)/eventsubscriptions/none:receive?maxEvents=0"), 400,
                    "BadRequest"
                ),
            ]
            for (request, status, code) in wrong {
                let answer = try stack.exchange(request)
                #expect(answer.status == status, "\(request.target) \(answer.text)")
                #expect(answer["x-ms-error-code"] == code, "\(request.target)")
                #expect(answer.json["error"]["code"].string == code)
            }
        }

        @Test func `an own subscription is one of Event Grid's too, and a publish of any path reaches it`() throws {
            let client = try DeliveryPool.client()
            try client.subscribe("s", #"{"protocol":"PULL"}"#)
            let event = TestEvent()
            try client.publish(event)
            let path = "/topics/\(client.tenant)/eventsubscriptions/s"
            let received = try client.stack.exchange(HTTPRequest("POST", "\(path):receive?maxEvents=5&maxWaitTime=20"))
            #expect(received.json["value"][0]["event"]["id"].string == event.id, "\(received.text)")
            let token = received.json["value"][0]["brokerProperties"]["lockToken"].string ?? ""
            let settled = try client.stack.exchange(
                HTTPRequest(
                    "POST",
                    "\(path):acknowledge?api-version=x",
                    headers: [("Content-Type", "application/json")],
                    body: Array("{\"lockTokens\":[\"\(token)\"]}".utf8)
                )
            )
            #expect(settled.json["succeededLockTokens"][0].string == token, "\(settled.text)")
        }

        /// What the published client does; every step prints a line of JSON.
        private static let program = #"""
            import base64, json, sys
            from azure.core.credentials import AzureKeyCredential
            from azure.core.exceptions import HttpResponseError
            from azure.core.messaging import CloudEvent
            from azure.eventgrid import EventGridConsumerClient, EventGridPublisherClient

            endpoint, topic = sys.argv[1:3]
            credential = AzureKeyCredential("any")
            publisher = EventGridPublisherClient(endpoint, credential, namespace_topic=topic, retry_total=0)

            def consumer(name):
                return EventGridConsumerClient(endpoint, credential, namespace_topic=topic, subscription=name, retry_total=0)

            def tell(step, **members):
                print(json.dumps(dict(step=step, **members)), flush=True)

            publisher.send(CloudEvent(source="/azure", type="com.example.azure", data={"n": 1}, id="a"))
            publisher.send([CloudEvent(source="/azure", type="com.example.azure", data=text, id=id)
                            for id, text in (("b", "text"), ("c", "more"))])
            publisher.send(CloudEvent(source="/azure", type="com.example.azure", data=b"\x00\x01\xff", id="d"))

            client = consumer("s")
            found = {}
            while len(found) < 4:
                for item in client.receive(max_events=10, max_wait_time=10):
                    found[item.event.id] = item

            def shown(data):
                return base64.b64encode(data).decode() if isinstance(data, bytes) else data

            tell("received", ids=list(found), counts=[i.broker_properties.delivery_count for i in found.values()],
                 data={id: shown(item.event.data) for id, item in found.items()})
            token = {id: item.broker_properties.lock_token for id, item in found.items()}

            def outcome(step, result):
                tell(step, succeeded=len(result.succeeded_lock_tokens), failed=len(result.failed_lock_tokens))

            outcome("acknowledged", client.acknowledge(lock_tokens=[token["a"]]))
            outcome("renewed", client.renew_locks(lock_tokens=[token["b"]]))
            outcome("released", client.release(lock_tokens=[token["b"]]))
            outcome("rejected", client.reject(lock_tokens=[token["c"]]))
            again = client.receive(max_events=1, max_wait_time=60)[0]
            tell("again", id=again.event.id, count=again.broker_properties.delivery_count)
            stale = client.acknowledge(lock_tokens=[token["b"]])
            tell("stale", code=stale.failed_lock_tokens[0].error.code)
            client.acknowledge(lock_tokens=[again.broker_properties.lock_token, token["d"]])
            try:
                consumer("none").receive(max_events=1, max_wait_time=10)
            except HttpResponseError as error:
                tell("unknown", status=error.status_code, code=error.error.code)
            try:
                client.receive(max_events=5000)
            except HttpResponseError as error:
                tell("invalid", status=error.status_code)
            """#
    }
}
