import Foundation
import ServerFixtures
import Testing

extension EndToEnd {
    /// What the subscriptions have to do with readiness: they are read before the gateway is ready, and whatever becomes of
    /// them later keeps nobody from publishing.
    @Suite(.serialized) struct ReadinessTests {
        private static let pull = #"{"protocol":"PULL","types":["com.example.#"]}"#
        private static let bucket = "KV_SLUICE_SUBSCRIPTIONS"

        private static func reasons(_ gateway: GatewayProcess, _ path: String = "/health/ready") throws -> [String] {
            let health = try gateway.get(path).json
            let list = path == "/health" ? health["details"]["reasons"] : health["reasons"]
            return list.items.compactMap(\.string)
        }

        @Test(arguments: NATSServer.available)
        func `who is ready knows its subscriptions`(binary: NATSServer.Binary) throws {
            let client = try DeliveryClient.make(binary)
            let stack = client.stack
            try client.subscribe("s0", Self.pull)
            #expect(try client.call("POST", "/v1/subscriptions/s0:pause").status == 200)
            // So many that reading them takes its time.
            let subject = "$KV.SLUICE_SUBSCRIPTIONS.\(client.tenant).s"
            let stored = try stack.reader().api("STREAM.MSG.GET.\(Self.bucket)", #"{"last_by_subj":"\#(subject)0"}"#)
            let record = try #require(stored["message"]["data"].string.flatMap { Data(base64Encoded: $0) })
            let probe = try NATSProbe(port: stack.server.port)
            for number in 1...3000 { probe.publish("\(subject)\(number)", payload: Array(record)) }
            let isStored = waitUntil(timeout: .seconds(60)) { probe.count(Self.bucket) == 3001 }
            try #require(isStored)
            for _ in 1...5 {
                stack.gateway.kill()
                try stack.gateway.start(until: .ready)
                let answer = try client.call("GET", "/v1/subscriptions/s3000")
                #expect(answer.status == 200, "\(answer.text)")
                #expect(try stack.gateway.get("/health").json["details"]["subscriptions"].string == "current")
            }
        }

        @Test(arguments: NATSServer.available)
        func `subscriptions that cannot be watched any more make it degraded, not unready`(
            binary: NATSServer.Binary
        ) throws {
            let client = try DeliveryClient.make(binary)
            let (stack, reader) = (client.stack, try client.stack.reader())
            try client.subscribe("s", Self.pull)
            func becomes(_ word: String) throws -> Bool {
                try waitUntil(timeout: .seconds(30)) {
                    try stack.gateway.get("/health").json["details"]["subscriptions"].string == word
                }
            }
            #expect(try becomes("current"))
            _ = try reader.api("STREAM.DELETE.\(Self.bucket)")
            #expect(try becomes("behind"))
            let health = try stack.gateway.get("/health")
            #expect(health.status == 200 && health.json["status"].string == "degraded", "\(health.text)")
            #expect(health.text.contains("SLUICE_SUBSCRIPTIONS"), "\(health.text)")
            #expect(stack.gateway.status(of: "/health/ready") == 200)
            #expect(stack.gateway.status(of: "/ready") == 200)
            try client.publish(TestEvent())
            // What is known is delivered.
            #expect(try client.receive("s").count == 1)

            let made = try reader.api(
                "STREAM.CREATE.\(Self.bucket)",
                """
                {"name":"\(Self.bucket)","subjects":["$KV.SLUICE_SUBSCRIPTIONS.>"],"retention":"limits",
                "storage":"file","discard":"new","num_replicas":1,"max_msgs_per_subject":1,"deny_delete":true,
                "allow_rollup_hdrs":true,"duplicate_window":120000000000}
                """
            )
            try #require(made["error"].isNull, "\(made)")
            #expect(try becomes("current"))
            #expect(try stack.gateway.get("/health").json["status"].string == "healthy")
            #expect(try client.call("PUT", "/v1/subscriptions/s", Self.pull).status == 201)
        }

        /// What a user's permissions may lack, and the bucket that is named for it.
        static let denials = [
            (["$JS.API.STREAM.INFO.KV_SLUICE_HANDBACKS", "$KV.SLUICE_HANDBACKS.>"], "SLUICE_HANDBACKS"),
            (["$JS.API.STREAM.INFO.\(bucket)", "$JS.API.STREAM.CREATE.\(bucket)"], "SLUICE_SUBSCRIPTIONS"),
            (["$JS.API.CONSUMER.CREATE.\(bucket)", "$JS.API.CONSUMER.CREATE.\(bucket).>"], "SLUICE_SUBSCRIPTIONS"),
        ]

        @Test(arguments: denials)
        func `a user who may not use the buckets can publish, and is told what is missing`(
            denied: [String],
            bucket: String
        ) throws {
            let list = denied.map { "\"\($0)\"" }.joined(separator: ", ")
            let user = "{ user: gateway, password: secret, permissions: { publish: { deny: [\(list)] } } }"
            let server = try NATSServer(extraConfiguration: "authorization { users: [\(user)] }")
            let gateway = try GatewayProcess(
                natsURL: "nats://gateway:secret@127.0.0.1:\(server.port)",
                until: .live
            )
            // Nobody knows yet that they never will be read.
            let isWaiting = try waitUntil(timeout: .seconds(30)) {
                try Self.reasons(gateway) == ["the subscriptions are still being read"]
            }
            #expect(isWaiting, "\(gateway.log)")
            #expect(try gateway.exchange(TestEvent().structured()).status == 202)

            #expect(waitUntil(timeout: .seconds(60)) { gateway.status(of: "/health/ready") == 200 })
            #expect(try gateway.exchange(TestEvent().structured()).status == 202)
            let health = try gateway.get("/health")
            #expect(health.status == 200 && health.json["status"].string == "degraded", "\(health.text)")
            #expect(health.json["details"]["subscriptions"].string == "unavailable")
            let reason = try Self.reasons(gateway, "/health").joined()
            #expect(reason.contains(bucket) && reason.contains("nothing is delivered"), "\(reason)")
            #expect(try gateway.get("/v1/subscriptions").status == 503)
            func lines() -> [String] { gateway.log.filter { $0.contains("\"warning\"") && $0.contains(bucket) } }
            #expect(waitUntil(timeout: .seconds(60)) { !lines().isEmpty }, "\(gateway.log)")
            #expect(lines().count < 5, "\(gateway.log)")
        }
    }
}
