import JetStream

/// Reads a stretch of the dead letters in stream order, many with one request, through a consumer that lives as long.
///
/// JetStream filters by subject: nothing of other tenants or subscriptions crosses the wire.
struct DeadLetterScan {
    /// What to read, and how much of it at a time.
    struct Request {
        var filter: SubjectFilter
        /// Only what has a greater sequence.
        var after: UInt64
        /// Only what has no greater sequence.
        var through = UInt64.max
        /// Most items wanted.
        var limit: Int
        /// Most messages looked at.
        var messagesMax = 5000
        /// No further request once so many bytes of payload have come.
        var bytesMax = 16 << 20
    }

    /// What was found.
    struct Page<Item> {
        var items: [Item] = []
        /// Where to go on; nil at the end.
        var next: UInt64?
    }

    /// Messages asked for at a time.
    private static let batchMax = 1000
    /// How long the server may take for what it said is there.
    private static let patience: Duration = .seconds(5)

    /// Messages read one by one behind what the consumer took for the end.
    private static let endReadsMax = 64
    /// How long a new consumer may be unreachable: other nodes of a cluster learn of it a moment after its creation.
    private static let leaderPatience: Duration = .seconds(3)

    let client: JetStreamClient
    let stream: StreamName

    /// Reads until a bound is reached.
    ///
    /// - Parameter pick: the item of a dead letter, nil for one that is not wanted.
    func page<Item>(
        _ request: Request,
        _ pick: (DeadLetter) -> Item?
    ) async throws(DeadLetterError) -> Page<Item> {
        guard request.limit > 0, request.after < request.through else { return Page() }
        var consumer = ConsumerConfiguration(name: nil)
        consumer.description = "reads a page of dead letters"
        consumer.filterSubjects = [request.filter]
        consumer.start = .sequence(request.after + 1)
        consumer.acknowledges = false
        consumer.memoryStorage = true
        consumer.replicas = 1
        consumer.inactiveThreshold = .seconds(30)
        let info: ConsumerInfo
        do {
            info = try await client.createConsumer(consumer, in: stream)
        } catch {
            throw DeadLetterError(error)
        }
        var reading = Reading<Item>(request: request, expected: info.pending)
        var failure = await reading.run(LaneSession(client), info.name, stream, pick)
        // The server deletes it anyway when nobody has used it for a while.
        _ = try? await client.deleteConsumer(info.name, in: stream)
        if reading.hasReachedEnd { failure = await reading.confirmEnd(client, stream, pick) }
        if let failure, reading.last == request.after { throw failure }
        reading.page.next = reading.hasReachedEnd ? nil : reading.last
        return reading.page
    }

    /// One page while it is read.
    private struct Reading<Item> {
        let request: Request
        /// Messages that the consumer still has for us, as far as is known.
        var expected: UInt64
        var page = Page<Item>()
        /// The last message looked at.
        var last: UInt64
        var looked = 0
        var bytes = 0
        var hasReachedEnd = false

        init(request: Request, expected: UInt64) {
            self.request = request
            self.expected = expected
            last = request.after
            hasReachedEnd = expected == 0
        }

        private static var consumerGone: DeadLetterError { .unavailable("JetStream has lost the consumer") }

        private var isFull: Bool {
            page.items.count >= request.limit || looked >= request.messagesMax || bytes >= request.bytesMax
        }

        /// Fills the page; returns what kept it from going on.
        mutating func run(
            _ session: LaneSession,
            _ consumer: ConsumerName,
            _ stream: StreamName,
            _ pick: (DeadLetter) -> Item?
        ) async -> DeadLetterError? {
            var failure: DeadLetterError?
            var pause = RetryPause(patience: DeadLetterScan.leaderPatience)
            while !hasReachedEnd, !isFull, failure == nil {
                let tag = session.nextTag()
                let wanted = min(DeadLetterScan.batchMax, request.messagesMax - looked, Int(clamping: expected))
                session.lane.pull(
                    consumer,
                    in: stream,
                    batch: wanted,
                    expires: DeadLetterScan.patience,
                    noWait: true,
                    tag: tag
                )
                session.lane.flush()
                failure = await receive(session, tag, pick)
                if failure == Self.consumerGone, await pause.wait() { failure = nil }
            }
            return failure
        }

        /// Takes what one pull brings.
        private mutating func receive(
            _ session: LaneSession,
            _ tag: DeliveryLane.Tag,
            _ pick: (DeadLetter) -> Item?
        ) async -> DeadLetterError? {
            let before = last
            while true {
                let events = await session.events()
                if events.isEmpty { return .cancelled }
                var end: PullEnd?
                for event in events {
                    switch event {
                    case .message(_, let message): take(message, pick)
                    case .pullEnded(tag, let reason): end = reason
                    case .pullEnded, .settled: break
                    }
                }
                if hasReachedEnd || isFull { return nil }
                guard let end else { continue }
                switch end {
                case .complete where last > before: return nil
                case .noMessages:
                    // What was announced has been deleted since.
                    hasReachedEnd = true
                    return nil
                case .complete, .expired: return .unavailable("JetStream does not deliver the dead letters")
                case .refused(let words): return .unavailable(words)
                case .consumerGone: return Self.consumerGone
                case .connectionLost, .notSent, .closing: return .unavailable("no connection to NATS")
                }
            }
        }

        private mutating func take(_ message: DeliveredMessage, _ pick: (DeadLetter) -> Item?) {
            guard !hasReachedEnd, !isFull, message.sequence > last else { return }
            guard message.sequence <= request.through else {
                hasReachedEnd = true
                return
            }
            expected = message.pending
            hasReachedEnd = message.pending == 0
            consider(message.subject, message.sequence, message.payload.count, DeadLetter(message), pick)
        }

        private mutating func consider(
            _ subject: String,
            _ sequence: UInt64,
            _ count: Int,
            _ letter: DeadLetter?,
            _ pick: (DeadLetter) -> Item?
        ) {
            last = sequence
            looked += 1
            bytes += count
            guard request.filter.matches(subject), let item = letter.flatMap(pick) else { return }
            page.items.append(item)
        }

        /// Asks the stream's leader whether there is more, and takes what is.
        ///
        /// A consumer counts what is left a little short while messages are deleted, and in a cluster it may read a copy that
        /// lags: without this a list could end before the newest dead letters.
        mutating func confirmEnd(
            _ client: JetStreamClient,
            _ stream: StreamName,
            _ pick: (DeadLetter) -> Item?
        ) async -> DeadLetterError? {
            for _ in 0..<DeadLetterScan.endReadsMax {
                guard last < request.through else { return nil }
                let found: StoredMessage?
                do {
                    found = try await client.nextMessage(in: stream, from: last + 1, subject: request.filter)
                } catch {
                    hasReachedEnd = false
                    return DeadLetterError(error)
                }
                guard let found, found.sequence <= request.through else { return nil }
                if isFull { break }
                consider(found.subject, found.sequence, found.payload.count, DeadLetter(found), pick)
            }
            hasReachedEnd = false
            return nil
        }
    }
}
