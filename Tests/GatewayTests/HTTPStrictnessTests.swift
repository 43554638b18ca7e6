import ServerFixtures
import Testing

extension EndToEnd {
    /// What RFC 9112 demands of a server: hosts, codings, targets, upgrades, and bodies that announce themselves.
    @Suite(.serialized, .sharedStacks) struct HTTPStrictnessTests {
        /// The start lines and fields of a request of each of the two paths through the gateway, without a Host.
        static let heads = [
            "POST /v1/events HTTP/1.1\r\nContent-Type: application/cloudevents+json\r\nContent-Length: 0\r\n",
            "GET /health/live HTTP/1.1\r\n",
        ]

        // MARK: Host (RFC 9112 §3.2)

        @Test(arguments: heads, ["", "Host: a\r\nHost: b\r\n", "Host: a\r\nHost: a\r\n"])
        func `a request without exactly one Host is a 400 and the last`(head: String, hosts: String) throws {
            let connection = try StackPool.stack().gateway.connect()
            try connection.send(head + hosts + "\r\n")
            let response = try connection.receive()
            #expect(response.status == 400, "\(response.text)")
            #expect(response["Content-Type"] == "application/problem+json")
            #expect(response.json["type"].string == "urn:sluice:problem:malformed-request")
            #expect(response.json["detail"].string?.contains("Host") == true, "\(response.text)")
            #expect(response["Connection"]?.lowercased() == "close")
            #expect(connection.isClosedByPeer())
        }

        @Test func `an HTTP 1.0 request needs no Host`() throws {
            let connection = try StackPool.stack().gateway.connect()
            let body = TestEvent().json
            let head = "POST /v1/events HTTP/1.0\r\nContent-Type: application/cloudevents+json\r\n"
            try connection.send(head + "Content-Length: \(body.utf8.count)\r\n\r\n" + body)
            #expect(try connection.receive().status == 202)
            let other = try StackPool.stack().gateway.connect()
            try other.send("GET /health/live HTTP/1.0\r\n\r\n")
            #expect(try other.receive().status == 200)
            #expect(other.isClosedByPeer())
        }

        // MARK: Transfer-Encoding (RFC 9112 §6.1)

        static let codings = ["gzip, chunked", "deflate,chunked", "gzip\r\nTransfer-Encoding: chunked"]

        @Test(arguments: codings, ["POST /v1/events", "POST /none"])
        func `a transfer coding besides chunked is a 400 and the last`(coding: String, line: String) throws {
            let stack = try StackPool.stack()
            let before = try stack.reader().lastSequence()
            let connection = try stack.gateway.connect()
            let type = "Content-Type: application/cloudevents+json\r\n"
            try connection.send("\(line) HTTP/1.1\r\nHost: a\r\n\(type)Transfer-Encoding: \(coding)\r\n\r\n")
            let response = try connection.receive()
            #expect(response.status == 400, "\(response.text)")
            #expect(response.json["type"].string == "urn:sluice:problem:malformed-request")
            #expect(connection.isClosedByPeer())
            #expect(try stack.reader().lastSequence() == before)
        }

        @Test func `the name of the chunked coding ignores case`() throws {
            let connection = try StackPool.stack().gateway.connect()
            var request = TestEvent().structured()
            let body = String(decoding: request.body, as: UTF8.self)
            request.framing = .none
            request.headers.append(("Transfer-Encoding", "Chunked"))
            try connection.send(request.head)
            try connection.send("\(String(body.utf8.count, radix: 16))\r\n\(body)\r\n0\r\n\r\n")
            #expect(try connection.receive().status == 202)
            #expect(try connection.get("/health/live").status == 200)
        }

        // MARK: The request target (RFC 9112 §3.2.2)

        static let absoluteTargets = [
            "http://sluice.test/v1/events", "http://sluice.test:80/v1/events", "HTTP://Sluice.test/v1/events",
            "http://sluice.test/", "http://sluice.test",
        ]

        @Test(arguments: absoluteTargets)
        func `an event may be posted to a target in absolute form`(target: String) throws {
            let connection = try StackPool.stack().gateway.connect()
            let event = TestEvent()
            let response = try connection.exchange(event.structured(to: target))
            #expect(response.status == 202, "\(response.text)")
            #expect(response.json["id"].string == event.id)
            #expect(try connection.exchange(TestEvent().structured()).status == 202)
        }

        @Test func `a target in absolute form means the same on every route, with its query`() throws {
            let stack = try StackPool.stack()
            let connection = try stack.gateway.connect()
            #expect(try connection.get("http://sluice.test/health/live").status == 200)
            #expect(try connection.get("http://sluice.test/none").status == 404)
            let entries = [TestEvent().json, "{}"]
            #expect(try connection.exchange(batch(entries, to: "http://sluice.test/v1/events")).status == 400)
            for target in ["http://sluice.test/v1/events?on-invalid=skip", "http://sluice.test?on-invalid=skip"] {
                #expect(try connection.exchange(batch(entries, to: target)).status == 207)
            }
        }

        // MARK: Upgrade and CONNECT (RFC 9110 §7.8, §9.3.6)

        @Test(arguments: ["h2c", "websocket", "TLS/1.3"])
        func `an offer to upgrade is declined by a normal answer, the connection's last`(protocolName: String) throws {
            let stack = try StackPool.stack()
            let fields = [
                ("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", protocolName),
                ("HTTP2-Settings", "AAMAAABkAAQAoAAAAAIAAAAA"),
            ]
            let event = TestEvent()
            let requests = [
                (event.structured(headers: fields), 202), (TestEvent(id: "").structured(headers: fields), 400),
                (HTTPRequest("GET", "/health/live", headers: fields), 200),
                (HTTPRequest("GET", "/none", headers: fields), 404),
            ]
            for (request, status) in requests {
                let connection = try stack.gateway.connect()
                let response = try connection.exchange(request)
                #expect(response.status == status, "\(request.method) \(request.target): \(response.text)")
                #expect(response["Connection"]?.lowercased() == "close", "\(request.method) \(request.target)")
                #expect(connection.isClosedByPeer(), "\(request.method) \(request.target)")
            }
            #expect(try stack.exchange(event.structured()).json["duplicate"].bool == true)
        }

        @Test(arguments: ["keep-alive", "Upgrade", "TE, X-Hop", "Keep-Alive, Upgrade"])
        func `a Connection field that upgrades nothing keeps the connection`(value: String) throws {
            let connection = try StackPool.stack().gateway.connect()
            for _ in 0..<2 {
                #expect(try connection.exchange(TestEvent().structured(headers: [("Connection", value)])).status == 202)
                #expect(try connection.get("/health/live", headers: [("Connection", value)]).status == 200)
            }
        }

        @Test(arguments: [false, true])
        func `CONNECT is refused and ends the connection`(afterAnother: Bool) throws {
            let stack = try StackPool.stack()
            let connection = try stack.gateway.connect()
            if afterAnother { #expect(try connection.exchange(TestEvent().structured()).status == 202) }
            try connection.send("CONNECT sluice.test:443 HTTP/1.1\r\nHost: sluice.test:443\r\n\r\n")
            let response = try connection.receive()
            #expect((400..<600).contains(response.status), "\(response.status)")
            #expect(connection.isClosedByPeer())
            #expect(try stack.exchange(TestEvent().structured()).status == 202)
        }
    }
}

extension EndToEnd.HTTPStrictnessTests {
    // MARK: The body's announced length

    /// What a request for one event may have beyond the event, in white space and names.
    private static let slack = 65_536

    private static func announcing(_ length: Int, _ request: HTTPRequest) -> HTTPRequest {
        var request = request
        request.framing = .none
        request.body = []
        request.headers.append(("Content-Length", String(length)))
        return request
    }

    @Test func `S-13: a single event that announces too large a body is refused before the body comes`() throws {
        let stack = try GatewayStack(NATSServer.standard, settings: ["MAX_EVENT_BYTES": "100000"])
        let short = shortForm("{\"event_type\":\"a\",\"payload\":{}}")
        for request in [TestEvent().structured(), TestEvent().binary(), short] {
            for length in [300_000, 100_000 + Self.slack + 1] {
                let connection = try stack.gateway.connect()
                try connection.send(Self.announcing(length, request))
                let response = try connection.receive()
                #expect(response.status == 413, "\(length): \(response.text)")
                #expect(response.json["type"].string == "urn:sluice:problem:too-large")
                #expect(response.json["limit"].int == 100_000)
                #expect(connection.isClosedByPeer())
            }
            let connection = try stack.gateway.connect()
            var atLimit = Self.announcing(100_000 + Self.slack, request)
            atLimit.headers.append(("Expect", "100-continue"))
            try connection.send(atLimit)
            #expect(try connection.receive().status == 100)
        }
    }

    @Test func `S-13: a chunked body of a single event is cut off at the same limit`() throws {
        let stack = try GatewayStack(NATSServer.standard, settings: ["MAX_EVENT_BYTES": "100000"])
        for (size, status) in [(100_000 + Self.slack, 202), (100_000 + Self.slack + 1, 413)] {
            var request = TestEvent().structured()
            request.body += Array(repeating: 32, count: size - request.body.count)
            request.framing = .chunked(of: 10_000)
            #expect(try stack.exchange(request).status == status, "\(size)")
        }
    }

    @Test func `S-13: a batch may be larger than the largest event`() throws {
        let stack = try GatewayStack(NATSServer.standard, settings: ["MAX_EVENT_BYTES": "100000"])
        let connection = try stack.gateway.connect()
        let events = (0..<4).map { _ in TestEvent(data: quoted(String(repeating: "x", count: 75_000))).json }
        let request = batch(events)
        try #require(request.body.count > 300_000)
        let response = try connection.exchange(request)
        #expect(response.status == 202, "\(response.text)")
        #expect(response.json["accepted"].int == 4)
        #expect(try connection.exchange(TestEvent().structured()).status == 202)
    }
}
