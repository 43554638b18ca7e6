import SluiceCommands
import SluiceGateway
import Testing

/// Settings from flags, environment, file and defaults.
struct ConfigurationTests {
    private func sources(
        flags: [String: String] = [:],
        environment: [String: String] = [:],
        file: String? = nil,
        defaults: [String: String] = [:]
    ) -> ConfigurationSources {
        var sources = ConfigurationSources()
        sources.flags = flags
        sources.environment = environment
        sources.defaults = defaults
        if let file { sources.file = ConfigurationFile(path: "sluice.json", content: .success(Array(file.utf8))) }
        return sources
    }

    private func problems(_ sources: ConfigurationSources) -> [String] {
        do {
            _ = try sources.resolve()
            return []
        } catch {
            return error.problems
        }
    }

    @Test func `without anything given the table's defaults are the gateway's`() throws {
        let resolved = try sources().resolve()
        let gateway = resolved.configuration.gateway
        let expected = GatewayConfiguration()
        #expect(gateway.natsServers == expected.natsServers)
        #expect(gateway.host == expected.host)
        #expect(gateway.port == expected.port)
        #expect(gateway.httpThreads == expected.httpThreads)
        #expect(gateway.streamName == expected.streamName)
        #expect(gateway.deadLetterStream == expected.deadLetterStream)
        #expect(gateway.subjectPrefix == expected.subjectPrefix)
        #expect(gateway.maxMessages == expected.maxMessages)
        #expect(gateway.maxBytes == expected.maxBytes)
        #expect(gateway.maxAgeSeconds == expected.maxAgeSeconds)
        #expect(gateway.discard == expected.discard)
        #expect(gateway.replicas == expected.replicas)
        #expect(gateway.duplicateWindowSeconds == expected.duplicateWindowSeconds)
        #expect(gateway.updateStreams == expected.updateStreams)
        #expect(gateway.maxEventBytes == expected.maxEventBytes)
        #expect(gateway.maxBodyBytes == expected.maxBodyBytes)
        #expect(gateway.maxBatchEvents == expected.maxBatchEvents)
        #expect(gateway.publishTimeoutSeconds == expected.publishTimeoutSeconds)
        #expect(gateway.maxInFlight == expected.maxInFlight)
        #expect(gateway.maxConnections == expected.maxConnections)
        #expect(gateway.idleTimeoutSeconds == expected.idleTimeoutSeconds)
        #expect(gateway.drainTimeoutSeconds == expected.drainTimeoutSeconds)
        #expect(resolved.settings.allSatisfy { $0.origin == .fallback })
    }

    @Test func `a flag wins over the environment, that over the file, that over the default`() throws {
        let file = #"{"api_port": 3, "max_msgs": 3, "max_age": 300, "stream_name": "FILE"}"#
        let resolved = try sources(
            flags: ["API_PORT": "1"],
            environment: ["API_PORT": "2", "MAX_MSGS": "2"],
            file: file,
            defaults: ["API_PORT": "4", "MAX_MSGS": "4", "MAX_AGE": "4", "API_HOST": "127.0.0.1"]
        ).resolve()
        let gateway = resolved.configuration.gateway
        #expect(gateway.port == 1)
        #expect(gateway.maxMessages == 2)
        #expect(gateway.maxAgeSeconds == 300)
        #expect(gateway.streamName == "FILE")
        #expect(gateway.host == "127.0.0.1")
        let origins = Dictionary(uniqueKeysWithValues: resolved.settings.map { ($0.setting.name, $0.origin) })
        #expect(origins["API_PORT"] == .flag)
        #expect(origins["MAX_MSGS"] == .environment)
        #expect(origins["MAX_AGE"] == .file("sluice.json"))
        #expect(origins["API_HOST"] == .fallback)
    }

    @Test func `an empty environment value counts as not set, an empty flag is refused`() throws {
        #expect(try sources(environment: ["API_PORT": ""]).resolve().configuration.gateway.port == 8080)
        #expect(problems(sources(flags: ["API_PORT": ""])) == ["API_PORT: '' is empty (from --api-port)"])
    }

    @Test func `all problems of all sources are reported at once`() {
        let found = problems(
            sources(
                flags: ["API_PORT": "99999"],
                environment: ["MAX_AGE": "abc", "LOG_LEVEL": "loud"],
                file: #"{"max_mgs": 1, "stream_replicas": 2}"#
            )
        )
        #expect(found.count == 5)
        #expect(found.contains("MAX_AGE: 'abc' is not a whole number of seconds (from the environment)"))
        #expect(found.contains("API_PORT: '99999' is not a port (0 to 65535) (from --api-port)"))
        #expect(found.contains("STREAM_REPLICAS: '2' is not 1, 3 or 5 (from the file sluice.json)"))
        #expect(found.contains("'max_mgs' is not a setting (from the file sluice.json); did you mean 'max_msgs'?"))
        #expect(found.contains { $0.hasPrefix("LOG_LEVEL: 'loud' is not one of: trace, debug") })
    }

    @Test(
        arguments: [
            (#"{"api_port": 1, "api_port": 2}"#, "occurs twice"), ("[]", "must hold one JSON object"),
            (#"{"api_port": }"#, "is not valid JSON"), (#"{"api_port": {}}"#, "an object is no value"),
            (#"{"nats_url": [1]}"#, "a list may hold only strings"), (#"{"NATS_URL": "nats://a"}"#, "'nats_url'"),
        ])
    func `a file that is wrong says how`(content: String, part: String) {
        let found = problems(sources(file: content))
        #expect(found.count == 1)
        #expect(found.first?.contains(part) == true, "\(found)")
    }

    @Test func `a file that cannot be read is a problem`() {
        var sources = ConfigurationSources()
        sources.file = ConfigurationFile(path: "x", content: .failure(FileError("no such file or directory")))
        #expect(problems(sources) == ["the file x cannot be read: no such file or directory"])
    }

    @Test func `a file may hold strings, numbers, booleans, null and lists of strings`() throws {
        let file = """
            {"nats_url": ["nats://a:1", "nats://b:2"], "update_streams": true, "max_bytes": "16 MiB",
             "publish_timeout": 0.5, "max_event_bytes": null}
            """
        let gateway = try sources(file: file).resolve().configuration.gateway
        #expect(gateway.natsServers == ["nats://a:1", "nats://b:2"])
        #expect(gateway.updateStreams)
        #expect(gateway.maxBytes == 16 << 20)
        #expect(gateway.publishTimeoutSeconds == 0.5)
        #expect(gateway.maxEventBytes == nil)
    }

    @Test(
        arguments: [
            ("NATS_URL", "http://a"), ("NATS_URL", "nats://a,,nats://b"), ("NATS_URL", "tls://a"),
            ("NATS_URL", "nats://a:0"), ("NATS_URL", "nats://a/x"), ("API_HOST", "a b"), ("API_PORT", "-1"),
            ("API_PORT", "+1"), ("API_PORT", "1.0"), ("API_PORT", " 1"), ("API_PORT", "٣"), ("HTTP_THREADS", "0"),
            ("STREAM_NAME", "a.b"), ("STREAM_NAME", "a*"), ("SUBJECT_PREFIX", "ce."), ("SUBJECT_PREFIX", "dl"),
            ("SUBJECT_PREFIX", "a.>"), ("MAX_MSGS", "0"), ("MAX_MSGS", "-2"), ("MAX_MSGS", "9223372036854775808"),
            ("MAX_BYTES", "9223372036854775807KiB"), ("MAX_BYTES", "-1KiB"), ("MAX_BYTES", "KiB"), ("MAX_AGE", "-1"),
            ("MAX_AGE", "1h"), ("STREAM_DISCARD", "New"), ("STREAM_REPLICAS", "4"), ("UPDATE_STREAMS", "maybe"),
            ("PUBLISH_TIMEOUT", "0"), ("PUBLISH_TIMEOUT", "inf"), ("PUBLISH_TIMEOUT", "1e3"), ("PUBLISH_TIMEOUT", "."),
            ("MAX_BATCH_EVENTS", "0"), ("LOG_FORMAT", "xml"), ("REDIS_URL", "nope"), ("SINK_HANDSHAKE", "maybe"),
            ("SINK_ALLOW_NETWORKS", "10.0.0.0/33"), ("SINK_ALLOW_NETWORKS", "10.0.0.0"), ("DEAD_LETTER_MAX_AGE", "x"),
            ("MAX_DELIVER_ATTEMPTS", "0"), ("NATS_CLUSTER_ID", "a\nb"), ("DEAD_LETTER_STREAM", "SLUICE_EVENTS"),
        ])
    func `values that make no sense are refused by name`(name: String, value: String) {
        let found = problems(sources(environment: [name: value]))
        #expect(found.count == 1)
        #expect(found.first?.contains(name) == true)
        #expect(found.first?.contains("\n") == false)
    }

    @Test(
        arguments: [
            ("NATS_URL", "nats://u:p@a:1, nats://[::1]:4222"), ("API_HOST", "::"), ("API_PORT", "0"),
            ("HTTP_THREADS", "auto"), ("SUBJECT_PREFIX", "my.events"), ("MAX_MSGS", "-1"), ("MAX_BYTES", "1GiB"),
            ("UPDATE_STREAMS", "yes"), ("LOG_LEVEL", "WARN"), ("LOG_FORMAT", "auto"), ("REDIS_URL", "off"),
            ("SINK_ALLOW_NETWORKS", "10.0.0.0/8, fd00::/8"), ("MAX_EVENT_BYTES", "64 KiB"), ("MAX_AGE", "0"),
        ])
    func `values at the edge of sense are taken`(name: String, value: String) {
        #expect(problems(sources(environment: [name: value])) == [])
    }

    @Test func `a duplicate window longer than the age is a conflict`() {
        let found = problems(sources(environment: ["MAX_AGE": "60", "DUPLICATE_WINDOW": "61"]))
        #expect(found.count == 1)
        #expect(found.first?.hasPrefix("DUPLICATE_WINDOW: 61 s is longer than MAX_AGE") == true)
    }

    @Test func `S-18: secrets are masked in what is shown and in errors`() throws {
        let url = "nats://user:s3cr@t@a:1,nats://token@b:2"
        let resolved = try sources(environment: ["NATS_URL": url]).resolve()
        let shown = resolved.settings.first { $0.setting.name == "NATS_URL" }?.shown
        #expect(shown == "nats://***@a:1,nats://***@b:2")
        #expect(resolved.configuration.gateway.natsServers.first == "nats://user:s3cr@t@a:1")
        let found = problems(sources(environment: ["NATS_URL": "nats://user:s3cret@a:0"]))
        #expect(found.count == 1)
        #expect(found.allSatisfy { !$0.contains("s3cr") && !$0.contains("user") })
    }

    @Test func `names are unique and every setting has its flag`() {
        #expect(Set(Setting.all.map(\.name)).count == Setting.all.count)
        for setting in Setting.all {
            let isSwitch = setting.placeholder == "true|false"
            let words = ["check-config", "--\(setting.flag)"] + (isSwitch ? [] : ["-1"])
            let reading = CommandLineReading(words)
            #expect(reading.settings == [setting.name: isSwitch ? "true" : "-1"], "\(setting.name): \(reading.message)")
            #expect(Setting.named(setting.name)?.fileKey == setting.fileKey)
        }
    }
}
