extension KeyValueBucket {
    /// What a watch tells.
    package enum WatchEvent: Sendable, Equatable {
        /// A key has a new value or was deleted.
        case entry(Entry)
        /// Everything that was there when the watch began, or began anew, has been told.
        case current
        /// Connection or consumer are gone, for this reason; what changes meanwhile is told as soon as the watch has begun
        /// anew.
        case lost(String)
    }

    /// A running watch; it also ends when this value goes.
    package final class Watch: Sendable {
        private let task: Task<Void, Never>

        init(bucket: KeyValueBucket, _ onChange: @escaping @Sendable (WatchEvent) -> Void) {
            task = Task {
                var watcher = KeyValueWatcher(bucket: bucket, onChange)
                await watcher.run()
            }
        }

        deinit { task.cancel() }

        /// Ends the watch; a call of `onChange` that runs already runs to its end.
        package func stop() { task.cancel() }
    }
}

/// Follows one bucket: an ephemeral consumer of its own that begins with the newest message of every key (C-16).
///
/// When anything is amiss it begins anew, and tells only what differs from what it has told before.
struct KeyValueWatcher {
    private let bucket: KeyValueBucket
    private let onChange: @Sendable (KeyValueBucket.WatchEvent) -> Void
    /// What was told of every key.
    private var known: [String: KeyValueBucket.Entry] = [:]
    private var isLost = false

    private static let pauseMin: Duration = .milliseconds(100)
    private static let pauseMax: Duration = .milliseconds(500)

    init(bucket: KeyValueBucket, _ onChange: @escaping @Sendable (KeyValueBucket.WatchEvent) -> Void) {
        self.bucket = bucket
        self.onChange = onChange
    }

    mutating func run() async {
        var pause = Self.pauseMin
        while !Task.isCancelled {
            let reason: String
            do throws(JetStreamError) {
                let info = try await bucket.client.createConsumer(
                    bucket.watchConsumer,
                    in: bucket.name.stream,
                    timeout: .seconds(5)
                )
                reason = await follow(info)
                if !isLost { pause = Self.pauseMin }
                _ = try? await bucket.client.deleteConsumer(info.name, in: bucket.name.stream, timeout: .seconds(1))
            } catch {
                reason = error.description
            }
            if Task.isCancelled { return }
            if !isLost { onChange(.lost(reason)) }
            isLost = true
            try? await Task.sleep(for: pause)
            pause = min(pause * 2, Self.pauseMax)
        }
    }

    /// Reads until something is amiss, and says what.
    private mutating func follow(_ info: ConsumerInfo) async -> String {
        let (wakes, waker) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let ticker = Task {
            while !Task.isCancelled {
                waker.yield()
                try? await Task.sleep(for: KeyValueSession.pullInterval)
            }
        }
        defer { ticker.cancel() }
        let lane = bucket.client.makeDeliveryLane { waker.yield() }
        var session = KeyValueSession(consumer: info.name, stream: bucket.name.stream)
        for await _ in wakes {
            var events: [DeliveryLane.Event] = []
            lane.drain { events.append($0) }
            for event in events {
                switch session.handle(event) {
                case .nothing: break
                case .message(let message): tell(message, &session)
                case .complete: complete(session)
                case .failed(let reason): return reason
                }
            }
            session.pull(lane, now: monotonicNow())
            lane.flush()
        }
        return "stopped"
    }

    private mutating func tell(_ message: DeliveredMessage, _ session: inout KeyValueSession) {
        guard let entry = bucket.entry(of: message) else { return }
        session.seen.insert(entry.key)
        if known[entry.key]?.revision == entry.revision { return }
        known[entry.key] = KeyValueBucket.Entry(
            key: entry.key,
            value: [],
            revision: entry.revision,
            isDeleted: entry.isDeleted
        )
        onChange(.entry(entry))
    }

    /// Everything there is has been told; what is not there any more was deleted, and its mark too.
    private mutating func complete(_ session: KeyValueSession) {
        for entry in known.values where !session.seen.contains(entry.key) {
            known[entry.key] = nil
            guard !entry.isDeleted else { continue }
            onChange(
                .entry(KeyValueBucket.Entry(key: entry.key, value: [], revision: entry.revision, isDeleted: true))
            )
        }
        isLost = false
        onChange(.current)
    }
}

/// One consumer's life within a watch: first everything there is, asked for without waiting, then what comes.
struct KeyValueSession {
    private let consumer: ConsumerName
    private let stream: StreamName
    private var isComplete = false
    private var sequence: UInt64 = 0
    private var nextTag: UInt64 = 1
    private var outstanding = 0
    private var nextPull: Nanoseconds = 0
    /// Keys that were there before everything was told.
    var seen: Set<String> = []

    /// How often a pull goes out while nothing comes; each waits twice as long, so that there is always one.
    static let pullInterval: Duration = .seconds(1)
    private static let batch = 512

    enum Step {
        case nothing
        case message(DeliveredMessage)
        /// All that was there has come.
        case complete
        case failed(String)
    }

    init(consumer: ConsumerName, stream: StreamName) {
        self.consumer = consumer
        self.stream = stream
    }

    mutating func handle(_ event: DeliveryLane.Event) -> Step {
        switch event {
        case .settled: return .nothing
        case .message(_, let message):
            guard message.consumerSequence == sequence + 1 else { return .failed("a message is missing") }
            sequence += 1
            return .message(message)
        case .pullEnded(_, let end):
            outstanding -= 1
            nextPull = 0
            switch end {
            case .complete, .expired: return .nothing
            case .noMessages:
                if isComplete { return .nothing }
                isComplete = true
                return .complete
            case .consumerGone: return .failed("the watch's consumer is gone")
            case .connectionLost, .notSent: return .failed("no connection to NATS")
            case .closing: return .failed("the NATS client is closed")
            case .refused(let words): return .failed(words)
            }
        }
    }

    /// Asks for more if it is time.
    mutating func pull(_ lane: DeliveryLane, now: Nanoseconds) {
        guard outstanding < (isComplete ? 4 : 1), now >= nextPull else { return }
        lane.pull(
            consumer,
            in: stream,
            batch: Self.batch,
            expires: isComplete ? Self.pullInterval * 2 : Self.pullInterval / 2,
            noWait: !isComplete,
            tag: nextTag
        )
        nextTag += 1
        outstanding += 1
        // A little less than the ticker's interval, lest a tick come just too early.
        nextPull = now + Self.pullInterval.nanoseconds * 9 / 10
    }
}

extension KeyValueBucket {
    fileprivate var watchConsumer: ConsumerConfiguration {
        var configuration = ConsumerConfiguration(name: nil)
        configuration.filterSubjects = [SubjectFilter(allOf: name)]
        configuration.start = .lastPerSubject
        configuration.acknowledges = false
        configuration.inactiveThreshold = .seconds(30)
        configuration.replicas = 1
        configuration.memoryStorage = true
        configuration.description = "watch"
        return configuration
    }

    /// The entry that a message of the bucket's stream is; nil for a subject outside of it.
    fileprivate func entry(of message: DeliveredMessage) -> Entry? {
        let subject = message.subject
        let prefix = "$KV.\(name.text)."
        guard subject.hasPrefix(prefix) else { return nil }
        let operation = message.header("KV-Operation")
        let deleted = operation == "DEL" || operation == "PURGE"
        return Entry(
            key: String(subject.dropFirst(prefix.count)),
            value: deleted ? [] : message.payload,
            revision: message.sequence,
            isDeleted: deleted
        )
    }
}
