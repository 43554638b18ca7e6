public import RedisStore

/// Counts what tenants do and keeps the totals in Redis, over all replicas and restarts.
///
/// Deltas are united in memory and written by ``run()`` in numbered chunks, each counted once even if its answer is lost.
/// While Redis is away they are kept, within ``TenantBounds``, and what has to be dropped is counted. Nothing here waits
/// for Redis but ``run()``, ``flush(within:)`` and the reports. A Redis that was emptied or rolled back only sets
/// the totals back.
///
/// Redis 5 or later; not a cluster; `maxmemory-policy noeviction`, since an evicted key sets its counts back.
public final class TenantMetrics: Sendable {
    /// Deltas that wait to be united by the next flush; with more, whoever folds unites them.
    private static let waitingMax = 64
    private static let interval = Duration.milliseconds(250)

    let client: RedisClient
    let keys: MetricKeys
    let bounds: TenantBounds
    private let log: @Sendable (TenantMetricsEvent) -> Void
    private let script = RedisScript(FlushScript.source)
    private let waiting = Locked<[(delta: TenantDelta, time: Int64)]>([])
    private let books: Locked<FlushBooks>

    /// Metrics kept through a client, which the caller starts and closes.
    ///
    /// - Parameters:
    ///   - replica: The name of this gateway, for people: two with the same name do not disturb each other.
    ///   - prefix: What the names of all keys start with.
    ///   - log: Called now and then, on any thread; must not block.
    public init(
        client: RedisClient,
        replica: String,
        prefix: String = "sluice",
        bounds: TenantBounds = .init(),
        log: @escaping @Sendable (TenantMetricsEvent) -> Void = { _ in }
    ) {
        self.client = client
        self.bounds = bounds
        self.log = log
        keys = MetricKeys(prefix: prefix)
        let flushKey = keys.flush(replica, run: .random(in: .min ... .max))
        books = Locked(FlushBooks(bounds: bounds, keys: keys, flushKey: flushKey))
    }

    /// Adds what happened until a time, in seconds since 1970, now if none is given.
    ///
    /// Any thread; a short lock. The minute of the series is that of the time, whatever the wall clock did before.
    public func fold(_ delta: TenantDelta, at unixSeconds: Int64? = nil) {
        let unixSeconds = unixSeconds ?? WallClock.unixSeconds()
        let count = waiting.withLock { waiting in
            waiting.append((delta, unixSeconds))
            return waiting.count
        }
        if count > Self.waitingMax { absorb() }
    }

    /// Writes four times a second until the task is cancelled; then call ``flush(within:)``.
    public func run() async {
        while !Task.isCancelled {
            await flushOnce()
            try? await Task.sleep(for: Self.interval)
        }
    }

    /// Writes all that waits, for at most so long; what then still waits is lost if the process ends.
    ///
    /// Works in a cancelled task too.
    public func flush(within limit: Duration) async {
        let end = ContinuousClock.now + limit
        // Tasks of their own: a cancelled caller cannot sleep, and a call to Redis may take longer than the limit.
        let sender = Task { [self] in
            while ContinuousClock.now < end, !isDone {
                books.withLock { $0.endPause() }
                await flushOnce()
                if !isDone { try? await Task.sleep(for: .milliseconds(20)) }
            }
        }
        await Task { [self] in
            while ContinuousClock.now < end, !isDone { try? await Task.sleep(for: .milliseconds(2)) }
        }.value
        sender.cancel()
    }

    /// How the counting goes.
    public var status: TenantMetricsStatus {
        absorb()
        return books.withLock { $0.status }
    }

    private var isDone: Bool {
        waiting.withLock { $0.isEmpty } && books.withLock { $0.isDone }
    }

    /// Unites the waiting deltas.
    private func absorb() {
        books.withLock { books in
            // With the lock held, so that no delta is ever in neither place.
            let deltas = waiting.withLock { waiting in
                defer { waiting.removeAll() }
                return waiting
            }
            for (delta, time) in deltas { books.ledger.fold(delta, at: time) }
        }
    }

    /// Sends chunk after chunk until nothing waits, or one fails.
    private func flushOnce() async {
        absorb()
        while let chunk = books.withLock({ $0.claim(now: .now) }) {
            let outcome = await send(chunk)
            for event in books.withLock({ $0.settle(outcome, now: .now) }) { log(event) }
            if case .failed = outcome { return }
        }
    }

    private func send(_ chunk: FlushChunk) async -> FlushBooks.Outcome {
        let reply: RedisReply
        do throws(RedisError) {
            reply = try await client.run(script, keys: chunk.keys, arguments: chunk.arguments)
        } catch {
            return .failed("\(error)")
        }
        switch reply {
        case .array(let numbers):
            let counts = numbers.compactMap { number -> UInt64? in
                guard case .integer(let value) = number else { return nil }
                return UInt64(max(value, 0))
            }
            guard counts.count == 5 else { return .failed("an unexpected answer") }
            return .applied(
                droppedEvents: counts[1],
                droppedSeriesEvents: counts[2],
                failedWrites: counts[3],
                droppedDeliveries: counts[4]
            )
        case .error(let text): return .failed(text)
        default: return .failed("an unexpected answer")
        }
    }
}
