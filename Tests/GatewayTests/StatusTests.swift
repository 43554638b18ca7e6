import ServerFixtures
import Testing

extension EndToEnd {
    /// The status table of design §4 and the shape of a problem (RFC 9457).
    @Suite(.serialized, .sharedStacks) struct StatusTests {
        /// One refusal: what is sent, and the status and the problem's slug that it gets.
        struct Refusal: Sendable, CustomTestStringConvertible {
            let testDescription: String
            let request: HTTPRequest
            let status: Int
            let slug: String

            init(_ name: String, _ status: Int, _ slug: String, _ request: HTTPRequest) {
                (testDescription, self.status, self.slug, self.request) = (name, status, slug, request)
            }
        }

        static let refusals = [
            Refusal("not JSON", 400, "malformed-json", structured("{\"id\":")),
            Refusal("text after the object", 400, "malformed-json", structured("{} {}")),
            Refusal("an array where one event is due", 400, "invalid-event", structured("[]")),
            Refusal("no attributes", 400, "invalid-event", structured("{}")),
            Refusal(
                "a tenant that is no name",
                400,
                "invalid-tenant",
                TestEvent().structured(headers: [("X-Tenant-ID", "No Such")])
            ),
            Refusal("a content type without attributes", 415, "unsupported-media-type", post("text/plain", "x")),
            Refusal(
                "an unknown event format",
                415,
                "unsupported-media-type",
                post("application/cloudevents+avro", "x")
            ),
            Refusal("no such path", 404, "not-found", HTTPRequest("GET", "/v1/nothing")),
            Refusal("a path below events", 404, "not-found", HTTPRequest("POST", "/v1/events/x/y", body: [])),
            Refusal("DELETE of the events", 405, "method-not-allowed", HTTPRequest("DELETE", "/v1/events")),
            Refusal("PUT of the root", 405, "method-not-allowed", HTTPRequest("PUT", "/", body: [])),
            Refusal("GET of the short form", 405, "method-not-allowed", HTTPRequest("GET", "/events/publish")),
            Refusal("POST of health", 405, "method-not-allowed", HTTPRequest("POST", "/health", body: [])),
        ]

        static func structured(_ body: String, headers: [(String, String)] = []) -> HTTPRequest {
            post("application/cloudevents+json", body, headers: headers)
        }

        static func post(_ type: String, _ body: String, headers: [(String, String)] = []) -> HTTPRequest {
            HTTPRequest("POST", "/v1/events", headers: [("Content-Type", type)] + headers, body: Array(body.utf8))
        }

        @Test(arguments: refusals)
        func `a refusal is a problem document with its status and type`(refusal: Refusal) throws {
            let stack = try StackPool.stack()
            let before = try stack.reader().lastSequence()
            let response = try stack.exchange(refusal.request)
            let note: Comment = "\(response.status) \(response.text)"
            #expect(response.status == refusal.status, note)
            #expect(response["Content-Type"] == "application/problem+json", note)
            let problem = response.json
            #expect(problem["type"].string == "urn:sluice:problem:\(refusal.slug)", note)
            #expect(problem["status"].int == refusal.status, note)
            #expect(problem["title"].string?.isEmpty == false, note)
            #expect(problem["detail"].string?.isEmpty == false, note)
            #expect(problem["requestId"].string == response["X-Request-Id"], note)
            #expect(try stack.reader().lastSequence() == before)
        }

        @Test func `every violation of an event is listed at once with pointer, attribute, rule and detail`() throws {
            let body = """
                {"specversion":"1.1","id":"","source":"a b","type":"","time":"yesterday","dataschema":"#x",
                "bad_name":"x","n":1.5,"data":1,"data_base64":"AA=="}
                """
            let response = try StackPool.stack().exchange(Self.structured(body))
            #expect(response.status == 400)
            let violations = response.json["violations"].items
            let named = Set(violations.compactMap { $0["attribute"].string })
            let expected = ["specversion", "id", "source", "type", "time", "dataschema", "bad_name", "n"]
            #expect(named.isSuperset(of: expected), "\(response.text)")
            for violation in violations {
                #expect(violation["pointer"].string?.hasPrefix("/") == true, "\(response.text)")
                #expect(violation["rule"].string?.isEmpty == false, "\(response.text)")
                #expect(violation["detail"].string?.isEmpty == false, "\(response.text)")
            }
        }

        @Test func `a violation in binary mode names the attribute`() throws {
            var event = TestEvent()
            event.id = ""
            let response = try StackPool.stack().exchange(event.binary(headers: [("ce-time", "noon")]))
            #expect(response.status == 400)
            let named = Set(response.json["violations"].items.compactMap { $0["attribute"].string })
            #expect(named == ["id", "time"], "\(response.text)")
        }

        @Test(arguments: [("/v1/events", "POST"), ("/", "POST"), ("/events/publish", "POST"), ("/health", "GET")])
        func `a wrong method is told which ones are allowed`(target: String, allowed: String) throws {
            let response = try StackPool.stack().exchange(HTTPRequest("PATCH", target, body: []))
            #expect(response.status == 405)
            let methods = response["Allow"]?.split(separator: ",").map { $0.filter { $0 != " " } } ?? []
            #expect(methods.contains(allowed), "Allow: \(response["Allow"] ?? "none")")
            #expect(!methods.contains("PATCH"))
        }

        @Test func `an unsupported content type is told which ones are taken`() throws {
            let response = try StackPool.stack().exchange(Self.post("text/plain", "x"))
            #expect(response.status == 415)
            let accepted = response["Accept-Post"] ?? ""
            #expect(accepted.contains("application/cloudevents+json"))
            #expect(accepted.contains("application/cloudevents-batch+json"))
        }

        @Test(arguments: ["/v1/events", "/"])
        func `OPTIONS answers the webhook handshake and says what is allowed`(target: String) throws {
            let origin = [("WebHook-Request-Origin", "events.example.com"), ("WebHook-Request-Rate", "120")]
            let response = try StackPool.stack().exchange(HTTPRequest("OPTIONS", target, headers: origin))
            #expect(response.status == 200 || response.status == 204)
            #expect(response["Allow"]?.contains("POST") == true)
            #expect(["*", "events.example.com"].contains(response["WebHook-Allowed-Origin"]))
            #expect(response["WebHook-Allowed-Rate"] == "*" || Int(response["WebHook-Allowed-Rate"] ?? "") != nil)
            let plain = try StackPool.stack().exchange(HTTPRequest("OPTIONS", target))
            #expect(plain["Allow"]?.contains("POST") == true)
            #expect(plain["WebHook-Allowed-Origin"] == nil)
        }

        @Test(arguments: ["/health", "/health/live", "/health/ready", "/ready", "/none", "/v1/events"])
        func `HEAD answers like GET without the body`(target: String) throws {
            let stack = try StackPool.stack()
            let connection = try stack.gateway.connect()
            let head = try connection.exchange(HTTPRequest("HEAD", target))
            // A body after the HEAD's answer would be taken for the beginning of this one.
            let get = try connection.get(target)
            #expect(head.status == get.status)
            #expect(head.body.isEmpty)
            #expect(head["Content-Type"] == get["Content-Type"])
        }

        @Test func `health tells the state of the parts`() throws {
            let health = try StackPool.stack().gateway.get("/health").json
            #expect(health["status"].string == "healthy")
            #expect(health["timestamp"].string?.hasSuffix("Z") == true)
            #expect(health["details"]["nats_connected"].bool == true)
            #expect(health["details"].member("redis_connected")?.isNull == true)
            #expect(health["details"]["running"].bool == true)
            #expect(health["details"]["durability"].string == "process")
        }
    }
}
