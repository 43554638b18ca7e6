import ServerFixtures
import Testing

extension EndToEnd {
    /// The Subscriptions API (SUB-01 to SUB-20) with what Sluice adds to it.
    @Suite(.serialized, .deliveryStacks) struct SubscriptionAPITests {
        private static let pull = #"{"protocol":"PULL","types":["com.example.#"]}"#

        @Test(arguments: NATSServer.available)
        func `a subscription is made, read, listed, replaced and deleted`(binary: NATSServer.Binary) throws {
            let client = try DeliveryPool.client(binary)
            let made = try client.call("POST", "/v1/subscriptions", #"{"id":"mine","protocol":"PULL","extra":1}"#)
            #expect(made.status == 201, "\(made.text)")
            let id = try #require(made.json["id"].string)
            #expect(id != "mine", "SUB-02: the manager makes the id")
            #expect(made["Location"] == "/v1/subscriptions/\(id)")
            #expect(made.json["state"].string == "active")
            #expect(made.json["config"]["maxAttempts"].int == 5)
            #expect(made.json["created"].string?.hasSuffix("Z") == true)

            let read = try client.call("GET", "/v1/subscriptions/\(id)")
            #expect(read.status == 200)
            #expect(read.json["id"].string == id)
            let listed = try client.call("GET", "/v1/subscriptions")
            #expect(listed.json["items"].items.map { $0["id"].string } == [id])
            #expect(listed.json["next"].isNull)

            let put = try client.call("PUT", "/v1/subscriptions/own", Self.pull)
            #expect(put.status == 201)
            #expect(put["Location"] == "/v1/subscriptions/own")
            #expect(try client.call("PUT", "/v1/subscriptions/own", Self.pull).status == 200)
            #expect(try client.call("DELETE", "/v1/subscriptions/own").status == 204)
            #expect(try client.call("DELETE", "/v1/subscriptions/own").status == 404)
            #expect(try client.call("GET", "/v1/subscriptions/own").status == 404)
        }

        @Test func `a list has pages`() throws {
            let client = try DeliveryPool.client()
            for number in 1...5 { try client.subscribe("s\(number)", Self.pull) }
            var found: [String] = []
            var target = "/v1/subscriptions?limit=2"
            for _ in 0..<3 {
                let page = try client.call("GET", target).json
                found += page["items"].items.compactMap { $0["id"].string }
                guard let next = page["next"].string else { break }
                target = "/v1/subscriptions?limit=2&after=\(next)"
            }
            #expect(found == ["s1", "s2", "s3", "s4", "s5"])
            let wrong = try client.call("GET", "/v1/subscriptions?limit=0&after=%21")
            #expect(wrong.status == 400)
            #expect(wrong.json["violations"].items.count == 2)
            #expect(try client.call("GET", "/v1/subscriptions?size=2").status == 400)
        }

        @Test func `everything wrong with a definition is told at once, and no secret with it`() throws {
            let client = try DeliveryPool.client()
            let body = """
                {"protocol":"HTTP","sink":"ftp://x","types":["a.>.b",""],"source":"a b","filters":[{"regex":{"type":"a"}}],
                "sinkcredential":{"credentialtype":"PLAIN","identifier":"u:v","secret":"topsecret"},
                "config":{"maxAttempts":0,"nonsense":1,"signing":{"secrets":["whsec_topsecret"]}}}
                """
            let answer = try client.call("POST", "/v1/subscriptions", body)
            #expect(answer.status == 400)
            #expect(answer["Content-Type"] == "application/problem+json")
            #expect(answer.json["type"].string == "urn:sluice:problem:invalid-subscription")
            let pointers = Set(answer.json["violations"].items.compactMap { $0["pointer"].string })
            let expected: Set = [
                "/sink", "/types/0", "/types/1", "/source", "/config/maxAttempts", "/config/nonsense",
                "/config/signing/secrets/0", "/sinkcredential/identifier",
            ]
            #expect(pointers.isSuperset(of: expected), "\(answer.text)")
            #expect(pointers.contains { $0.hasPrefix("/filters") }, "\(answer.text)")
            #expect(!answer.text.contains("topsecret"))
        }

        @Test func `secrets are written and never read`() throws {
            let client = try DeliveryPool.client()
            let receiver = try WebhookReceiver()
            let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
            try client.subscribe(
                "hook",
                """
                {"protocol":"HTTP","sink":"\(receiver.url)","config":{"signing":{"secrets":["\(secret)"]}},
                "sinkcredential":{"credentialtype":"ACCESSTOKEN","accesstoken":"topsecret"}}
                """
            )
            for target in ["/v1/subscriptions/hook", "/v1/subscriptions"] {
                let answer = try client.call("GET", target)
                #expect(!answer.text.contains("topsecret") && !answer.text.contains("MfKQ9r8G"), "\(answer.text)")
            }
            let shown = try client.call("GET", "/v1/subscriptions/hook").json
            #expect(shown["sinkcredential"]["secretSet"].bool == true)
            #expect(shown["config"]["signing"]["secretsSet"].int == 1)
        }

        @Test func `what is not JSON, too large or of another type is refused`() throws {
            let client = try DeliveryPool.client()
            #expect(
                try client.call("POST", "/v1/subscriptions", "{").json["type"].string
                    == "urn:sluice:problem:malformed-json"
            )
            #expect(try client.call("POST", "/v1/subscriptions", "[]").status == 400)
            let large = "{\"protocol\":\"PULL\",\"x\":\"\(String(repeating: "x", count: 300_000))\"}"
            #expect(try client.call("POST", "/v1/subscriptions", large).status == 413)
            let form = HTTPRequest(
                "POST",
                "/v1/subscriptions",
                headers: [("Content-Type", "application/x-www-form-urlencoded")],
                body: Array(Self.pull.utf8)
            )
            let answer = try client.stack.exchange(form)
            #expect(answer.status == 415)
            #expect(answer["Accept-Post"] == "application/json")
            #expect(try client.call("GET", "/v1/subscriptions/bad%21id").status == 400)
            #expect(try client.call("PUT", "/v1/subscriptions/a.b", Self.pull).status == 400)
        }

        @Test func `paths and methods that are none are refused with what is allowed`() throws {
            let client = try DeliveryPool.client()
            let nothing = [
                "/v1/subscriptions/", "/v1/subscriptions//status", "/v1/subscriptions/a/b",
                "/v1/subscriptions/a:explode",
                "/v1/subscriptions/a%2Fstatus", "/v1/subscriptions/../stats", "/v1/dead-letters/1/2", "/v1/consents/",
                "/topics/a:receive", "/topics/a/eventsubscriptions/b", "/topics/a/eventsubscriptions/b:publish",
            ]
            for target in nothing { #expect(try client.call("GET", target).status == 404, "\(target)") }
            let methods = [
                ("PATCH", "/v1/subscriptions", "GET, HEAD, POST"),
                ("POST", "/v1/subscriptions/a", "DELETE, GET, HEAD, PUT"),
                ("GET", "/v1/subscriptions/a:receive", "POST"), ("DELETE", "/v1/dead-letters", "GET, HEAD"),
                ("GET", "/v1/dead-letters:redrive", "POST"), ("HEAD", "/v1/consents/x", "GET, POST"),
                ("GET", "/topics/a/eventsubscriptions/b:receive", "POST"),
                ("TRACE", "/v1/subscriptions", "GET, HEAD, POST"),
            ]
            for (method, target, allowed) in methods {
                let answer = try client.call(method, target)
                #expect(answer.status == 405, "\(method) \(target)")
                #expect(answer["Allow"] == allowed, "\(method) \(target)")
            }
            let head = try client.call("HEAD", "/v1/subscriptions", headers: [("X-Request-Id", "r-1")])
            #expect(head.status == 200 && head.body.isEmpty)
            #expect(head["X-Request-Id"] == "r-1")
        }

        @Test func `S-04: another tenant's subscription is as good as none`() throws {
            let client = try DeliveryPool.client()
            let neighbour = client.neighbour
            try client.subscribe("mine", Self.pull)
            try client.publish(TestEvent())
            let event = try #require(try client.receive("mine").first)
            let token = event["brokerProperties"]["lockToken"].string ?? ""
            let calls = [
                ("GET", "", nil), ("GET", "/status", nil), ("DELETE", "", nil), ("POST", ":pause", nil),
                ("POST", ":resume", nil),
                ("POST", ":receive?maxWaitTime=0", nil), ("POST", ":acknowledge", "{\"lockTokens\":[\"\(token)\"]}"),
            ]
            for (method, rest, body) in calls {
                let theirs = try neighbour.call(
                    method,
                    "/v1/subscriptions/mine\(rest)",
                    body,
                    headers: [("X-Request-Id", "r")]
                )
                let none = try neighbour.call(
                    method,
                    "/v1/subscriptions/none\(rest)",
                    body,
                    headers: [("X-Request-Id", "r")]
                )
                #expect(theirs.status == 404, "\(method) \(rest)")
                #expect(theirs.text == none.text)
            }
            #expect(try neighbour.call("GET", "/v1/subscriptions").json["items"].items.isEmpty)
            // A subscription of the same name makes the token no better.
            try neighbour.subscribe("mine", Self.pull)
            let settled = try neighbour.settle("mine", "acknowledge", [event])
            #expect(settled.json["failedLockTokens"][0]["error"]["code"].string == "BadToken")
            #expect(try client.settle("mine", "acknowledge", [event]).json["succeededLockTokens"].items.count == 1)
        }

        @Test(arguments: NATSServer.available)
        func `a PUT that changes the server's filter says from where events come again`(
            binary: NATSServer.Binary
        ) throws {
            let client = try DeliveryPool.client(binary)
            try client.subscribe("s", #"{"protocol":"PULL","types":["com.example.a"]}"#)
            let first = try client.publish(TestEvent(type: "com.example.a"))[0]
            let event = try #require(try client.receive("s").first)
            #expect(try client.settle("s", "acknowledge", [event]).json["succeededLockTokens"].items.count == 1)
            let answer = try client.call(
                "PUT",
                "/v1/subscriptions/s",
                #"{"protocol":"PULL","types":["com.example.*"]}"#
            )
            #expect(answer.status == 200)
            #expect((answer.json["redeliveryFrom"].int ?? 0) > 0, "\(answer.text)")
            #expect((answer.json["redeliveryFrom"].int ?? 0) <= first + 1)
            let second = try client.publish(TestEvent(type: "com.example.b"))[0]
            // What was settled may come again first, and a poll of the old consumer may end with nothing.
            #expect(
                try waitUntil(timeout: .seconds(60)) {
                    let found = try client.receive("s", max: 10, wait: 5)
                    return found.contains { $0["brokerProperties"]["sequence"].int == second }
                }
            )
            // The same filter again changes nothing.
            let same = try client.call("PUT", "/v1/subscriptions/s", #"{"protocol":"PULL","types":["com.example.*"]}"#)
            #expect(same.json["redeliveryFrom"].isNull)
        }

        @Test func `a native subscription says how to bind, and verbs of other protocols are refused`() throws {
            let client = try DeliveryPool.client()
            let answer = try client.call(
                "PUT",
                "/v1/subscriptions/n",
                #"{"protocol":"NATS","types":["com.example.a"]}"#
            )
            #expect(answer.status == 201, "\(answer.text)")
            let settings = answer.json["protocolsettings"]
            #expect(settings["stream"].string == "SLUICE_EVENTS")
            #expect(settings["consumer"].string == "\(client.tenant)_n")
            #expect(settings["subject"].string == "ce.\(client.tenant).*.com.example.a")
            let refused = try client.call("POST", "/v1/subscriptions/n:receive?maxWaitTime=0")
            #expect(refused.status == 409)
            #expect(refused.json["type"].string == "urn:sluice:problem:wrong-protocol")
            #expect(try client.call("POST", "/v1/subscriptions/n:acknowledge", #"{"lockTokens":["x"]}"#).status == 409)
        }

        @Test func `S-28: a tenant has so many subscriptions and no more`() throws {
            let settings = DeliveryPool.settings.merging(["MAX_SUBSCRIPTIONS": "3"]) { $1 }
            let client = try DeliveryClient.make(settings: settings)
            for number in 1...3 { try client.subscribe("s\(number)", Self.pull) }
            for (method, target) in [("POST", "/v1/subscriptions"), ("PUT", "/v1/subscriptions/s4")] {
                let answer = try client.call(method, target, Self.pull)
                #expect(answer.status == 429, "\(answer.text)")
                #expect(answer.json["type"].string == "urn:sluice:problem:too-many-subscriptions")
            }
            // Replacing is no more than there was, and others have their own.
            #expect(try client.call("PUT", "/v1/subscriptions/s1", Self.pull).status == 200)
            #expect(try client.neighbour.call("POST", "/v1/subscriptions", Self.pull).status == 201)
            #expect(try client.call("DELETE", "/v1/subscriptions/s1").status == 204)
            #expect(try client.call("POST", "/v1/subscriptions", Self.pull).status == 201)
        }

        @Test func `subscriptions are there after a restart`() throws {
            let client = try DeliveryClient.make()
            let stack = client.stack
            try client.subscribe("s", Self.pull)
            try client.publish(TestEvent())
            stack.gateway.kill()
            try stack.gateway.start()
            #expect(client.waitUntilReady())
            #expect(try client.call("GET", "/v1/subscriptions/s").status == 200)
            #expect(try client.receive("s").count == 1)
        }
    }
}
