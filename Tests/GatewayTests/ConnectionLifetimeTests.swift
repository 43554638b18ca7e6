import Foundation
import ServerFixtures
import Testing

extension EndToEnd {
    /// When a connection ends, and that it ends whole: nothing stays open behind a client, nothing is cut short.
    @Suite(.serialized) struct ConnectionLifetimeTests {
        /// How many descriptors the gateway has open.
        private func descriptors(of gateway: GatewayProcess) -> Int {
            (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(gateway.pid)/fd").count) ?? .max
        }

        /// A gateway and the number of its descriptors without any HTTP connection.
        private func quietStack(_ settings: [String: String]) throws -> (GatewayStack, base: Int) {
            let stack = try GatewayStack(NATSServer.standard, settings: settings)
            // The connections that asked whether it is ready may take a moment to go.
            var base = Int.max
            var same = 0
            let isQuiet = waitUntil(timeout: .seconds(20)) {
                let now = descriptors(of: stack.gateway)
                same = now == base ? same + 1 : 0
                base = now
                return same >= 200
            }
            try #require(isQuiet)
            return (stack, base)
        }

        /// The last request before the client falls silent.
        enum Last: String, Sendable, CaseIterable {
            case nothing, publish, refused, health, head, missing

            func exchange(on connection: HTTPConnection) throws {
                switch self {
                case .nothing: break
                case .publish: #expect(try connection.exchange(TestEvent().structured()).status == 202)
                case .refused: #expect(try connection.exchange(TestEvent(id: "").structured()).status == 400)
                case .health: #expect(try connection.get("/health/live").status == 200)
                case .head: #expect(try connection.exchange(HTTPRequest("HEAD", "/health/live")).status == 200)
                case .missing: #expect(try connection.get("/none").status == 404)
                }
            }
        }

        @Test func `IDLE_TIMEOUT holds whatever the last request was`() throws {
            let (stack, base) = try quietStack(["IDLE_TIMEOUT": "1"])
            for last in Last.allCases {
                let connection = try stack.gateway.connect()
                try last.exchange(on: connection)
                #expect(connection.isClosedByPeer(), "\(last)")
                let isGone = waitUntil(timeout: .seconds(20)) { descriptors(of: stack.gateway) <= base }
                #expect(isGone, "\(last): a descriptor stays open")
            }
        }

        @Test func `IDLE_TIMEOUT holds after requests of every route on one connection`() throws {
            let (stack, base) = try quietStack(["IDLE_TIMEOUT": "1"])
            let connection = try stack.gateway.connect()
            for last in Last.allCases + Last.allCases { try last.exchange(on: connection) }
            #expect(connection.isClosedByPeer())
            #expect(waitUntil(timeout: .seconds(20)) { descriptors(of: stack.gateway) <= base })
        }

        @Test(arguments: [Last.publish, .refused, .health, .head, .missing])
        func `after Connection close nothing stays open for a client that never closes`(last: Last) throws {
            let (stack, base) = try quietStack([:])
            let close = [("Connection", "close")]
            let connections = try (0..<8).map { _ in try stack.gateway.connect() }
            for connection in connections {
                switch last {
                case .publish: #expect(try connection.exchange(TestEvent().structured(headers: close)).status == 202)
                case .refused:
                    #expect(try connection.exchange(TestEvent(id: "").structured(headers: close)).status == 400)
                case .head:
                    let request = HTTPRequest("HEAD", "/health/live", headers: close)
                    #expect(try connection.exchange(request).status == 200)
                case .missing: #expect(try connection.get("/none", headers: close).status == 404)
                case .health, .nothing: #expect(try connection.get("/health/live", headers: close).status == 200)
                }
                #expect(connection.isClosedByPeer())
            }
            #expect(waitUntil(timeout: .seconds(20)) { descriptors(of: stack.gateway) <= base }, "still open")
            for connection in connections {
                // The first bytes are answered with a reset, which the next send sees.
                let isReset = waitUntil(timeout: .seconds(10)) { (try? connection.send("x")) == nil }
                #expect(isReset)
            }
        }

        /// Events whose answer is some megabytes: it repeats each id and source.
        private func largeBatch(entries: Int, skip: Bool) -> HTTPRequest {
            let path = "/" + String(repeating: "s", count: 8000)
            let events = (0..<entries).map { _ in TestEvent(source: path, data: nil).json }
            return batch(events + (skip ? ["{}"] : []), to: skip ? "/v1/events?on-invalid=skip" : "/v1/events")
        }

        @Test(arguments: [false, true])
        func `a client that half-closes and reads slowly gets a large answer whole`(skip: Bool) async throws {
            let stack = try GatewayStack(NATSServer.standard)
            let connection = try HTTPConnection(port: stack.gateway.port, timeout: .seconds(30), receiveBuffer: 16_384)
            try connection.send(largeBatch(entries: 999, skip: skip))
            connection.closeForWriting()
            await letPass(.milliseconds(300))
            var reads = 0
            while try connection.readSome() {
                reads += 1
                if reads % 50 == 0 { await letPass(.milliseconds(50)) }
            }
            let response = try connection.receive()
            #expect(response.status == (skip ? 207 : 202))
            #expect(response.body.count > 7_000_000)
            #expect(response.json["accepted"].int == 999)
            #expect(response.json["results"].items.count == (skip ? 1000 : 999))
            #expect(connection.isClosedByPeer())
        }

        @Test func `a client that asks for the end and reads late gets a large answer whole`() async throws {
            let stack = try GatewayStack(NATSServer.standard)
            let connection = try HTTPConnection(port: stack.gateway.port, timeout: .seconds(30), receiveBuffer: 16_384)
            var request = largeBatch(entries: 999, skip: false)
            request.headers.append(("Connection", "close"))
            try connection.send(request)
            try #require(connection.hasSomethingToRead(within: .seconds(30)))
            // Longer than a connection lingers after its last answer has left.
            await letPass(.seconds(4))
            let response = try connection.receive()
            #expect(response.status == 202)
            #expect(response.json["results"].items.count == 999)
            #expect(connection.isClosedByPeer())
        }

        @Test func `SIGTERM ends the process in time whatever its clients hold open`() throws {
            let stack = try GatewayStack(NATSServer.standard, settings: ["DRAIN_TIMEOUT": "2"])
            let gateway = stack.gateway
            let halfSent = try gateway.connect()
            try halfSent.send(Array(TestEvent().structured().bytes.dropLast(5)))
            let idleAfterGet = try gateway.connect()
            #expect(try idleAfterGet.get("/health/live").status == 200)
            let idleAfterPublish = try gateway.connect()
            #expect(try idleAfterPublish.exchange(TestEvent().structured()).status == 202)
            let silent = try gateway.connect()
            let unread = try gateway.connect()
            try unread.send((0..<100).flatMap { _ in HTTPRequest("GET", "/health").bytes })
            // A connection that came after these was served: they are all known to the gateway.
            #expect(try gateway.get("/health/live").status == 200)
            gateway.terminate()
            #expect(gateway.waitForExit(timeout: .seconds(10)), "still running after DRAIN_TIMEOUT and 8 s")
            #expect(gateway.exitStatus == 0)
            for connection in [halfSent, idleAfterGet, idleAfterPublish, silent] {
                let isEnded = waitUntil(timeout: .seconds(5)) { (try? connection.readSome()) != true }
                #expect(isEnded)
            }
        }
    }
}
