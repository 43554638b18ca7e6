import CloudEvents
import EventFilters
import JetStream

/// The bucket, and the errors it makes.
extension SubscriptionRegistry {
    /// The newest record as the bucket's leader has it, also for this replica's copy; `nil` if there is none.
    func load(_ key: SubscriptionKey) async throws(SubscriptionError) -> SubscriptionRecord? {
        let entry: KeyValueBucket.Entry?
        do {
            entry = try await bucket.get(key.bucketKey)
        } catch {
            throw .unavailable(error.description)
        }
        guard let entry else { return nil }
        if entry.isDeleted {
            table.withLock { $0.apply(key, nil, revision: entry.revision) }
            return nil
        }
        guard let record = SubscriptionRecord(json: entry.value, key: key, revision: entry.revision) else {
            throw .unavailable("the stored subscription cannot be read; another version may have written it")
        }
        table.withLock { $0.apply(key, record, revision: entry.revision) }
        return record
    }

    /// Writes a record; `nil` if the key's revision is another one than expected.
    func store(
        _ record: SubscriptionRecord,
        expecting revision: UInt64
    ) async throws(SubscriptionError) -> SubscriptionRecord? {
        let json = record.json
        var stored = record
        switch await bucket.put(record.key.bucketKey, json, expecting: revision) {
        case .stored(let revision): stored.revision = revision
        case .conflict: return nil
        case .failed(let outcome):
            // Whether it is there can be seen: our bytes under a newer revision.
            guard case .unknown = outcome, let found = try await load(record.key), found.revision > revision,
                found.json == json
            else { throw .unavailable(Self.words(outcome)) }
            stored.revision = found.revision
        }
        let final = stored
        table.withLock { $0.apply(final.key, final, revision: final.revision) }
        return final
    }

    static func words(_ outcome: PublishOutcome) -> String {
        switch outcome {
        case .stored: "stored"
        case .rejected(let rejection): "JetStream refuses: \(rejection.description)"
        case .notSent: "not connected to NATS"
        case .unknown: "no answer from NATS in time"
        }
    }

    /// What the server is to decide of a subscription.
    ///
    /// - Throws: ``SubscriptionError/invalid(_:)`` if it is against the rules of ``SubscriptionReader``, as one can be that
    ///   a program made, or if it is native and this server cannot decide all of it.
    func serverFilter(_ subscription: Subscription) throws(SubscriptionError) -> ServerFilter {
        let violations = SubscriptionReader.violations(of: subscription)
        guard violations.isEmpty else { throw .invalid(violations) }
        guard let server = client.serverInfo else { throw .unavailable("not connected to NATS") }
        let kind: ServerFilter.Kind = server.isAtLeast(2, 10) ? .several : .single
        let filter = ServerFilter(subscription, prefix: settings.prefix, kind: kind)
        guard subscription.deliveryProtocol == .nats, !filter.isExact else { return filter }
        let reason =
            filter.remainder == [.joined]
            ? "these types need several filter subjects, which this nats-server does not take or which overlap"
            : "the server alone decides, and it cannot decide all of this"
        throw .invalid([Violation(pointer: "/types", rule: "SUB-19", detail: "with the protocol NATS \(reason)")])
    }

    /// The sequence that delivery begins with, so that it is never looked for again.
    func firstSequence(_ start: SubscriptionConfig.Start) async throws(SubscriptionError) -> UInt64 {
        switch start {
        case .earliest: return 1
        case .new: return try await lastSequence() + 1
        case .sequence(let sequence):
            let last = try await lastSequence()
            guard sequence <= last + 1 else {
                let detail = "the newest event has the sequence \(last)"
                throw .invalid([Violation(pointer: "/config/startAt", rule: "config", detail: detail)])
            }
            return sequence
        case .time(let time):
            // A consumer that nobody uses finds the place; it goes by itself after a few seconds.
            var finder = ConsumerConfiguration(name: nil)
            finder.start = .time(time.text)
            finder.acknowledges = false
            finder.memoryStorage = true
            finder.inactiveThreshold = .seconds(5)
            do throws(JetStreamError) {
                let info = try await client.createConsumer(finder, in: settings.events)
                _ = try? await client.deleteConsumer(info.name, in: settings.events)
                return info.deliveredStreamSequence + 1
            } catch {
                if error.errorCode == 10026 { throw await consumersFull() }
                throw .unavailable(error.description)
            }
        }
    }

    /// The sequence of the newest event.
    func lastSequence() async throws(SubscriptionError) -> UInt64 {
        do throws(JetStreamError) {
            guard let info = try await client.streamInfo(settings.events) else {
                throw .api(code: 404, errorCode: 10059, description: "stream \(settings.events) not found")
            }
            return info.state.lastSequence
        } catch {
            throw .unavailable(error.description)
        }
    }
}
