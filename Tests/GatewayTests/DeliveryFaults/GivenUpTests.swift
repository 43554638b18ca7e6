import Foundation
import ServerFixtures
import Testing

extension EndToEnd {
    /// R-21: that a sink is gone for good is written down whatever happens meanwhile, and of its own definition only.
    @Suite(.serialized) struct GivenUpTests {
        /// Why it cannot be written down at first.
        enum Trouble: CaseIterable, Sendable {
            /// The bucket of the subscriptions takes no record.
            case refused
            /// nats-server is away.
            case away
        }

        private static let bucket = "KV_SLUICE_SUBSCRIPTIONS"

        /// A sink whose first request waits for the door, and is told then that the sink is gone.
        private static func leavingSink(_ door: Shared<Bool>) throws -> WebhookReceiver {
            try WebhookReceiver { _, before in
                guard before == 0 else { return .status(204) }
                _ = waitUntil(timeout: .seconds(120)) { door.current }
                return .status(410)
            }
        }

        /// Lets the bucket take records of so many bytes.
        private static func limitRecords(to bytes: Int, _ server: NATSServer) throws {
            let probe = try NATSProbe(url: server.url)
            var configuration = try #require(probe.streamInfo(bucket)?["config"] as? [String: Any])
            configuration["max_msg_size"] = bytes
            let data = try JSONSerialization.data(withJSONObject: configuration)
            let answer = probe.json("$JS.API.STREAM.UPDATE.\(bucket)", String(decoding: data, as: UTF8.self))
            try #require(answer != nil && answer?["error"] == nil, "\(answer ?? [:])")
        }

        @Test(arguments: NATSServer.available, Trouble.allCases)
        func `R-21: what cannot be written down at first is written down in the end`(
            binary: NATSServer.Binary,
            trouble: Trouble
        ) throws {
            let client = try DeliveryClient.make(binary)
            let (server, gateway) = (client.stack.server, client.stack.gateway)
            let door = Shared(false)
            let receiver = try Self.leavingSink(door)
            try client.push(to: receiver, config: [#""ackWait":30"#])
            try client.publish(TestEvent())
            #expect(receiver.hasGot(1))
            switch trouble {
            case .refused: try Self.limitRecords(to: 1, server)
            case .away:
                server.kill()
                #expect(waitUntil(timeout: .seconds(30)) { gateway.status(of: "/health/ready") == 503 })
            }
            door.withLock { $0 = true }
            let hasFailed = waitUntil(timeout: .seconds(60)) {
                gateway.log.contains { $0.contains("cannot be disabled yet") }
            }
            #expect(hasFailed)
            switch trouble {
            case .refused: try Self.limitRecords(to: -1, server)
            case .away:
                try server.start()
                #expect(client.stack.waitUntilReady())
            }
            let isDisabled = waitUntil(timeout: .seconds(90)) {
                (try? client.call("GET", "/v1/subscriptions/s").json["state"].string) == "disabled"
            }
            try #require(isDisabled)
            #expect(try client.call("GET", "/v1/subscriptions/s").json["stateReason"].string?.contains("410") == true)
            #expect(try client.letters().allSatisfy { $0["reason"].string == "gone" })
            // Whoever knows may resume it.
            #expect(try client.call("POST", "/v1/subscriptions/s:resume").status == 200)
            let next = TestEvent()
            try client.publish(next)
            #expect(waitUntil(timeout: .seconds(60)) { receiver.copiesByID[next.id] != nil })
        }

        @Test(arguments: NATSServer.available)
        func `R-21: a late 410 of the sink before does not disable the definition that has replaced it`(
            binary: NATSServer.Binary
        ) throws {
            let client = try DeliveryClient.make(binary)
            let door = Shared(false)
            let (old, new) = (try Self.leavingSink(door), try WebhookReceiver())
            try client.push(to: old, config: [#""ackWait":30"#])
            try client.publish(TestEvent())
            #expect(old.hasGot(1))
            try client.push(to: new, config: [#""ackWait":30"#])
            // The new definition delivers while the old one's attempt still runs.
            let first = TestEvent()
            try client.publish(first)
            #expect(waitUntil(timeout: .seconds(60)) { new.copiesByID[first.id] != nil })
            door.withLock { $0 = true }
            #expect(try client.letters()[0]["reason"].string == "gone")
            let isDisabled = try waitUntil(timeout: .seconds(5)) {
                try client.call("GET", "/v1/subscriptions/s").json["state"].string != "active"
            }
            #expect(!isDisabled)
            let next = TestEvent()
            try client.publish(next)
            #expect(waitUntil(timeout: .seconds(60)) { new.copiesByID[next.id] != nil })
        }
    }
}
