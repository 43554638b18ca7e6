import Foundation
import ServerFixtures
import Testing

extension EndToEnd {
    /// what a gateway takes from the system does not grow with what it has done.
    @Suite(.serialized) struct SoakTests {
        /// Everything that the gateway is asked to stand for a while, again and again.
        private struct Trouble {
            let gateway: GatewayProcess
            let redis: RedisServer

            /// - Returns: Requests that were answered otherwise than expected.
            func round(_ number: Int) throws -> [String] {
                var surprises: [String] = []
                func expect(_ status: Int, _ request: HTTPRequest) throws {
                    let answer = try gateway.exchange(request)
                    if answer.status != status { surprises.append("\(answer.status), not \(status): \(answer.text)") }
                }
                try expect(202, batch((0..<50).map { _ in TestEvent().json }))
                try expect(400, StatusTests.structured("{"))
                try expect(400, batch([TestEvent().json, "{}"]))
                try expect(415, StatusTests.post("text/plain", "x"))
                try expect(404, HTTPRequest("GET", "/nothing/\(number)"))
                try expect(202, TestEvent().structured(headers: [("X-Tenant-ID", "tenant-\(number % 300)")]))
                try expect(202, TestEvent(type: "type.\(number)").binary())
                try expect(200, HTTPRequest("GET", "/metrics"))
                // Neither of these is waited for: half a request, and an answer that nobody reads.
                try gateway.connect().send("POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
                try gateway.connect().send(TestEvent().structured())
                if number % 50 == 25 { redis.kill() }
                if number % 50 == 49 { try redis.start() }
                return surprises
            }
        }

        @Test func `R-37: after half a minute of load, faults and reconnects no more is held than before`() throws {
            let redis = try RedisServer()
            let stack = try GatewayStack(NATSServer.standard, settings: ["REDIS_URL": redis.url])
            let trouble = Trouble(gateway: stack.gateway, redis: redis)
            var surprises: [String] = []
            // The first rounds allocate what is then kept: pools, tables of tenants and types, caches.
            var number = 0
            try Self.load(stack.gateway, for: .seconds(10)) {
                surprises += try trouble.round(number)
                number += 1
            }
            let before = try #require(try Self.settled(stack.gateway, atMost: nil))
            let first = number
            try Self.load(stack.gateway, for: .seconds(30)) {
                surprises += try trouble.round(number)
                number += 1
            }
            #expect(number > first + 50, "only \(number - first) rounds were done")
            #expect(surprises.isEmpty, "\(surprises.count): \(surprises.prefix(3))")
            if redis.command("PING") == nil { try redis.start() }
            let after = try Self.settled(stack.gateway, atMost: before)
            #expect(after != nil, "\(String(describing: try? ProcessUse(stack.gateway))), and before \(before)")
        }

        /// Does something again and again beside clients that publish and reconnect.
        private static func load(_ gateway: GatewayProcess, for time: Duration, _ body: () throws -> Void) throws {
            let load = SteadyLoad(gateway, clients: 2, connectionLife: 20)
            let end = ContinuousClock.now + time
            while ContinuousClock.now < end { try body() }
            #expect(load.stop())
            let statuses = load.answers.statuses
            #expect(Set(statuses.keys) == [202], "\(statuses)")
        }

        /// What is held when the last connection has been closed.
        ///
        /// - Parameter bound: What may not be exceeded by more than some MiB and a few descriptors and threads.
        /// - Returns: Nil if it does not come down to that.
        private static func settled(_ gateway: GatewayProcess, atMost bound: ProcessUse?) throws -> ProcessUse? {
            var use = try ProcessUse(gateway)
            let isSettled = try waitUntil(timeout: .seconds(60)) {
                // One is the connection that asks.
                let page = try MetricsPage(gateway.get("/metrics"))
                guard page["sluice_http_connections"] == 1, page["sluice_redis_connected"] == 1 || bound == nil else {
                    return false
                }
                use = try ProcessUse(gateway)
                guard let bound else { return true }
                return use.descriptors <= bound.descriptors + 4 && use.threads <= bound.threads + 2
                    && use.residentBytes <= bound.residentBytes + 48 << 20
            }
            return isSettled ? use : nil
        }
    }
}
