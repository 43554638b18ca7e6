package import DeliveryRules
package import JetStream
package import Logging

/// Turns the server's advisories about native consumers into dead letters: whatever they gave up or terminated.
///
/// Advisories are plain messages, lost unless a stream captures them (N-08). All replicas for one event stream share a
/// durable consumer of that stream, and an advisory is acknowledged only after its dead letter is stored. Safe to use from
/// any task; one ``run()`` at a time.
package struct AdvisoryReader: Sendable {
    /// Whose a consumer is.
    package enum Owner: Sendable {
        case subscription(SubscriptionKey)
        /// None of ours, or of a subscription that is gone.
        case nobody
        /// Not known yet, such as before the subscriptions have been read: the advisory comes again.
        case unknown
    }

    /// What became of an advisory; each is told once, or again after a crash.
    package enum Outcome: Sendable, Equatable {
        case deadLettered(SubscriptionKey, sequence: UInt64)
        /// The event was gone from its stream already: an end without a dead letter.
        case expiredUndelivered(SubscriptionKey, sequence: UInt64)
        /// The event is too large to be stored with the headers of a dead letter; it stays in its stream.
        case notStorable(SubscriptionKey, sequence: UInt64)
        /// Not about a subscription of ours.
        case ignored
        case malformed
        /// It could not be done now, and comes again.
        case postponed
    }

    /// The consumer's name but for the event stream's suffix: whoever reads for one stream acknowledges the advisories about
    /// others unread.
    private static let consumer = "sluice_advisories"
    /// Advisories in work at a time.
    private static let batch = 64
    /// Longest pause before an advisory that could not be dealt with comes again.
    private static let delayMax = 60

    private let client: JetStreamClient
    private let plan: StreamPlan
    private let owner: @Sendable (_ consumer: String) -> Owner
    private let observe: @Sendable (Outcome) -> Void
    private let wrote: @Sendable (SubscriptionKey, DeadLetterReason) -> Void
    private let failed: @Sendable (SubscriptionKey) -> Void
    private let logger: Logger

    /// - Parameters:
    ///   - client: a started client; not one that publishes events, since its connection is lost if this one's is (C-02).
    ///   - plan: the streams.
    ///   - owner: whose consumer of the event stream has this name.
    ///   - observe: told of every advisory, on any thread; returns soon.
    ///   - wrote: told of every dead letter that is new, likewise.
    ///   - failed: told of every try to store one that failed, likewise.
    package init(
        client: JetStreamClient,
        plan: StreamPlan,
        logger: Logger,
        owner: @escaping @Sendable (_ consumer: String) -> Owner,
        observe: @escaping @Sendable (Outcome) -> Void = { _ in },
        wrote: @escaping @Sendable (SubscriptionKey, DeadLetterReason) -> Void = { _, _ in },
        failed: @escaping @Sendable (SubscriptionKey) -> Void = { _ in }
    ) {
        self.client = client
        self.plan = plan
        self.logger = logger
        self.owner = owner
        self.observe = observe
        self.wrote = wrote
        self.failed = failed
    }

    /// Reads until the task is cancelled, whatever happens to the connection, the server or the consumer.
    package func run() async {
        guard let name = ConsumerName(Self.consumer + plan.events.name.suffix) else { return }
        var progress = Progress()
        var pause: Duration = .milliseconds(100)
        var told: String?
        while !Task.isCancelled {
            let start = progress.dealtWith
            do throws(DeadLetterError) {
                try await prepare(name, progress)
                if told != "" { DeadLetterLog.reading(logger) }
                told = ""
                try await follow(name, &progress)
            } catch {
                if told != error.description, error != .cancelled { DeadLetterLog.waiting(error.description, logger) }
                told = error.description
            }
            pause = progress.dealtWith > start ? .milliseconds(100) : min(pause * 2, .seconds(2))
            try? await Task.sleep(for: pause)
        }
    }

    /// How far this process is, in case somebody deletes the consumer: what is done is not done again.
    private struct Progress {
        private var last: UInt64 = 0
        private var postponed: Set<UInt64> = []
        var dealtWith: UInt64 = 0

        /// The first advisory that a new consumer must bring; nil for all there are.
        var start: UInt64? { last == 0 ? nil : postponed.min() ?? last + 1 }

        mutating func note(_ sequence: UInt64, _ outcome: Outcome) {
            last = max(last, sequence)
            if outcome == .postponed { postponed.insert(sequence) } else { postponed.remove(sequence) }
            dealtWith += 1
        }
    }

    /// Creates the consumer if it is not there; one that another replica made may begin elsewhere.
    private func prepare(_ name: ConsumerName, _ progress: Progress) async throws(DeadLetterError) {
        do throws(JetStreamError) {
            if try await client.consumerInfo(name, in: plan.advisories.name) != nil { return }
            var consumer = ConsumerConfiguration(name: name)
            consumer.description = "makes dead letters of what native consumers gave up"
            consumer.ackWait = .seconds(60)
            consumer.maxAckPending = 10_000
            consumer.start = progress.start.map { .sequence($0) } ?? .all
            _ = try await client.createConsumer(consumer, in: plan.advisories.name)
        } catch {
            throw DeadLetterError(error)
        }
    }

    /// Pulls and deals with advisories until pulling fails or the task is cancelled.
    private func follow(_ name: ConsumerName, _ progress: inout Progress) async throws(DeadLetterError) {
        let session = LaneSession(client)
        var pulling: DeliveryLane.Tag?
        while !Task.isCancelled {
            if pulling == nil {
                let tag = session.nextTag()
                session.lane.pull(name, in: plan.advisories.name, batch: Self.batch, expires: .seconds(5), tag: tag)
                session.lane.flush()
                pulling = tag
            }
            let (messages, end) = Self.sorted(await session.events(), pulling)
            for (message, outcome) in await deal(with: messages) {
                progress.note(message.sequence, outcome)
                let settlement: Settlement =
                    outcome == .postponed ? .release(delay: Self.delay(message.deliveries)) : .acknowledge
                // If the confirmation fails to come, so does the advisory again; its dead letter is stored once.
                session.lane.settle(message.ack, settlement, tag: session.nextTag())
            }
            session.lane.flush()
            guard let end else { continue }
            pulling = nil
            switch end {
            case .complete, .expired, .noMessages: break
            case .consumerGone: throw .unavailable("the consumer is gone")
            case .refused(let words): throw .unavailable(words)
            case .connectionLost, .notSent, .closing: throw .unavailable("no connection to NATS")
            }
        }
    }

    private static func sorted(
        _ events: [DeliveryLane.Event],
        _ pulling: DeliveryLane.Tag?
    ) -> ([DeliveredMessage], PullEnd?) {
        var messages: [DeliveredMessage] = []
        var end: PullEnd?
        for event in events {
            switch event {
            case .message(_, let message): messages.append(message)
            case .pullEnded(let tag, let reason) where tag == pulling: end = reason
            case .pullEnded, .settled: break
            }
        }
        return (messages, end)
    }

    private static func delay(_ deliveries: Int) -> Duration {
        .seconds(min(1 << min(max(deliveries - 1, 0), 6), delayMax))
    }

    /// Deals with several at a time and returns what became of each.
    private func deal(with messages: [DeliveredMessage]) async -> [(DeliveredMessage, Outcome)] {
        await withTaskGroup(of: (Int, Outcome).self) { group in
            for (index, message) in messages.enumerated() {
                group.addTask { (index, await deal(with: message)) }
            }
            var results: [(DeliveredMessage, Outcome)] = []
            for await (index, outcome) in group {
                observe(outcome)
                results.append((messages[index], outcome))
            }
            return results
        }
    }

    private func deal(with message: DeliveredMessage) async -> Outcome {
        guard let advisory = Advisory(message.payload) else {
            DeadLetterLog.malformed(message.sequence, message.subject, logger)
            return .malformed
        }
        let events = plan.events.name
        guard advisory.stream.utf8.elementsEqual(events.description.utf8) else { return .ignored }
        let key: SubscriptionKey
        switch owner(advisory.consumer) {
        case .subscription(let found): key = found
        case .nobody: return .ignored
        case .unknown: return .postponed
        }
        let found: StoredMessage?
        do {
            found = try await client.message(in: events, sequence: advisory.sequence)
        } catch {
            return .postponed
        }
        guard let found else {
            DeadLetterLog.expired(key, advisory.sequence, logger)
            return .expiredUndelivered(key, sequence: advisory.sequence)
        }
        if let target = CarriedHeaders.first(OwnHeader.target.text, in: found.headers),
            !target.utf8.elementsEqual(key.id.text.utf8)
        {
            return .ignored
        }
        return await write(found, advisory, key, isFirst: message.deliveries == 1)
    }

    /// - Parameter isFirst: whether it is tried for the first time; a failure is logged only then.
    private func write(
        _ event: StoredMessage,
        _ advisory: Advisory,
        _ key: SubscriptionKey,
        isFirst: Bool,
        after deleted: UInt64? = nil
    ) async -> Outcome {
        let history = DeadLetterHistory(
            reason: advisory.reason,
            attempts: advisory.deliveries,
            lastError: advisory.error,
            lastTime: advisory.time
        )
        let message = DeadLetterMessage.make(
            DeadLetterOrigin(event, stream: plan.events.name),
            of: key,
            history,
            stream: plan.deadLetters.name,
            after: deleted,
            bytesMax: client.serverInfo?.maxPayload ?? .max
        )
        switch await client.publish(message) {
        case .stored(let letter, let duplicate):
            if duplicate {
                // The stream knows its id, but somebody may have deleted the letter since.
                let found: StoredMessage?
                do {
                    found = try await client.message(in: plan.deadLetters.name, sequence: letter)
                } catch {
                    failed(key)
                    return .postponed
                }
                if found == nil { return await write(event, advisory, key, isFirst: isFirst, after: letter) }
            }
            if !duplicate { wrote(key, advisory.reason) }
            return .deadLettered(key, sequence: advisory.sequence)
        case .rejected(let rejection) where rejection.kind == .tooLarge || rejection.kind == .headersTooLarge:
            DeadLetterLog.refused(key, advisory.sequence, rejection.description, logger)
            failed(key)
            return .notStorable(key, sequence: advisory.sequence)
        case .rejected(let rejection):
            if isFirst { DeadLetterLog.refused(key, advisory.sequence, rejection.description, logger) }
            failed(key)
            return .postponed
        case .notSent, .unknown:
            failed(key)
            return .postponed
        }
    }
}
