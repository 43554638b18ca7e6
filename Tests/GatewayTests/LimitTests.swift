import ServerFixtures
import Testing

extension EndToEnd {
    /// R-12 and S-13: every limit, one below, at it and one above.
    @Suite(.serialized) struct LimitTests {
        private static let small = ["MAX_EVENT_BYTES": "4096", "MAX_BODY_BYTES": "65536", "MAX_BATCH_EVENTS": "10"]

        /// A gateway for one test; the first server is enough for what the gateway itself decides.
        private func start(_ settings: [String: String], on binary: NATSServer.Binary? = nil) throws -> GatewayStack {
            try GatewayStack(binary ?? NATSServer.standard, settings: settings)
        }

        /// An event whose stored form has exactly this many bytes, by what an event of the same shape has taken before.
        private func event(storedBytes: Int, in stack: GatewayStack) throws -> TestEvent {
            var event = TestEvent()
            event.data = quoted("")
            let sequence = try #require(try stack.exchange(event.structured()).json["sequence"].int)
            let taken = try #require(try stack.reader().message(sequence)).payload.count
            event.id = uniqueID()
            event.data = quoted(String(repeating: "x", count: storedBytes - taken))
            return event
        }

        @Test(arguments: NATSServer.available)
        func `R-12: the stored event is bounded at the byte and NATS never sees a larger one`(
            binary: NATSServer.Binary
        ) throws {
            let stack = try start([:], on: binary)
            let limit = 1_048_576 - 8192
            for (size, status) in [(limit - 1, 202), (limit, 202), (limit + 1, 413)] {
                let response = try stack.exchange(event(storedBytes: size, in: stack).structured())
                #expect(response.status == status, "\(size): \(response.text)")
                if status == 413 {
                    #expect(response.json["type"].string == "urn:sluice:problem:too-large")
                    #expect(response.json["limit"].int == limit)
                }
            }
            // A connection that NATS had closed for a payload violation would answer 503 for a while.
            #expect(try stack.exchange(TestEvent().structured()).status == 202)
            #expect(!stack.server.log.contains("Maximum Payload Violation"))
        }

        @Test func `R-12: MAX_EVENT_BYTES bounds the encoded event in every mode`() throws {
            let stack = try start(Self.small)
            let large = try event(storedBytes: 4097, in: stack)
            for request in [large.structured(), large.binary(), batch([TestEvent().json, large.json])] {
                let response = try stack.exchange(request)
                #expect(response.status == 413, "\(response.text)")
                #expect(response.json["limit"].int == 4096)
            }
            #expect(try stack.exchange(batch([TestEvent().json, large.json])).pointers == ["/1"])
            #expect(try stack.exchange(event(storedBytes: 4096, in: stack).structured()).status == 202)
        }

        @Test func `S-13: MAX_BODY_BYTES bounds the request body at the byte`() throws {
            let stack = try start(Self.small)
            for (size, status) in [(65_535, 202), (65_536, 202), (65_537, 413)] {
                for framing in [HTTPRequest.Framing.contentLength, .chunked(of: 5000)] {
                    var request = TestEvent().structured()
                    request.body += Array(repeating: 32, count: size - request.body.count)
                    request.framing = framing
                    let response = try stack.exchange(request)
                    #expect(response.status == status, "\(size): \(response.text)")
                    if status == 413 { #expect(response.json["limit"].int == 65_536) }
                }
            }
        }

        @Test func `S-13: MAX_BATCH_EVENTS bounds a batch`() throws {
            let stack = try start(Self.small)
            for (count, status) in [(9, 202), (10, 202), (11, 413)] {
                let before = try stack.reader().lastSequence()
                let response = try stack.exchange(batch((0..<count).map { _ in TestEvent().json }))
                #expect(response.status == status, "\(count): \(response.text)")
                #expect(try stack.reader().lastSequence() == before + (status == 202 ? count : 0))
                if status == 413 {
                    #expect(response.json["type"].string == "urn:sluice:problem:batch-too-large")
                    #expect(response.json["limit"].int == 10)
                }
            }
        }

        @Test func `an endless chunked body is cut off with 413 and memory stays flat`() throws {
            let stack = try start(Self.small)
            let before = stack.gateway.residentBytes
            let connection = try stack.gateway.connect()
            var request = TestEvent().structured()
            request.framing = .chunked(of: 1)
            try connection.send(request.head)
            let chunk = latin1("4000\r\n" + String(repeating: " ", count: 0x4000) + "\r\n")
            for _ in 0..<4096 where !connection.hasSomethingToRead(within: .zero) {
                do { try connection.send(chunk) } catch { break }
            }
            #expect(try connection.receive().status == 413)
            #expect(stack.gateway.residentBytes - before < 16 << 20)
            #expect(try stack.exchange(TestEvent().structured()).status == 202)
        }

        @Test func `a client that never reads its answers is not read from for ever`() throws {
            let stack = try start([:])
            let before = stack.gateway.residentBytes
            let greedy = try stack.gateway.connect(timeout: .seconds(2))
            let requests = (0..<1000).flatMap { _ in
                HTTPRequest("GET", "/health").bytes + TestEvent(id: "").binary().bytes
            }
            // 150 MB of requests in all; a gateway that pushes back takes some of them and then no more.
            var isHeldBack = false
            for _ in 0..<400 where !isHeldBack {
                do { try greedy.send(requests) } catch { isHeldBack = true }
            }
            #expect(isHeldBack)
            #expect(stack.gateway.residentBytes - before < 32 << 20)
            #expect(try stack.exchange(TestEvent().structured()).status == 202)
        }

        @Test func `S-13: an attribute may fill the header block, a larger block is a 431`() throws {
            let stack = try start([:])
            let connection = try stack.gateway.connect()
            let long = String(repeating: "v", count: 60_000)
            let fits = try connection.exchange(TestEvent().binary(headers: [("ce-long", long)]))
            #expect(fits.status == 202, "\(fits.text)")
            let message = try stack.reader().message(fits.json["sequence"].int ?? 0)
            #expect(try message?.event().attributes["long"] == long)
            let tooLong = try stack.exchange(TestEvent().binary(headers: [("ce-long", long), ("ce-more", long)]))
            #expect(tooLong.status == 431)
            #expect(try stack.exchange(TestEvent().structured()).status == 202)
        }

        @Test func `S-13: more than 256 header fields are a 431`() throws {
            let stack = try start([:])
            func fields(_ count: Int) -> HTTPRequest {
                HTTPRequest("GET", "/health/live", headers: (1..<count).map { ("X-\($0)", "1") })
            }
            #expect(try stack.exchange(fields(256)).status == 200)
            #expect(try stack.exchange(fields(257)).status == 431)
        }

        @Test(arguments: [100_000, 1_000_000])
        func `S-13: a request line without end is refused`(size: Int) throws {
            let stack = try start([:])
            let connection = try stack.gateway.connect()
            try? connection.send("GET /\(String(repeating: "x", count: size)) HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect([414, 431].contains(try connection.receive().status))
            #expect(try stack.exchange(TestEvent().structured()).status == 202)
        }

        @Test func `R-12: trace fields of any size never close the connection to NATS`() throws {
            let stack = try start([:])
            for size in [512, 8192, 60_000] {
                let state = [("tracestate", "a=" + String(repeating: "x", count: size))]
                let parent = [("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
                let response = try stack.exchange(TestEvent().structured(headers: parent + state))
                #expect(response.status == 202, "\(size): \(response.text)")
            }
            #expect(try stack.exchange(TestEvent().structured()).status == 202)
        }

        @Test(arguments: NATSServer.available, [("MAX_MSGS", "10", "messages"), ("MAX_BYTES", "6000", "bytes")])
        func `a full stream refuses with 507, names the limit, and takes events again when there is room`(
            binary: NATSServer.Binary,
            setting: (name: String, value: String, limit: String)
        ) throws {
            let stack = try start([setting.name: setting.value], on: binary)
            var ids: [String] = []
            var response = try stack.exchange(TestEvent().structured())
            while response.status == 202, ids.count < 100 {
                ids.append(response.json["id"].string ?? "")
                response = try stack.exchange(TestEvent().structured())
            }
            #expect(response.status == 507, "\(response.text)")
            #expect(response.json["type"].string == "urn:sluice:problem:store-full")
            #expect(response.json["detail"].string?.contains(setting.limit) == true, "\(response.text)")
            if setting.name == "MAX_MSGS" { #expect(ids.count == 10) }
            #expect(try stack.reader().messageCount() == ids.count)
            let partly = try stack.exchange(batch([TestEvent().json, TestEvent().json]))
            #expect(partly.status == 507)
            #expect(partly.json["results"].items.map { $0["status"].int } == [507, 507], "\(partly.text)")
            _ = try stack.reader().api("STREAM.PURGE.\(GatewayStack.stream)")
            #expect(try stack.exchange(TestEvent().structured()).status == 202)
        }
    }
}
