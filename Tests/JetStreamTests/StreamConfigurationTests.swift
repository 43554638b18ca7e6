import JetStream
import Testing

@Suite struct StreamConfigurationTests {
    private func make() throws -> StreamConfiguration {
        StreamConfiguration(name: try #require(StreamName("EVENTS")), subjects: ["ce.>", "x.*"])
    }

    @Test func `equal settings do not differ, whatever the order of subjects and the words about them`() throws {
        var other = try make()
        other.subjects.reverse()
        other.description = "words"
        #expect(try make().differences(from: other).isEmpty)
    }

    @Test func `'no limit' is the same whether the server writes -1 or 0`() throws {
        var other = try make()
        other.maxBytes = 0
        other.maxMessages = 0
        other.maxMessageSize = 0
        other.maxMessagesPerSubject = 0
        #expect(try make().differences(from: other).isEmpty)
    }

    typealias Change = @Sendable (inout StreamConfiguration) -> Void

    private static let changes: [(String, Change)] = [
        ("subjects", { $0.subjects = ["ce.>"] }),
        ("retention", { $0.retention = .interest }), ("storage", { $0.storage = .memory }),
        ("discard", { $0.discard = .old }), ("num_replicas", { $0.replicas = 3 }),
        ("max_msgs", { $0.maxMessages = 10 }),
        ("max_bytes", { $0.maxBytes = 10 }), ("max_age", { $0.maxAge = .seconds(1) }),
        ("max_msg_size", { $0.maxMessageSize = 1 }), ("max_msgs_per_subject", { $0.maxMessagesPerSubject = 1 }),
        ("duplicate_window", { $0.duplicateWindow = .seconds(1) }), ("deny_delete", { $0.denyDelete = true }),
        ("deny_purge", { $0.denyPurge = true }), ("allow_rollup_hdrs", { $0.allowRollup = true }),
        ("sealed", { $0.sealed = true }), ("no_ack", { $0.noAcknowledgement = true }),
    ]

    @Test(arguments: changes)
    func `R-10: each setting that differs is named, with both values`(field: String, change: Change) throws {
        var other = try make()
        change(&other)
        let differences = try make().differences(from: other)
        #expect(differences.map(\.field) == [field])
        #expect(differences.allSatisfy { $0.expected != $0.actual && !$0.description.isEmpty })
    }
}
