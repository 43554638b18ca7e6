import ServerFixtures
import Testing

extension EndToEnd {
    /// One client that asks for more than it should harms neither the gateway nor the others.
    @Suite(.serialized) struct ConnectionAbuseTests {
        /// A publish that says nothing of what it is: refused with 415 as soon as its head is there.
        ///
        /// - Parameter id: An id that the answer repeats.
        private func badRequest(_ id: String = "") -> [UInt8] {
            let field = id.isEmpty ? "" : "X-Request-Id: \(id)\r\n"
            return latin1("POST / HTTP/1.1\r\nHost: x\r\n\(field)Content-Length: 0\r\n\r\n")
        }

        @Test func `20,000 bad requests in one send are all answered, in their order`() throws {
            let stack = try GatewayStack(NATSServer.standard)
            let connection = try stack.gateway.connect(timeout: .seconds(60))
            let count = 20_000
            let bad = (1...count).flatMap { badRequest("r\($0)") }
            var statuses: [Int: Int] = [:]
            var firstOutOfOrder: Int?
            try connection.pipeline(TestEvent().structured().bytes + bad, answers: count + 1) { index, response in
                statuses[response.status, default: 0] += 1
                let isInOrder = index == 0 ? response.status == 202 : response["X-Request-Id"] == "r\(index)"
                if !isInOrder && firstOutOfOrder == nil { firstOutOfOrder = index }
            }
            #expect(statuses == [202: 1, 415: count])
            #expect(firstOutOfOrder == nil)
            #expect(try connection.exchange(TestEvent().structured()).status == 202)
            #expect(stack.gateway.exitStatus == nil)
        }

        /// The shortest of their kind, so that as many as possible are read at once, behind good ones that keep them
        /// waiting and let the reads grow.
        @Test(arguments: [(good: 0, size: 0), (good: 1, size: 1), (good: 500, size: 1), (good: 8, size: 900_000)])
        func `short bad requests behind good ones do not pile up calls`(first: (good: Int, size: Int)) throws {
            let good = first.good
            let stack = try GatewayStack(NATSServer.standard)
            let data = quoted(String(repeating: "x", count: first.size))
            let bad = badRequest()
            let manyBad = (0..<20_000).flatMap { _ in bad }
            let connection = try stack.gateway.connect(timeout: .seconds(60))
            let events = (0..<good).map { _ in TestEvent(data: data) }
            let bytes = events.flatMap { $0.structured().bytes } + manyBad
            var firstWrong: Int?
            try connection.pipeline(bytes, answers: good + 20_000) { index, response in
                let isRight = index < good ? response.json["id"].string == events[index].id : response.status == 415
                if !isRight && firstWrong == nil { firstWrong = index }
            }
            #expect(firstWrong == nil)
            #expect(try stack.exchange(TestEvent().structured()).status == 202)
            #expect(stack.gateway.exitStatus == nil)
        }

        @Test func `bad requests between requests of the other routes are answered in their order`() throws {
            let stack = try GatewayStack(NATSServer.standard)
            let connection = try stack.gateway.connect(timeout: .seconds(60))
            let count = 5000
            let mixed = (0..<count).flatMap { index in
                badRequest("bad\(index)")
                    + HTTPRequest("GET", "/health/live", headers: [("X-Request-Id", "good\(index)")]).bytes
            }
            var wrong: [String] = []
            try connection.pipeline(TestEvent().structured().bytes + mixed, answers: 2 * count + 1) { index, response in
                let isBad = index % 2 == 1
                let id = "\(isBad ? "bad" : "good")\((index - 1) / 2)"
                let isRight = response.status == (isBad ? 415 : 200) && response["X-Request-Id"] == id
                if index > 0 && !isRight { wrong.append("\(index): \(response.status)") }
            }
            #expect(wrong.isEmpty, "\(wrong.prefix(3))")
            #expect(try stack.exchange(TestEvent().structured()).status == 202)
            #expect(stack.gateway.exitStatus == nil)
        }

        @Test func `answers that nobody reads do not fill the memory`() throws {
            let stack = try GatewayStack(NATSServer.standard)
            let before = stack.gateway.residentBytes
            // An answer is several times as large as its request: 30 MB of these would be far more than the limit.
            let greedy = try stack.gateway.connect(timeout: .seconds(2))
            let some = (0..<300).flatMap { _ in badRequest() }
            var sent = 0
            var most = before
            var isHeldBack = false
            while !isHeldBack && sent < 30_000_000 {
                do { try greedy.send(some) } catch { isHeldBack = true }
                sent += some.count
                most = max(most, stack.gateway.residentBytes)
            }
            #expect(isHeldBack, "the gateway took \(sent) bytes of requests from a client that reads nothing")
            #expect(most - before < 64 << 20)
            #expect(try stack.exchange(TestEvent().structured()).status == 202)
            #expect(try stack.gateway.get("/health/live").status == 200)
            #expect(stack.gateway.residentBytes - before < 64 << 20)
        }

        /// Attributes whose names are not allowed (CE-07), one violation each.
        private func badEntry(_ violations: Int) -> String {
            let required = "\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\""
            return "{\(required),\((1...violations).map { "\"A\($0)\":1" }.joined(separator: ","))}"
        }

        @Test(arguments: [(entries: 1, each: 40_000), (entries: 700, each: 60), (entries: 20, each: 2000)])
        func `an answer lists a bounded number of violations and tells how many there are`(
            shape: (entries: Int, each: Int)
        ) throws {
            let stack = try GatewayStack(NATSServer.standard)
            let before = stack.gateway.residentBytes
            let request = batch((0..<shape.entries).map { _ in badEntry(shape.each) })
            try #require(request.body.count > 300_000)
            let response = try stack.exchange(request)
            #expect(response.status == 400)
            let listed = response.json["violations"].items
            #expect((1...256).contains(listed.count), "\(listed.count) violations")
            #expect(response.body.count < 256 * 1024)
            let detail = response.json["detail"].string ?? ""
            let numbers = detail.split { !$0.isNumber }.compactMap { Int($0) }
            #expect(numbers.contains(shape.entries * shape.each), "\(detail)")
            #expect(stack.gateway.residentBytes - before < 64 << 20)
        }

        @Test func `a single event's answer lists a bounded number of violations too`() throws {
            let stack = try GatewayStack(NATSServer.standard)
            let response = try stack.exchange(StatusTests.structured(badEntry(40_000)))
            #expect(response.status == 400)
            #expect((1...256).contains(response.json["violations"].items.count))
            let detail = response.json["detail"].string ?? ""
            #expect(detail.split { !$0.isNumber }.contains("40000"), "\(detail)")
        }

        @Test func `with on-invalid=skip the report on bad entries is bounded as well`() throws {
            let stack = try GatewayStack(NATSServer.standard)
            let entries = [TestEvent().json] + (0..<20).map { _ in badEntry(2000) }
            let response = try stack.exchange(batch(entries, to: "/v1/events?on-invalid=skip"))
            #expect(response.status == 207)
            #expect(response.json["accepted"].int == 1)
            let results = response.json["results"].items
            #expect(results.count == 21)
            #expect(results.allSatisfy { $0["error"]["violations"].items.count <= 256 })
            #expect(response.body.count < 1 << 20)
        }
    }
}
