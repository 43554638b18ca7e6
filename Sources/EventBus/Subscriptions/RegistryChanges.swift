import CloudEvents
import JetStream

/// Changes; each is one write that fails if others were faster, and is tried again on what they wrote.
extension SubscriptionRegistry {
    /// What a PUT did.
    package struct Replacement: Sendable {
        /// The subscription as it is now.
        package let record: SubscriptionRecord
        /// Whether there was none before.
        package let isNew: Bool
        /// Where a new consumer began because the server's filter is another one; `nil` if the consumer is the old one.
        ///
        /// Nothing from there on is skipped, and what was settled there may come again.
        package let restartedAt: UInt64?
    }

    private static let triesMax = 8

    /// Makes a subscription and its consumer.
    ///
    /// - Throws: ``SubscriptionError``.
    package func create(
        _ subscription: Subscription,
        consent: SinkConsent
    ) async throws(SubscriptionError) -> SubscriptionRecord {
        guard isCurrent else { throw .unavailable("subscriptions are still being read") }
        // Those that are being stored count too: many at once are no way around the limit.
        guard table.withLock({ $0.takePlace(of: subscription.key, max: settings.perTenantMax) }) else {
            throw .tooMany(limit: settings.perTenantMax)
        }
        defer { table.withLock { $0.givePlaceBack(of: subscription.key) } }
        let filter = try serverFilter(subscription)
        let start = try await firstSequence(subscription.config.startAt)
        let now = Timestamp.now()
        let record = SubscriptionRecord(
            subscription: subscription,
            state: consent.status == .awaited ? .awaitingConsent : .active,
            consent: consent,
            created: now,
            updated: now,
            start: start,
            cursor: start,
            filterSubjects: filter.subjects.map(\.text)
        )
        guard let stored = try await store(record, expecting: 0) else { throw .exists }
        do {
            _ = try await ensureConsumer(stored.key)
        } catch {
            // The record stands, and who delivers makes the consumer; unless the server will not have it.
            switch error {
            case .invalid, .tooManyConsumers:
                try await delete(stored.key)
                throw error
            default:
                SubscriptionLog.consumerFailed(stored.key, error.description, logger)
                return stored
            }
        }
        return stored
    }

    /// Makes a subscription or replaces the whole of one, as a PUT does.
    ///
    /// A subscription that is paused stays so; a disabled one is active again. `startAt` counts when it is made, not later.
    /// - Throws: ``SubscriptionError``.
    package func upsert(
        _ subscription: Subscription,
        consent: SinkConsent
    ) async throws(SubscriptionError) -> Replacement {
        for _ in 0..<Self.triesMax {
            guard let old = try await load(subscription.key) else {
                do {
                    let made = try await create(subscription, consent: consent)
                    return Replacement(record: made, isNew: true, restartedAt: nil)
                } catch {
                    guard error == .exists else { throw error }
                    continue
                }
            }
            let (next, restarts) = try await replacement(of: old, by: subscription, consent: consent)
            guard let stored = try await store(next, expecting: old.revision) else { continue }
            do {
                _ = try await ensureConsumer(stored.key)
            } catch {
                SubscriptionLog.consumerFailed(stored.key, error.description, logger)
            }
            return Replacement(record: stored, isNew: false, restartedAt: restarts ? stored.start : nil)
        }
        throw .conflict
    }

    /// The record after a PUT, and whether it needs another consumer.
    ///
    /// The filter of a live consumer is never changed (N-05): the new one begins where the old one has settled everything
    /// before, and the record says so before the old one goes.
    private func replacement(
        of old: SubscriptionRecord,
        by subscription: Subscription,
        consent: SinkConsent
    ) async throws(SubscriptionError) -> (SubscriptionRecord, restarts: Bool) {
        var next = old
        next.subscription = subscription
        next.consent = consent
        next.updated = .now()
        if old.state != .paused { next.state = consent.status == .awaited ? .awaitingConsent : .active }
        let isNative = subscription.deliveryProtocol == .nats
        let wasNative = old.subscription.deliveryProtocol == .nats
        let sameWishes =
            old.subscription.types == subscription.types && old.subscription.filter == subscription.filter
        let wanted = try serverFilter(subscription).subjects.map(\.text)
        // The same wishes keep their subjects, also after an update of the server.
        guard wanted != old.filterSubjects, !sameWishes || isNative != wasNative else { return (next, false) }
        let floor = try await info(old.key)?.ackFloorStreamSequence ?? 0
        next.start = max(old.start, old.cursor, floor + 1)
        next.cursor = next.start
        next.filterSubjects = wanted
        return (next, true)
    }

    /// Lets delivery begin again at a sequence, earlier or later; what was settled from there on comes again.
    ///
    /// - Throws: ``SubscriptionError``.
    package func restart(_ key: SubscriptionKey, at start: SubscriptionConfig.Start) async throws(SubscriptionError) {
        let sequence = try await firstSequence(start)
        try await update(key) { record in
            record.start = sequence
            record.cursor = sequence
            return true
        }
        // Even a consumer that was made from the same sequence is of no use: it has gone on since.
        try await deleteConsumer(key)
        _ = try await ensureConsumer(key)
    }

    /// Removes a subscription and its consumer.
    ///
    /// - Throws: ``SubscriptionError``; a consumer that cannot be removed now is removed later.
    package func delete(_ key: SubscriptionKey) async throws(SubscriptionError) {
        for _ in 0..<Self.triesMax {
            guard let record = try await load(key) else { throw .notFound }
            switch await bucket.delete(key.bucketKey, expecting: record.revision) {
            case .stored(let revision): table.withLock { $0.apply(key, nil, revision: revision) }
            case .conflict: continue
            case .failed(let outcome):
                guard case .unknown = outcome, try await load(key) == nil else {
                    throw .unavailable(Self.words(outcome))
                }
            }
            floors.withLock { $0.forget(key) }
            do {
                try await deleteConsumer(key)
            } catch {
                SubscriptionLog.consumerFailed(key, error.description, logger)
            }
            return
        }
        throw .conflict
    }

    /// Stops delivery until somebody resumes it.
    package func pause(_ key: SubscriptionKey) async throws(SubscriptionError) -> SubscriptionRecord {
        try await setState(key, to: .paused)
    }

    /// Lets delivery go on after a pause or after it was given up; without consent it waits for that.
    package func resume(_ key: SubscriptionKey) async throws(SubscriptionError) -> SubscriptionRecord {
        try await update(key) { record in
            let state: SubscriptionState = record.consent.status == .awaited ? .awaitingConsent : .active
            guard record.state != state else { return false }
            record.state = state
            return true
        }
    }

    /// Sets the state; with `from` only if it is that one now, and else changes nothing.
    @discardableResult
    package func setState(
        _ key: SubscriptionKey,
        to state: SubscriptionState,
        from expected: SubscriptionState? = nil
    ) async throws(SubscriptionError) -> SubscriptionRecord {
        try await update(key) { record in
            guard record.state != state, expected == nil || record.state == expected else { return false }
            record.state = state
            return true
        }
    }

    /// Notes what is known of the sink's consent; delivery begins with it, and waits without.
    @discardableResult
    package func setConsent(
        _ key: SubscriptionKey,
        _ consent: SinkConsent
    ) async throws(SubscriptionError) -> SubscriptionRecord {
        try await update(key) { record in
            record.consent = consent
            switch (record.state, consent.status) {
            case (.awaitingConsent, .granted), (.awaitingConsent, .notNeeded): record.state = .active
            case (.active, .awaited): record.state = .awaitingConsent
            default: break
            }
            return true
        }
    }

    /// Changes a record as `change` says, which is asked again if others were faster; `false` leaves it as it is.
    ///
    /// - Throws: ``SubscriptionError``, also what `change` throws.
    @discardableResult
    package func update(
        _ key: SubscriptionKey,
        _ change: (inout SubscriptionRecord) throws(SubscriptionError) -> Bool
    ) async throws(SubscriptionError) -> SubscriptionRecord {
        for _ in 0..<Self.triesMax {
            guard let record = try await load(key) else { throw .notFound }
            var next = record
            guard try change(&next) else { return record }
            next.updated = .now()
            if let stored = try await store(next, expecting: record.revision) { return stored }
        }
        throw .conflict
    }
}
