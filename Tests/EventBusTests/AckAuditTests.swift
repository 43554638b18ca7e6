import CloudEvents
import EventBus
import JetStream
import Logging
import ServerFixtures
import Testing

/// R-40, the writing side: everything that is noted is recorded once and in order, whatever the broker does meanwhile.
@Suite(.serialized) struct AckAuditTests {
    private static let promise = AuditRecord.Promise(ageMaxSeconds: 3600, discardsOldest: false)

    /// A server with an audit stream, and an audit on a client of its own.
    struct Setup {
        let server: NATSServer
        let client: JetStreamClient
        let stream: StreamName
        let events: StreamName
        let audit: AckAudit

        init(_ binary: NATSServer.Binary) throws {
            server = try NATSServer(binary)
            var configuration = JetStreamConfiguration(servers: [try ServerURL(server.url)], name: "audit-test")
            configuration.publishTimeout = .seconds(1)
            client = JetStreamClient(configuration: configuration)
            stream = StreamPlan.auditName
            events = try #require(StreamName("EVENTS"))
            audit = AckAudit(
                client: client,
                stream: stream,
                events: events,
                replica: "r1",
                promise: AckAuditTests.promise,
                logger: Logger(label: "test")
            )
        }

        /// Connects and creates the stream.
        func start(_ change: (inout StreamConfiguration) -> Void = { _ in }) async throws {
            client.start()
            try await connected()
            var plan = StreamConfiguration(name: stream, subjects: ["audit.>"])
            change(&plan)
            _ = try await client.createStream(plan)
        }

        func connected() async throws {
            let client = client
            try #require(await eventually(timeout: .seconds(30)) { client.state.isConnected })
        }

        /// All records of the stream, in order; each must be where it belongs and readable.
        func records() async throws -> [AuditRecord] {
            let last = try #require(try await client.streamInfo(stream)).state.lastSequence
            var records: [AuditRecord] = []
            for sequence in 1..<(last + 1) {
                let message = try #require(try await client.message(in: stream, sequence: sequence))
                #expect(message.subject == "audit.acks.r1")
                records.append(try AuditRecord(decoding: message.payload))
            }
            return records
        }
    }

    private func entries(_ range: ClosedRange<UInt64>) -> [AuditEntry] {
        range.map { AuditEntry(sequence: $0, digest: $0 &* 0x9E37_79B9_7F4A_7C15) }
    }

    private func expectChained(_ records: [AuditRecord]) {
        #expect(records.map(\.number) == (1..<UInt64(records.count + 1)).map { $0 })
        for (before, record) in zip(records, records.dropFirst()) { #expect(record.previousTime == before.time) }
        #expect(records.dropLast().allSatisfy { !$0.isLast })
    }

    @Test(arguments: NATSServer.available)
    func `what is folded is recorded by itself, and the end is recorded too`(binary: NATSServer.Binary) async throws {
        let setup = try Setup(binary)
        try await setup.start()
        let audit = setup.audit
        let running = Task { await audit.run() }
        audit.fold(entries(1...700))
        audit.fold([])
        audit.fold(entries(701...1000))
        #expect(await eventually(timeout: .seconds(30)) { audit.status.recorded == 1000 })
        #expect(audit.status.pending == 0)
        running.cancel()
        await running.value
        audit.fold(entries(1001...1003))
        await audit.flush(within: .seconds(20))
        let records = try await setup.records()
        expectChained(records)
        #expect(records.flatMap(\.entries) == entries(1...1003))
        #expect(records.last?.isLast == true)
        #expect(records.allSatisfy { $0.dropped == 0 && $0.promise == Self.promise && $0.stream == "EVENTS" })
        await setup.client.close(grace: .zero)
    }

    @Test(arguments: NATSServer.available)
    func `what was folded while the server was away is recorded when it is back`(
        binary: NATSServer.Binary
    ) async throws {
        let setup = try Setup(binary)
        try await setup.start()
        let (audit, client, server) = (setup.audit, setup.client, setup.server)
        let running = Task { await audit.run() }
        audit.fold(entries(1...10))
        #expect(await eventually(timeout: .seconds(30)) { audit.status.recorded == 10 })
        server.pause()
        audit.fold(entries(11...20))
        #expect(await eventually(timeout: .seconds(30)) { audit.status.failures > 0 })
        server.resume()
        await onThread { server.kill() }
        #expect(await eventually(timeout: .seconds(30)) { !client.state.isConnected })
        audit.fold(entries(21...30))
        await audit.flush(within: .milliseconds(20))
        #expect(audit.status.pending + Int(audit.status.recorded) == 30)
        let restarted = await onThread { (try? server.start()) != nil }
        try #require(restarted)
        #expect(await eventually(timeout: .seconds(60)) { audit.status.recorded == 30 })
        running.cancel()
        await running.value
        let records = try await setup.records()
        #expect(Set(records.map(\.number)).count == records.count, "a retried record is stored once")
        expectChained(records)
        #expect(records.flatMap(\.entries) == entries(1...30))
        await client.close(grace: .zero)
    }

    @Test func `a record that is too large for the stream is made smaller`() async throws {
        let setup = try Setup(NATSServer.standard)
        try await setup.start { $0.maxMessageSize = 2048 }
        setup.audit.fold(entries(1...1000))
        await setup.audit.flush(within: .seconds(30))
        let records = try await setup.records()
        #expect(records.count > 4)
        expectChained(records)
        #expect(records.flatMap(\.entries) == entries(1...1000))
        await setup.client.close(grace: .zero)
    }

    @Test func `beyond the bound entries are dropped, counted, and the next record tells`() async throws {
        let setup = try Setup(NATSServer.standard)
        let whole = UInt64(AckAudit.waitingMax)
        setup.audit.fold(entries(1...(whole - 1)))
        setup.audit.fold(entries(whole...(whole + 500)))
        #expect(setup.audit.status.pending == AckAudit.waitingMax)
        #expect(setup.audit.status.dropped == 500)
        try await setup.start()
        await setup.audit.flush(within: .seconds(60))
        #expect(setup.audit.status.recorded == whole)
        let records = try await setup.records()
        expectChained(records)
        #expect(records.map(\.dropped).reduce(0, +) == 500)
        #expect(records.map(\.entries.count).reduce(0, +) == AckAudit.waitingMax)
        #expect(records.allSatisfy { $0.entries.count <= AckAudit.recordEntriesMax })
        await setup.client.close(grace: .zero)
    }

    @Test(arguments: NATSServer.available)
    func `age excuses only what is old and before the first sequence`(binary: NATSServer.Binary) async throws {
        let setup = try Setup(binary)
        try await setup.start()
        let client = setup.client
        _ = try await client.createStream(StreamConfiguration(name: setup.events, subjects: ["e.>"]))
        let prefix = try #require(SubjectPrefix("e"))
        let payload = Array("event".utf8)
        for _ in 1...20 {
            let message = OutboundMessage(
                subject: Subject(prefix: prefix, tokens: ["a"]),
                expectedStream: setup.events,
                headers: MessageHeaders(),
                payload: payload[...]
            )
            guard case .stored = await client.publish(message) else { throw NotStored() }
        }
        let now = UInt64(Timestamp.now().secondsSinceEpoch) * 1000
        try await store(1...5, at: now - 7_200_000, number: 1, payload, setup)
        try await store(6...20, at: now, number: 2, payload, setup)
        let probe = try NATSProbe(url: setup.server.url)
        _ = probe.json("$JS.API.STREAM.PURGE.EVENTS", "{\"seq\":9}")
        _ = probe.json("$JS.API.STREAM.MSG.DELETE.EVENTS", "{\"seq\":15}")
        var settings = AuditVerifier.Settings(events: setup.events, audit: setup.stream, promise: Self.promise)
        let report = try await AuditVerifier(client: client, settings: settings).run()
        #expect(report.agedOut == 5)
        #expect(report.missing.description == "6-8, 15")
        #expect(report.changed.isEmpty)
        #expect(report.present == 11)
        #expect(!report.auditIsDamaged)
        settings.promise.ageMaxSeconds = 0
        let strict = try await AuditVerifier(client: client, settings: settings).run()
        #expect(strict.agedOut == 5, "the record's own promise was no more than an hour")
        await client.close(grace: .zero)
    }

    private struct NotStored: Error {}

    private func store(
        _ range: ClosedRange<UInt64>,
        at time: UInt64,
        number: UInt64,
        _ payload: [UInt8],
        _ setup: Setup
    ) async throws {
        let digest = PayloadDigest.of(payload[...])
        let record = AuditRecord(
            number: number,
            previousTime: number == 1 ? 0 : time,
            earliestTime: time,
            time: time,
            dropped: 0,
            promise: Self.promise,
            isLast: false,
            stream: setup.events.description,
            entries: range.map { AuditEntry(sequence: $0, digest: digest) }
        )
        let message = OutboundMessage(
            subject: Subject(prefix: try #require(SubjectPrefix("audit")), tokens: ["acks", "old"]),
            expectedStream: setup.stream,
            headers: MessageHeaders(),
            payload: record.encoded[...]
        )
        guard case .stored = await setup.client.publish(message) else { throw NotStored() }
    }
}
