import CloudEvents
import JetStream

/// Where a subscription's consumer stands in the stream, over all replicas.
package struct SubscriptionPosition: Sendable, Equatable {
    /// Events not delivered yet, as the server counts them: those that its filter lets through.
    package var pending: UInt64
    /// Events delivered and not settled.
    package var unsettled: Int
    /// Of these, delivered more than once.
    package var redelivered: Int
    /// Everything up to this sequence is settled.
    package var floor: UInt64
    /// How many deliveries were made so far.
    var deliveries: UInt64 = 0
    /// How old the oldest event is that is not settled, in whole seconds; nil if there is none.
    package var oldestAgeSeconds: Int64?
    /// Events that the stream's limits took before they were settled, as far as this replica saw; at least so many.
    package var expiredUndelivered: UInt64 = 0
}

/// Reads positions: on demand, and in turn for `/metrics` and for the checkpoints.
final class DeliveryWatch: Sendable {
    private let client: JetStreamClient
    private let registry: SubscriptionRegistry
    private let stream: StreamName
    private let restore: @Sendable (SubscriptionKey) async -> Void
    private let known = Locked<[SubscriptionKey: SubscriptionPosition]>([:])

    /// Every subscription is looked at about so often, and no two closer together than the pause.
    private static let round = Duration.seconds(10)
    private static let shortestPause = Duration.milliseconds(20)

    /// - Parameter restore: makes a consumer again that is not there.
    init(
        client: JetStreamClient,
        registry: SubscriptionRegistry,
        stream: StreamName,
        restore: @escaping @Sendable (SubscriptionKey) async -> Void
    ) {
        self.client = client
        self.restore = restore
        self.registry = registry
        self.stream = stream
    }

    /// What was read last, by subscription; at most a round old while NATS answers.
    var positions: [SubscriptionKey: SubscriptionPosition] { known.withLock { $0 } }

    /// Looks at every subscription in turn until the task is cancelled.
    func run() async {
        while !Task.isCancelled {
            let records = registry.all
            let pause = max(Self.round / max(records.count, 1), Self.shortestPause)
            for record in records {
                if client.state.isConnected { await look(at: record) }
                try? await Task.sleep(for: pause)
                if Task.isCancelled { return }
            }
            let keys = Set(registry.all.map(\.key))
            known.withLock { known in known = known.filter { keys.contains($0.key) } }
            if records.isEmpty { try? await Task.sleep(for: .seconds(1)) }
        }
    }

    private func look(at record: SubscriptionRecord) async {
        do throws(JetStreamError) {
            guard let position = try await read(record) else { return await restore(record.key) }
            registry.report(floor: position.floor, start: record.start, of: record.key)
        } catch {}  // Read again in the next round.
    }

    /// Reads a position now; nil if the consumer is not there.
    func read(_ record: SubscriptionRecord) async throws(JetStreamError) -> SubscriptionPosition? {
        guard let name = ConsumerName(record.key.durableName),
            let info = try await client.consumerInfo(name, in: stream)
        else { return nil }
        var position = SubscriptionPosition(
            pending: info.pending,
            unsettled: info.ackPending,
            redelivered: info.redelivered,
            floor: max(info.ackFloorStreamSequence, record.start - 1),
            oldestAgeSeconds: nil
        )
        position.deliveries = info.deliveredConsumerSequence
        if position.pending > 0 || position.unsettled > 0 {
            position.oldestAgeSeconds = try await oldestAge(after: position.floor, info.configuration.filterSubjects)
        }
        let before = known.withLock { $0[record.key] }
        position.expiredUndelivered = before?.expiredUndelivered ?? 0
        if let before { position.expiredUndelivered += try await expired(since: before, position) }
        known.withLock { $0[record.key] = position }
        return position
    }

    /// The age of the first event after the floor that the server's filter lets through.
    private func oldestAge(
        after floor: UInt64,
        _ subjects: [SubjectFilter]
    ) async throws(JetStreamError) -> Int64? {
        var oldest: Int64?
        let now = Int64(WallClock.milliseconds / 1000)
        for subject in subjects {
            guard let message = try await client.nextMessage(in: stream, from: floor + 1, subject: subject),
                let stored = Timestamp(message.time)
            else { continue }
            oldest = max(oldest ?? 0, max(0, now - stored.secondsSinceEpoch))
        }
        return oldest
    }

    /// How many events the stream's limits, or a purge, took unsettled since the last look; at least so many: what is not
    /// outstanding any more and cannot have been settled, since settled is at most what was delivered then or since.
    private func expired(
        since before: SubscriptionPosition,
        _ now: SubscriptionPosition
    ) async throws(JetStreamError) -> UInt64 {
        let outstandingBefore = before.pending + UInt64(max(before.unsettled, 0))
        let outstandingNow = now.pending + UInt64(max(now.unsettled, 0))
        // A consumer that was made anew counts its deliveries from the beginning.
        guard now.deliveries >= before.deliveries else { return 0 }
        let settledMax = UInt64(max(before.unsettled, 0)) + now.deliveries - before.deliveries
        guard outstandingBefore > outstandingNow + settledMax else { return 0 }
        guard let info = try await client.streamInfo(stream), info.state.firstSequence > before.floor + 1 else {
            return 0
        }
        return outstandingBefore - outstandingNow - settledMax
    }
}

extension DeliveryEngine {
    /// Watches positions and answers other replicas until the task is cancelled.
    package func run() async {
        let service = serveReplicas()
        await watch.run()
        service.stop()
    }

    /// Where a subscription stands now.
    ///
    /// - Throws: ``SubscriptionError``.
    package func position(of key: SubscriptionKey) async throws(SubscriptionError) -> SubscriptionPosition {
        guard let record = registry.record(key) else { throw .notFound }
        do throws(JetStreamError) {
            guard let position = try await watch.read(record) else {
                throw .noResponders
            }
            return position
        } catch {
            throw .unavailable("the consumer cannot be read now: \(error)")
        }
    }

    /// What was read last of every subscription.
    package var positions: [SubscriptionKey: SubscriptionPosition] { watch.positions }
}
