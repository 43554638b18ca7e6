import ServerFixtures
import Testing

extension EndToEnd {
    /// R-10, the start: a stream is created as designed, and one that differs is named field by field.
    @Suite(.serialized) struct StreamSettingsTests {
        private static let other = """
            {"name":"SLUICE_EVENTS","subjects":["ce.>"],"retention":"limits","discard":"old","storage":"memory",\
            "max_msgs":5,"max_bytes":-1,"max_age":604800000000000,"num_replicas":1,"duplicate_window":60000000000,\
            "max_consumers":-1,"max_msg_size":-1,"max_msgs_per_subject":-1}
            """

        @Test(arguments: NATSServer.available)
        func `the stream is created with the settings of the configuration`(binary: NATSServer.Binary) throws {
            let settings = [
                "MAX_MSGS": "1000", "MAX_BYTES": "1048576", "MAX_AGE": "3600", "DUPLICATE_WINDOW": "30",
                "STREAM_DISCARD": "old",
            ]
            let stack = try GatewayStack(binary, settings: settings)
            let config = try stack.reader().api("STREAM.INFO.\(GatewayStack.stream)")["config"]
            #expect(config["subjects"].items.compactMap(\.string) == ["ce.>"])
            #expect(config["retention"].string == "limits")
            #expect(config["storage"].string == "file")
            #expect(config["discard"].string == "old")
            #expect(config["max_msgs"].int == 1000)
            #expect(config["max_bytes"].int == 1_048_576)
            #expect(config["max_age"].int == 3_600_000_000_000)
            #expect(config["duplicate_window"].int == 30_000_000_000)
            #expect(config["num_replicas"].int == 1)
        }

        @Test(arguments: NATSServer.available)
        func `R-10: a stream with other settings makes the gateway unready and every difference is named`(
            binary: NATSServer.Binary
        ) throws {
            let stack = try GatewayStack(binary, until: .live) { reader in
                let created = try reader.api("STREAM.CREATE.SLUICE_EVENTS", Self.other)
                try #require(created["error"].isNull, "\(created)")
            }
            var health = ""
            let isNamed = try waitUntil(timeout: .seconds(15)) {
                health = try stack.gateway.get("/health").text
                return ["discard", "storage", "max_msgs", "duplicate_window"].allSatisfy { health.contains($0) }
            }
            #expect(isNamed, "\(health)")
            #expect(!health.contains("\"max_age\""), "a field that is the same is not a difference: \(health)")
            #expect(stack.gateway.status(of: "/health/ready") == 503)
            #expect(stack.gateway.status(of: "/health/live") == 200)
            let response = try stack.exchange(TestEvent().structured())
            #expect(response.status >= 500, "\(response.text)")
            #expect(try stack.reader().messageCount() == 0)
            let config = try stack.reader().api("STREAM.INFO.\(GatewayStack.stream)")["config"]
            #expect(config["discard"].string == "old", "the stream was changed silently")
            #expect(config["max_msgs"].int == 5)
        }

        @Test(arguments: NATSServer.available)
        func `R-10: a stream that is changed under the gateway makes it unready, and changed back ready`(
            binary: NATSServer.Binary
        ) throws {
            let stack = try GatewayStack(binary)
            #expect(try stack.exchange(TestEvent().structured()).status == 202)
            let config = try stack.reader().api("STREAM.INFO.\(GatewayStack.stream)")["config"].text
            let changed = config.replacing("\"discard\":\"new\"", with: "\"discard\":\"old\"")
            #expect(changed != config)
            #expect(try stack.reader().api("STREAM.UPDATE.\(GatewayStack.stream)", changed)["error"].isNull)
            #expect(waitUntil(timeout: .seconds(15)) { stack.gateway.status(of: "/health/ready") == 503 })
            #expect(try stack.gateway.get("/health").text.contains("discard"))
            #expect(try stack.exchange(TestEvent().structured()).status == 503)
            #expect(try stack.reader().api("STREAM.UPDATE.\(GatewayStack.stream)", config)["error"].isNull)
            #expect(stack.waitUntilReady())
            #expect(try stack.exchange(TestEvent().structured()).status == 202)
        }

        @Test(arguments: NATSServer.available)
        func `a stream of the same settings is taken over with what is in it`(binary: NATSServer.Binary) throws {
            let stack = try GatewayStack(binary)
            #expect(try stack.exchange(TestEvent().structured()).json["sequence"].int == 1)
            stack.gateway.kill()
            try stack.gateway.start()
            #expect(try stack.exchange(TestEvent().structured()).json["sequence"].int == 2)
        }
    }
}
