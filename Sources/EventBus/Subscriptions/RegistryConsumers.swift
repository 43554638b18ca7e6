import CloudEvents
package import JetStream

/// The consumers behind the subscriptions; records say what they have to be.
extension SubscriptionRegistry {
    /// What marks a consumer as ours; consumers of others are left alone, whatever their names.
    private static let mark = "Sluice subscription"

    /// Makes sure that a subscription has the consumer that its record asks for, and no other.
    ///
    /// For whoever delivers: before the start, after every change, and when the consumer turns out to be gone. One that
    /// was deleted without us is made again from the last floor that was noted, never from "new".
    /// - Throws: ``SubscriptionError``; ``SubscriptionError/invalid(_:)`` if the server will never have such a consumer.
    @discardableResult
    package func ensureConsumer(_ key: SubscriptionKey) async throws(SubscriptionError) -> ConsumerInfo {
        for _ in 0..<8 {
            guard let record = try await load(key) else { throw .notFound }
            guard let wanted = try configuration(record) else {
                try await refilter(record)
                continue
            }
            if let found = try await info(key) {
                guard found.configuration.description == Self.mark else {
                    throw .unavailable("the stream has a consumer \(key.durableName) that is not Sluice's")
                }
                if let settled = try await settled(found, wanted, key) { return settled }
                try await deleteConsumer(key)
            } else if try await startsElsewhere(record) {
                continue
            }
            guard let made = try await make(wanted, key) else { continue }
            // Others may have replaced the record while we made the consumer of the old one.
            let now = try await load(key)
            guard let now else {
                try await deleteConsumer(key)
                throw .notFound
            }
            guard now.start == record.start, now.filterSubjects == record.filterSubjects else { continue }
            SubscriptionLog.consumer("made a", key, from: record.start, logger)
            return made
        }
        throw .conflict
    }

    /// Brings a record without a consumer up to where delivery is; true if it was changed, and everything begins again.
    private func startsElsewhere(_ record: SubscriptionRecord) async throws(SubscriptionError) -> Bool {
        let last = try await lastSequence()
        var next = record
        if record.cursor > last + 1 {
            SubscriptionLog.streamReplaced(record.key, cursor: record.cursor, last: last, logger)
            next.start = 1
            next.cursor = 1
        } else if record.cursor > record.start {
            SubscriptionLog.consumerLost(record.key, cursor: record.cursor, logger)
            next.start = record.cursor
        } else {
            return false
        }
        _ = try await store(next, expecting: record.revision)
        return true
    }

    /// Adapts a consumer as far as a live one may be; `nil` if it must be another one.
    private func settled(
        _ found: ConsumerInfo,
        _ wanted: ConsumerConfiguration,
        _ key: SubscriptionKey
    ) async throws(SubscriptionError) -> ConsumerInfo? {
        let differences = wanted.differences(from: found.configuration).map(\.field)
        if differences.isEmpty, found.otherFeatures.isEmpty { return found }
        let changeable: Set<String> = ["ack_wait", "max_deliver", "max_ack_pending"]
        guard changeable.isSuperset(of: differences), found.otherFeatures.isEmpty else { return nil }
        do throws(JetStreamError) {
            return try await client.updateConsumer(wanted, in: settings.events)
        } catch {
            if error.errorCode == 10014 || error.errorCode == 10148 { return nil }
            throw .unavailable(error.description)
        }
    }

    /// Makes the consumer; `nil` if another one of the name came up meanwhile.
    private func make(
        _ wanted: ConsumerConfiguration,
        _ key: SubscriptionKey
    ) async throws(SubscriptionError) -> ConsumerInfo? {
        do throws(JetStreamError) {
            return try await client.createConsumer(wanted, in: settings.events)
        } catch {
            switch error {
            case .api(_, 10026, _): throw await consumersFull()
            // 10013 name in use, 10148 exists already, 10105 consumer already exists on 2.9.
            case .api(_, 10148, _), .api(_, 10013, _), .api(_, 10105, _): return nil
            case .api(let code, _, let description) where (400..<404).contains(code):
                let detail = "JetStream refuses the consumer: \(description)"
                throw .invalid([Violation(pointer: "", rule: "consumer", detail: detail)])
            default: throw .unavailable(error.description)
            }
        }
    }

    /// What to say of error 10026: the stream has no room for a further consumer.
    func consumersFull() async -> SubscriptionError {
        let info = try? await client.streamInfo(settings.events)
        return .tooManyConsumers(stream: settings.events.text, count: info.map { Int($0.state.consumerCount) })
    }

    /// The consumer that a record asks for; `nil` if its filter subjects are not what they would be today.
    private func configuration(_ record: SubscriptionRecord) throws(SubscriptionError) -> ConsumerConfiguration? {
        guard let subjects = filterSubjects(record) else { return nil }
        guard let name = ConsumerName(record.key.durableName) else { throw .unavailable("no name for a consumer") }
        let config = record.subscription.config
        var wanted = ConsumerConfiguration(name: name)
        wanted.description = Self.mark
        wanted.filterSubjects = subjects
        wanted.start = .sequence(record.start)
        wanted.ackWait = config.ackWait
        wanted.maxDeliver = record.subscription.deliveryProtocol == .nats ? config.maxAttempts : -1
        wanted.maxAckPending = 100_000
        return wanted
    }

    /// The record's filter subjects, which are those for newer or for older servers; `nil` if they are neither.
    private func filterSubjects(_ record: SubscriptionRecord) -> [SubjectFilter]? {
        for kind in [ServerFilter.Kind.several, .single] {
            let filter = ServerFilter(record.subscription, prefix: settings.prefix, kind: kind)
            if filter.subjects.map(\.text) == record.filterSubjects { return filter.subjects }
        }
        return nil
    }

    /// Gives a record that was stored for another subject prefix, or by a version that knew other subjects, new ones.
    private func refilter(_ record: SubscriptionRecord) async throws(SubscriptionError) {
        var next = record
        next.filterSubjects = try serverFilter(record.subscription).subjects.map(\.text)
        let floor = try await info(record.key)?.ackFloorStreamSequence ?? 0
        next.start = max(record.start, record.cursor, floor + 1)
        next.cursor = next.start
        _ = try await store(next, expecting: record.revision)
    }

    /// State and settings of a subscription's consumer; `nil` if it has none.
    package func info(_ key: SubscriptionKey) async throws(SubscriptionError) -> ConsumerInfo? {
        guard let name = ConsumerName(key.durableName) else { return nil }
        do {
            return try await client.consumerInfo(name, in: settings.events)
        } catch {
            throw .unavailable(error.description)
        }
    }

    /// Deletes a subscription's consumer if it is ours.
    func deleteConsumer(_ key: SubscriptionKey) async throws(SubscriptionError) {
        guard let name = ConsumerName(key.durableName), let found = try await info(key),
            found.configuration.description == Self.mark
        else { return }
        do {
            try await client.deleteConsumer(name, in: settings.events)
        } catch {
            throw .unavailable(error.description)
        }
    }

    /// Deletes consumers of ours whose subscriptions are gone: a crash between the two leaves some.
    func deleteOrphans() async {
        guard let names = try? await client.consumerNames(in: settings.events) else { return }
        for name in names {
            guard let key = SubscriptionKey(durableName: name), record(key) == nil,
                let found = try? await info(key), found.configuration.description == Self.mark
            else { continue }
            do {
                // The bucket's leader knows of one that was made a moment ago.
                guard try await load(key) == nil else { continue }
                try await deleteConsumer(key)
                SubscriptionLog.orphan(name, logger)
            } catch {
                SubscriptionLog.consumerFailed(key, error.description, logger)
            }
        }
    }
}
