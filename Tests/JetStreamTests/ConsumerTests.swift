import JetStream
import ServerFixtures
import Testing

/// Consumers and stored messages, administered on real servers.
@Suite(.serialized) struct ConsumerTests {
    private let prefix = SubjectPrefix("ce")

    private func filter(_ tokens: SubjectFilter.Token...) throws -> SubjectFilter {
        SubjectFilter(prefix: try #require(prefix), tokens: tokens)
    }

    @Test(arguments: NATSServer.available)
    func `a consumer is created once, described, listed and deleted`(binary: NATSServer.Binary) async throws {
        try await withStream(binary) { _, _, test in
            let client = test.client
            let stream = try #require(StreamName("EVENTS"))
            let name = try #require(ConsumerName("acme_orders"))
            #expect(try await client.consumerInfo(name, in: stream) == nil)
            #expect(try await client.deleteConsumer(name, in: stream) == false)
            #expect(await test.publish(3))
            var configuration = ConsumerConfiguration(name: name)
            configuration.filterSubjects = [try filter(.literal("test"), .any)]
            configuration.start = .sequence(2)
            configuration.ackWait = .seconds(7)
            configuration.maxDeliver = 4
            configuration.description = "orders \"of\" acme"
            let created = try await client.createConsumer(configuration, in: stream)
            #expect(created.name == name && created.pending == 2 && created.configuration.description.contains("acme"))
            #expect(configuration.differences(from: created.configuration).isEmpty)
            #expect(try await client.createConsumer(configuration, in: stream).created == created.created)
            var other = configuration
            other.filterSubjects = [try filter(.rest)]
            await #expect {
                _ = try await client.createConsumer(other, in: stream)
            } throws: { error in (error as? JetStreamError)?.errorCode == 10148 }
            #expect(
                try await client.consumerInfo(name, in: stream)?.configuration.filterSubjects.map(\.text) == [
                    "ce.test.*"
                ]
            )
            configuration.ackWait = .seconds(11)
            configuration.maxDeliver = -1
            let updated = try await client.updateConsumer(configuration, in: stream)
            #expect(updated.configuration.ackWait == .seconds(11) && updated.configuration.maxDeliver == -1)
            await #expect(throws: JetStreamError.self) { _ = try await client.updateConsumer(other, in: stream) }
            #expect(try await client.consumerNames(in: stream) == ["acme_orders"])
            #expect(try await client.deleteConsumer(name, in: stream))
            #expect(try await client.consumerNames(in: stream).isEmpty)
            let missing = try #require(StreamName("NONE"))
            await #expect {
                _ = try await client.consumerInfo(name, in: missing)
            } throws: { error in (error as? JetStreamError)?.errorCode == 10059 }
        }
    }

    @Test(arguments: NATSServer.available)
    func `all pages of names are read`(binary: NATSServer.Binary) async throws {
        try await withStream(binary) { _, _, test in
            // A page has 1,024 names; later servers allow 1,000 consumers unless told otherwise.
            let count = test.client.serverInfo?.isAtLeast(2, 10) ?? false ? 900 : 1100
            for number in 0..<count { try await test.makeConsumer("c\(number)") { $0.memoryStorage = true } }
            let names = try await test.client.consumerNames(in: try #require(StreamName("EVENTS")))
            #expect(Set(names) == Set((0..<count).map { "c\($0)" }) && names.count == count)
        }
    }

    @Test(arguments: NATSServer.available)
    func `a consumer delivers what its filters match`(binary: NATSServer.Binary) async throws {
        try await withStream(binary) { _, _, test in
            for token in ["a", "b", "a.b", "c", "*"] { #expect(await test.client.publish(makeMessage(token)).isStored) }
            let several = test.client.serverInfo?.isAtLeast(2, 10) ?? false
            var filters = [try filter(.literal("test"), .literal("a.b"))]
            if several { filters.append(try filter(.literal("test"), .literal("*"))) }
            let wanted = filters
            let consumer = try await test.makeConsumer { $0.filterSubjects = wanted }
            let owner = LaneOwner(test.client)
            try owner.pull(consumer, batch: 5, expires: .seconds(1))
            #expect(await owner.end(of: 1) == .expired)
            let expected = several ? ["ce.test.a=2Eb", "ce.test.=2A"] : ["ce.test.a=2Eb"]
            #expect(owner.current.messages.map(\.message.subject) == expected)
        }
    }

    @Test func `filters are encoded and match as NATS has it`() throws {
        let digest = [UInt8](repeating: 0xAB, count: 32)
        #expect(
            try filter(.literal("a.*"), .any, .sha256(digest), .rest, .literal("x")).text
                == "ce.a=2E=2A.*.=sha256-\(String(repeating: "ab", count: 32)).>"
        )
        let cases: [(SubjectFilter, String, Bool)] = [
            (try filter(.any), "ce.a", true), (try filter(.any), "ce.a.b", false), (try filter(.any), "ce", false),
            (try filter(.rest), "ce.a.b", true), (try filter(.rest), "ce", false),
            (try filter(.any, .rest), "ce.a", false),
            (try filter(.literal("a")), "ce.a", true), (try filter(.literal("a")), "ce.ab", false),
            (try filter(.any, .literal("b")), "ce.a.b", true), (try filter(.any), "ce.", false),
            (try filter(.rest), "cf.a", false), (try filter(.rest), "", false),
        ]
        for (filter, subject, matches) in cases { #expect(filter.matches(subject) == matches, "\(filter) \(subject)") }
        for name in ["", "a.b", "a b", "%", String(repeating: "x", count: 201)] { #expect(ConsumerName(name) == nil) }
    }

    @Test(arguments: NATSServer.available)
    func `stored messages are found by subject and deleted, and the stream tells what is missing`(
        binary: NATSServer.Binary
    ) async throws {
        try await withStream(binary) { _, _, test in
            let client = test.client
            let stream = try #require(StreamName("EVENTS"))
            for token in ["a", "b", "a", "b"] { #expect(await client.publish(makeMessage(token)).isStored) }
            let a = try filter(.literal("test"), .literal("a"))
            #expect(try await client.lastMessage(in: stream, subject: a)?.sequence == 3)
            #expect(try await client.nextMessage(in: stream, from: 2, subject: a)?.sequence == 3)
            #expect(try await client.nextMessage(in: stream, from: 4, subject: a) == nil)
            #expect(try await client.lastMessage(in: stream, subject: try filter(.literal("none"))) == nil)
            #expect(try await client.deleteMessage(in: stream, sequence: 3))
            #expect(try await client.deleteMessage(in: stream, sequence: 3) == false)
            if client.serverInfo?.isAtLeast(2, 10) ?? false {
                // 2.9.10 finds nothing when a subject's newest message was deleted.
                #expect(try await client.lastMessage(in: stream, subject: a)?.sequence == 1)
            }
            let info = try #require(try await client.streamInfo(stream, deleted: true, subjects: try filter(.rest)))
            #expect(info.state.deletedCount == 1 && info.state.deleted == [3] && info.state.subjectCount == 2)
            #expect(info.state.subjects == ["ce.test.a": 1, "ce.test.b": 2])
        }
    }

    @Test(arguments: NATSServer.available)
    func `S-02: a dead letter's headers arrive as they were written`(binary: NATSServer.Binary) async throws {
        try await withStream(binary) { _, _, test in
            var message = makeMessage(id: "dl-1")
            let value = try #require(HeaderValue("retries-exhausted"))
            message.headers.own = [(.reason, value), (.attempts, try #require(HeaderValue("12")))]
            message.headers.event = [(try #require(EventHeader("CE-Type")), try #require(HeaderValue("com.example")))]
            #expect(await test.client.publish(message).isStored)
            let stored = try #require(try await test.client.message(in: message.expectedStream, sequence: 1))
            #expect(stored.header("Sluice-Reason") == "retries-exhausted" && stored.header("sluice-attempts") == "12")
            #expect(stored.headers.contains { $0.name == "ce-type" && $0.value == "com.example" })
            for name in ["ce-", "x-type", "ce-a b", "ce-a\r\nNats-Rollup", "Nats-Msg-Id", "ce-é"] {
                #expect(EventHeader(name) == nil)
            }
        }
    }

    @Test(arguments: [
        ("2.9.10", true, false), ("2.10.0", true, true), ("2.15.1", true, true), ("3.0.0-RC.1", true, true),
        ("", false, false), ("2", false, false), ("x.y.z", false, false), ("2.9.9", false, false),
    ])
    func `versions are compared by number`(version: String, atLeast2910: Bool, atLeast210: Bool) {
        let info = ServerInfo(
            version: version,
            serverID: "",
            serverName: "",
            clusterName: nil,
            maxPayload: 0,
            jetStream: true,
            address: ""
        )
        #expect(info.isAtLeast(2, 9, 10) == atLeast2910 && info.isAtLeast(2, 10) == atLeast210)
    }
}
