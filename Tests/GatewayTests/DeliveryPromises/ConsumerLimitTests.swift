import ServerFixtures
import Testing

extension EndToEnd {
    /// Every subscription is a consumer of the event stream, and nats-server lets a stream have only so many.
    @Suite(.serialized) struct ConsumerLimitTests {
        private static let pull = #"{"protocol":"PULL","types":["com.example.#"]}"#

        private static func stream(consumersMax: Int) -> String {
            """
            {"name":"SLUICE_EVENTS","subjects":["ce.>"],"retention":"limits","storage":"file","discard":"new",
            "num_replicas":1,"max_age":604800000000000,"duplicate_window":120000000000,"max_msgs":-1,"max_bytes":-1,
            "max_msg_size":-1,"max_msgs_per_subject":-1,"max_consumers":\(consumersMax)}
            """
        }

        @Test(arguments: NATSServer.available)
        func `a stream with as many consumers as it may have is 507, and nothing of the subscription stays`(
            binary: NATSServer.Binary
        ) throws {
            let stack = try GatewayStack(binary, settings: DeliveryPool.settings) { reader in
                let made = try reader.api("STREAM.CREATE.SLUICE_EVENTS", Self.stream(consumersMax: 2))
                try #require(made["error"].isNull, "\(made)")
            }
            let client = DeliveryClient(stack)
            #expect(client.waitUntilReady())
            for number in 1...2 { try client.subscribe("s\(number)", Self.pull) }
            let timed = #"{"protocol":"PULL","config":{"startAt":"2026-01-01T00:00:00Z"}}"#
            let requests = [
                ("POST", "/v1/subscriptions", Self.pull), ("PUT", "/v1/subscriptions/s3", Self.pull),
                ("PUT", "/v1/subscriptions/s3", timed),
            ]
            for (method, target, body) in requests {
                let answer = try client.call(method, target, body)
                #expect(answer.status == 507, "\(answer.text)")
                #expect(answer.json["type"].string == "urn:sluice:problem:too-many-consumers")
                #expect(answer.json["limit"].int == 2)
                let detail = answer.json["detail"].string ?? ""
                #expect(detail.contains("2 consumers") && detail.contains("max_consumers"), "\(detail)")
                #expect(detail.contains("SLUICE_EVENTS") && detail.contains("delete"), "\(detail)")
                #expect(!detail.contains(": :") && !detail.hasPrefix(":"), "\(detail)")
                #expect(answer["Retry-After"] != nil)
            }
            #expect(try client.call("GET", "/v1/subscriptions").json["items"].items.count == 2)
            #expect(try client.call("GET", "/v1/subscriptions/s3").status == 404)

            // Replacing needs no further one, and a deleted one makes room.
            #expect(try client.call("PUT", "/v1/subscriptions/s1", Self.pull).status == 200)
            try client.publish(TestEvent())
            #expect(try client.receive("s2").count == 1)
            #expect(try client.call("DELETE", "/v1/subscriptions/s1").status == 204)
            #expect(try client.call("PUT", "/v1/subscriptions/s3", Self.pull).status == 201)
            try client.publish(TestEvent())
            #expect(try client.receive("s3").count == 1)
        }
    }
}
