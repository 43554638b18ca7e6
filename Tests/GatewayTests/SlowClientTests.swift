import Foundation
import Glibc
import ServerFixtures
import Testing

extension EndToEnd {
    /// S-14 and R-37: clients that are slow, silent or too many take nothing from the others.
    @Suite(.serialized) struct SlowClientTests {
        private func descriptors(of gateway: GatewayProcess) -> Int {
            (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(gateway.pid)/fd").count) ?? .max
        }

        @Test(arguments: ["POST /v1/events HTTP/1.1\r\nHost: a\r\nX-A: ", "POST /", "\r\n"])
        func `S-14: a header that comes byte by byte is cut off with 408`(begin: String) throws {
            let stack = try GatewayStack(NATSServer.standard, settings: ["HEADER_TIMEOUT": "1"])
            let connection = try stack.gateway.connect()
            // Also behind a request that was in order.
            #expect(try connection.exchange(TestEvent().structured()).status == 202)
            try connection.send(begin)
            let isAnswered = waitUntil(timeout: .seconds(20)) {
                (try? connection.send(begin == "\r\n" ? begin : "a")) == nil
                    || connection.hasSomethingToRead(within: .milliseconds(100))
            }
            #expect(isAnswered)
            let response = try connection.receive()
            #expect(response.status == 408, "\(response.text)")
            #expect(response["Connection"]?.lowercased() == "close")
            #expect(response.json["type"].string == "urn:sluice:problem:request-timeout")
        }

        @Test func `S-14: a header in two pieces within HEADER_TIMEOUT is taken`() async throws {
            let stack = try GatewayStack(NATSServer.standard, settings: ["HEADER_TIMEOUT": "5"])
            let connection = try stack.gateway.connect()
            for _ in 0..<3 {
                let bytes = TestEvent().structured().bytes
                try connection.send(Array(bytes[..<20]))
                await letPass(.milliseconds(200))
                try connection.send(Array(bytes[20...]))
                #expect(try connection.receive().status == 202)
            }
        }

        @Test func `S-14: a body that comes byte by byte is cut off on every route`() throws {
            let stack = try GatewayStack(NATSServer.standard)
            let head = "Host: a\r\nContent-Type: application/cloudevents+json\r\nContent-Length: 100000\r\n\r\n"
            let publishing = try stack.gateway.connect(timeout: .seconds(90))
            let other = try stack.gateway.connect(timeout: .seconds(90))
            try publishing.send("POST /v1/events HTTP/1.1\r\n" + head)
            try other.send("POST /health HTTP/1.1\r\n" + head)
            for (connection, status) in [(other, 405), (publishing, 408)] {
                let isAnswered = waitUntil(timeout: .seconds(90)) {
                    _ = try? publishing.send(" ")
                    _ = try? other.send(" ")
                    return connection.hasSomethingToRead(within: .milliseconds(100))
                }
                #expect(isAnswered)
                let response = try connection.receive()
                #expect(response.status == status)
                #expect(response["Connection"]?.lowercased() == "close")
            }
        }

        @Test func `S-14, R-37: a healthy client goes on among 3,000 slow ones, and all they took comes back`() throws {
            var limit = rlimit(rlim_cur: 8192, rlim_max: 0)
            var current = rlimit()
            _ = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &current)
            limit.rlim_max = current.rlim_max
            try #require(setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0)
            let times = ["HEADER_TIMEOUT": "3", "IDLE_TIMEOUT": "4"]
            let stack = try GatewayStack(NATSServer.standard, settings: times)
            let healthy = try stack.gateway.connect(timeout: .seconds(60))
            #expect(try healthy.exchange(TestEvent().structured()).status == 202)
            let base = (descriptors(of: stack.gateway), memory: stack.gateway.residentBytes)
            let begins = ["", "P", "POST /v1/events HTTP/1.1\r\nHost: a\r\nX-A: b"]
            var slow: [HTTPConnection] = []
            for index in 0..<3000 {
                let connection = try stack.gateway.connect(timeout: .seconds(5))
                try connection.send(begins[index % 3])
                slow.append(connection)
                if index % 10 == 0 { #expect(try healthy.exchange(TestEvent().structured()).status == 202) }
            }
            var failures = 0
            let areCut = waitUntil(timeout: .seconds(60)) {
                for connection in slow { _ = try? connection.send("a") }
                if (try? healthy.exchange(TestEvent().structured()).status) != 202 { failures += 1 }
                return descriptors(of: stack.gateway) <= base.0
            }
            #expect(failures == 0)
            #expect(areCut, "\(descriptors(of: stack.gateway)) descriptors, \(base.0) before")
            #expect(try healthy.exchange(TestEvent().structured()).status == 202)
            #expect(stack.gateway.residentBytes - base.memory < 96 << 20)
            #expect(stack.gateway.exitStatus == nil)
        }

        @Test(arguments: ["MAX_CONNECTIONS", "MAX_CONNECTIONS_PER_ADDRESS"])
        func `S-14: a connection too many is told so at once, and the others go on`(setting: String) throws {
            let stack = try GatewayStack(NATSServer.standard, settings: [setting: "20"])
            var open: [HTTPConnection] = []
            // Those that asked whether the gateway is ready may still be closing.
            let isFull = try waitUntil(timeout: .seconds(20)) {
                let connection = try stack.gateway.connect()
                if try connection.exchange(TestEvent().structured()).status == 202 { open.append(connection) }
                return open.count == 20
            }
            try #require(isFull)
            for _ in 0..<200 {
                let refused = try stack.gateway.connect()
                let response = try refused.exchange(TestEvent().structured())
                #expect(response.status == 503)
                #expect(response["Retry-After"] != nil)
                #expect(response["Connection"]?.lowercased() == "close")
                #expect(response.json["type"].string == "urn:sluice:problem:overloaded")
                #expect(refused.isClosedByPeer())
            }
            for connection in open { #expect(try connection.exchange(TestEvent().structured()).status == 202) }
            open.removeLast()
            let isRoom = waitUntil(timeout: .seconds(20)) {
                (try? stack.gateway.exchange(TestEvent().structured()).status) == 202
            }
            #expect(isRoom)
        }
    }
}
