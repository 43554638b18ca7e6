/// A key-value bucket of JetStream (ADR-8 of NATS): a stream with the newest message of each subject.
///
/// Of cnats' own key-value functions none is used (C-16).
package final class KeyValueBucket: Sendable {
    package let client: JetStreamClient
    package let name: BucketName
    private let replicas: Int

    /// A key's newest value, or the mark of its deletion.
    package struct Entry: Sendable, Equatable {
        package let key: String
        /// Empty if it is deleted.
        package let value: [UInt8]
        package let revision: UInt64
        package let isDeleted: Bool
    }

    /// What became of a change.
    package enum PutResult: Sendable, Equatable {
        case stored(UInt64)
        /// The key's newest revision is not the one expected: certainly not stored.
        case conflict
        case failed(PublishOutcome)
    }

    package init(client: JetStreamClient, name: BucketName, replicas: Int) {
        self.client = client
        self.name = name
        self.replicas = replicas
    }

    /// Creates the bucket's stream, or checks the one there is.
    ///
    /// - Throws: ``JetStreamError``; `.api` 10058 if it exists with other settings.
    package func open() async throws(JetStreamError) {
        let wanted = configuration
        if let found = try await client.streamInfo(name.stream) {
            let differences = wanted.differences(from: found.configuration)
            guard differences.isEmpty else {
                let words = differences.map(\.description).joined(separator: "; ")
                throw .api(code: 400, errorCode: 10058, description: "stream \(name.stream): \(words)")
            }
            return
        }
        _ = try await client.createStream(wanted)
    }

    private var configuration: StreamConfiguration {
        var configuration = StreamConfiguration(name: name.stream, subjects: ["$KV.\(name.text).>"])
        configuration.replicas = replicas
        configuration.maxMessagesPerSubject = 1
        configuration.discard = .new
        configuration.denyDelete = true
        configuration.allowRollup = true
        return configuration
    }

    /// A key's newest entry, which may be the mark of its deletion, as the stream's leader has it; nil if there is none.
    package func get(_ key: Key) async throws(JetStreamError) -> Entry? {
        let filter = SubjectFilter(Subject(bucket: name, key: key))
        guard let message = try await client.lastMessage(in: name.stream, subject: filter) else { return nil }
        let operation = message.header("KV-Operation")
        let deleted = operation == "DEL" || operation == "PURGE"
        return Entry(
            key: key.text,
            value: deleted ? [] : message.payload,
            revision: message.sequence,
            isDeleted: deleted
        )
    }

    /// Writes a value if the key's newest revision is `expecting`; 0 if there must be no value, nil whatever there is.
    package func put(_ key: Key, _ value: [UInt8], expecting: UInt64?) async -> PutResult {
        let result = await store(key, value, expecting, nil)
        guard expecting == 0, result == .conflict else { return result }
        // A deleted key is no value, but its mark has a revision.
        do {
            guard let entry = try await get(key) else { return await store(key, value, 0, nil) }
            return entry.isDeleted ? await store(key, value, entry.revision, nil) : .conflict
        } catch {
            return .conflict
        }
    }

    /// Marks a key as deleted if its newest revision is `expecting`; nil whatever there is.
    package func delete(_ key: Key, expecting: UInt64?) async -> PutResult {
        await store(key, [], expecting, .delete)
    }

    /// The keys that have a value or a mark, in no order; servers tell at most 100,000.
    package func keys() async throws(JetStreamError) -> [Key] {
        let info = try await client.streamInfo(name.stream, deleted: false, subjects: SubjectFilter(allOf: name))
        let prefix = "$KV.\(name.text)."
        return (info?.state.subjects ?? [:]).keys.compactMap { subject in
            subject.hasPrefix(prefix) ? Key(text: String(subject.dropFirst(prefix.count))) : nil
        }
    }

    /// Removes a key's newest entry without a trace, be it a value or the mark of a deletion.
    ///
    /// Only for buckets that nobody watches: on nats-server 2.9 watches would miss what they have not got yet.
    package func remove(_ key: Key) async throws(JetStreamError) {
        try await client.purge(SubjectFilter(Subject(bucket: name, key: key)), of: name.stream)
    }

    private func store(
        _ key: Key,
        _ value: [UInt8],
        _ expecting: UInt64?,
        _ operation: KeyOperation?
    ) async -> PutResult {
        var headers = MessageHeaders()
        headers.expectedLastSubjectSequence = expecting
        headers.operation = operation
        let message = OutboundMessage(
            subject: Subject(bucket: name, key: key),
            expectedStream: name.stream,
            headers: headers,
            payload: value[...]
        )
        switch await client.publish(message) {
        case .stored(let sequence, _): return .stored(sequence)
        // 10071 is "wrong last sequence" with a number, 10164 the same without.
        case .rejected(let rejection) where rejection.code == 10071 || rejection.code == 10164: return .conflict
        case let outcome: return .failed(outcome)
        }
    }

    /// Tells `onChange` of every key there is, then ``WatchEvent/current``, then every change, until the watch is stopped.
    ///
    /// `onChange` is called on threads of the cooperative pool, one call at a time; it must return soon.
    package func watch(_ onChange: @escaping @Sendable (WatchEvent) -> Void) -> Watch {
        Watch(bucket: self, onChange)
    }
}
