import JetStream
import ServerFixtures
import Testing

/// Against real servers, each of those there are.
@Suite(.serialized) struct RealServerTests {
    private func stream(_ adjust: (inout StreamConfiguration) -> Void = { _ in }) throws -> StreamConfiguration {
        var configuration = StreamConfiguration(name: try #require(StreamName("EVENTS")), subjects: ["ce.>"])
        adjust(&configuration)
        return configuration
    }

    private func withServer(
        _ binary: NATSServer.Binary,
        extra: String = "",
        adjust: (inout StreamConfiguration) -> Void = { _ in },
        _ body: (NATSServer, TestClient) async throws -> Void
    ) async throws {
        let server = try NATSServer(binary, extraConfiguration: extra)
        try await withClient(server.url) { test in
            _ = try await test.client.createStream(try stream(adjust))
            try await body(server, test)
        }
        server.kill()
    }

    @Test func `the servers to test with are there`() {
        #expect(!NATSServer.available.isEmpty)
    }

    @Test(arguments: NATSServer.available)
    func `what is stored is what was published, byte by byte`(binary: NATSServer.Binary) async throws {
        try await withServer(binary) { server, test in
            var message = makeMessage("a.b é", id: "id-1", payload: Array(0...255))
            message.headers.contentType = HeaderValue("application/cloudevents+json")
            message.headers.traceparent = HeaderValue("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
            message.headers.tracestate = HeaderValue("a=b, c=d")
            #expect(await test.client.publish(message) == .stored(sequence: 1, duplicate: false))
            let read = try #require(try await test.client.message(in: message.expectedStream, sequence: 1))
            #expect(read.subject == "ce.test.a=2Eb=20=C3=A9" && read.sequence == 1 && read.payload == Array(0...255))
            let headers = Dictionary(uniqueKeysWithValues: read.headers.map { ($0.name, $0.value) })
            #expect(
                headers == [
                    "Nats-Msg-Id": "id-1", "Nats-Expected-Stream": "EVENTS",
                    "Content-Type": "application/cloudevents+json",
                    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracestate": "a=b, c=d",
                ]
            )
            let probe = try NATSProbe(port: server.port)
            #expect(probe.message("EVENTS", sequence: 1)?.payload == Array(0...255))
            let missing = try await test.client.message(in: message.expectedStream, sequence: 2)
            #expect(missing?.sequence == nil)
            #expect(test.client.serverInfo?.version == binary.version)
        }
    }

    @Test(arguments: NATSServer.available)
    func `R-07: the same id is stored once and answered with the first sequence`(binary: NATSServer.Binary) async throws
    {
        try await withServer(binary) { _, test in
            let messages = (0..<500).map { makeMessage(id: "id-\($0 / 50)") }
            let outcomes = await publishAll(messages, on: test.client)
            for (number, outcome) in outcomes.enumerated() {
                let sequence = UInt64(number / 50 + 1)
                #expect(outcome == [.stored(sequence: sequence, duplicate: number % 50 != 0)])
            }
        }
    }

    @Test(arguments: NATSServer.available)
    func `a flood of 200,000 messages has one answer each, and what is stored is what was answered`(
        binary: NATSServer.Binary
    ) async throws {
        try await withServer(binary) { server, test in
            let messages = (0..<200_000).map { makeMessage(id: "flood-\($0)") }
            let outcomes = await publishAll(messages, on: test.client, window: 12_000, timeout: .seconds(120))
            #expect(outcomes.allSatisfy { $0.count == 1 })
            let sequences = Set(
                outcomes.compactMap { outcome -> UInt64? in
                    if case .stored(let sequence, false)? = outcome.first { sequence } else { nil }
                }
            )
            #expect(sequences.count == messages.count)
            let count = try NATSProbe(port: server.port).count("EVENTS")
            #expect(count == messages.count)
        }
    }

    @Test(
        arguments: NATSServer.available,
        [
            ("max_msgs", { @Sendable (stream: inout StreamConfiguration) in stream.maxMessages = 3 }),
            ("max_bytes", { @Sendable in $0.maxBytes = 25_000 }),
            ("max_msgs_per_subject", { @Sendable in $0.maxMessagesPerSubject = 3 }),
        ]
    )
    func `a full stream refuses, says which limit, and takes again when there is room`(
        binary: NATSServer.Binary,
        limit: (name: String, set: @Sendable (inout StreamConfiguration) -> Void)
    ) async throws {
        let perSubject = limit.name == "max_msgs_per_subject"
        let server = try NATSServer(binary)
        try await withClient(server.url) { test in
            let probe = try NATSProbe(port: server.port)
            var configuration = try stream(limit.set)
            if perSubject {
                // "Discard new per subject" is a setting that Sluice itself never uses.
                let settings = #""max_msgs_per_subject":3,"discard":"new","discard_new_per_subject":true"#
                probe.createStream("EVENTS", subjects: ["ce.>"], settings: settings)
            } else {
                _ = try await test.client.createStream(configuration)
            }
            var last = PublishOutcome.notSent(.closing)
            // Large messages: 2.9.10 forgets its own overhead per message when it compares with max_bytes, takes a
            // message that just does not fit, and then lets the oldest go although it should refuse what is new.
            let payload = [UInt8](repeating: 1, count: 10_000)
            for number in 0..<20 { last = await test.client.publish(makeMessage(id: "\(number)", payload: payload)) }
            guard case .rejected(let rejection) = last else { throw Unexpected(outcome: last) }
            #expect(rejection.kind == .storeFull)
            #expect(rejection.description.contains("maximum"))
            guard !perSubject else { return }
            configuration.maxMessages = -1
            configuration.maxBytes = -1
            _ = try await test.client.updateStream(configuration)
            #expect(await test.client.publish(makeMessage(id: "more")).isStored)
        }
        server.kill()
    }

    struct Unexpected: Error {
        let outcome: PublishOutcome
    }

    @Test(arguments: NATSServer.available)
    func `R-12: what is too large is refused, on either side of the wire, and the connection lives`(
        binary: NATSServer.Binary
    ) async throws {
        try await withServer(binary, adjust: { $0.maxMessageSize = 500_000 }) { _, test in
            let limit = try #require(test.client.serverInfo?.maxPayload)
            for count in [500_001, limit - 100, limit + 1, 2 * limit] {
                let outcome = await test.client.publish(
                    makeMessage(id: "x", payload: [UInt8](repeating: 1, count: count))
                )
                #expect(outcome.rejection == .tooLarge)
            }
            #expect(await test.client.publish(makeMessage(id: "y")).isStored)
            #expect(!test.states.current.contains { $0.hasFailed })
        }
    }

    @Test(arguments: NATSServer.available)
    func `a message for another stream, or for none, is refused`(binary: NATSServer.Binary) async throws {
        try await withServer(binary) { _, test in
            let wrong = await test.client.publish(makeMessage(id: "1", stream: "OTHER"))
            guard case .rejected(let rejection) = wrong else { throw Unexpected(outcome: wrong) }
            #expect(rejection.kind == .misconfigured && rejection.code == 10060)
            var nowhere = makeMessage(id: "2")
            nowhere.subject = Subject(prefix: try #require(SubjectPrefix("nobody")), tokens: ["x"])
            #expect(await test.client.publish(nowhere).rejection == .noResponders)
        }
    }

    @Test(arguments: NATSServer.available)
    func `streams are created, verified field by field, and updated`(binary: NATSServer.Binary) async throws {
        try await withServer(binary) { server, test in
            let client = test.client
            var wanted = try stream()
            wanted.maxAge = .seconds(604_800)
            let found = try await client.streamInfo(wanted.name)
            #expect(found?.configuration.differences(from: wanted).map(\.field) == ["max_age"])
            await #expect(throws: JetStreamError.self) { try await client.createStream(wanted) }
            _ = try await client.updateStream(wanted)
            let info = try #require(try await client.streamInfo(wanted.name))
            #expect(wanted.differences(from: info.configuration).isEmpty)
            let missing = try await client.streamInfo(try #require(StreamName("MISSING")))
            #expect(missing == nil)
            let copy = try #require(StreamName("COPY"))
            try NATSProbe(port: server.port).createStream(
                "COPY",
                subjects: [],
                settings: #""mirror":{"name":"EVENTS"}"#
            )
            let mirror = try #require(try await client.streamInfo(copy)).configuration
            #expect(mirror.otherFeatures == ["mirror"])
            #expect(wanted.differences(from: mirror).map(\.field).contains("other features"))
            let account = try await client.accountInfo()
            #expect(account.streams == 2)
        }
    }

    @Test(arguments: NATSServer.available)
    func `without JetStream the reason is told`(binary: NATSServer.Binary) async throws {
        let extra = "accounts { A { users: [ { user: a, password: b } ] } }"
        let server = try NATSServer(binary, extraConfiguration: extra)
        try await withClient("nats://a:b@127.0.0.1:\(server.port)") { test in
            let error = await #expect(throws: JetStreamError.self) { try await test.client.accountInfo() }
            #expect(error == .noResponders || [10039, 10076].contains(error?.errorCode))
        }
        server.kill()
    }

    @Test(arguments: NATSServer.available)
    func `a wrong password is named, and never shown`(binary: NATSServer.Binary) async throws {
        let server = try NATSServer(binary, extraConfiguration: "authorization { user: a, password: b }")
        let test = try TestClient("nats://a:hunter2@127.0.0.1:\(server.port)")
        #expect(await test.lastFailure(containing: "uthorization"))
        #expect(!"\(test.states.current) \(test.logs.current)".contains("hunter2"))
        await test.client.close()
        server.kill()
    }
}
