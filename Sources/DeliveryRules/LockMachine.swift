/// All decisions about the clients that pull from a subscription and settle what they got, in one replica.
///
/// It does nothing itself, like ``DeliveryMachine``. Its rules:
/// - A lock is good until its end and for one settlement. JetStream itself accepts stale settlements, so one whose lock
///   is gone, expired, or of another delivery is never sent.
/// - A lock ends before the server's patience does, so whoever is told that it is good holds the only delivery.
/// - A client is told of success only when the server confirmed it.
/// - At most one delivery can come for a client that went away: the pull that waits asks for a single one, and what
///   lies behind it is fetched with pulls that do not wait.
package struct LockMachine: Sendable {
    struct Waiter: Sendable {
        let id: UInt64
        let max: Int
        let until: Instant
        var places: [Int] = []

        var wants: Int { max - places.count }
    }

    struct Renewal: Sendable {
        let sequence: UInt64
        let lock: UInt64
        let until: Instant
    }

    package internal(set) var policy: DeliveryPolicy
    /// What was counted; an attempt is an event handed to a client.
    package internal(set) var counters = DeliveryCounters()

    var mode: DeliveryMachine.Mode = .paused
    var isConnected = true
    var clock: Instant = .min
    var entries = SequenceTable<LockEntry>()
    var waiters: [Waiter] = []
    var renewals: [UInt64: Renewal] = [:]
    var pulls = PullBook()
    /// The pull that takes what is there, and when it counts as done although its end was not told.
    var fetch: UInt32?
    var fetchQuietAt: Instant = .max
    var fetchOpen = 0
    /// The pull that waits for the next event.
    var bell: UInt32?
    /// Whether there may be more to fetch.
    var shouldFetch = false
    /// Begins anywhere, so that a lock of an earlier life of the replica is not taken for one of this.
    var lastLock: UInt64
    var random: SplitMix
    var storeFailingSince: Instant?
    var sweepAt: Instant = .max
    var waiterAt: Instant = .max
    var pullAt: Instant = .max

    var ackWait: Int64
    /// How long a lock lasts: less than the server's patience, which began when it sent the event.
    var lockSpan: Int64 { ackWait - min(ackWait / 10, 2 * Nanoseconds.second) }

    /// A machine that is connected and paused.
    package init(policy: DeliveryPolicy, seed: UInt64) {
        self.policy = policy
        random = SplitMix(seed: seed)
        lastLock = random.next() >> 2
        ackWait = policy.ackWait.nanoseconds
    }

    /// Takes one input at a moment and appends what is to be done.
    package mutating func handle(_ input: Input, now: Instant, into commands: inout [Command]) {
        clock = max(clock, now)
        switch input {
        case .receive(let waiter, let max, let until): receive(waiter, max, until, &commands)
        case .gone(let waiter): gone(waiter, &commands)
        case .arrived(let arrival, let isLast): arrived(arrival, isLast, &commands)
        case .skipped(let pull, let count): skipped(pull, count)
        case .pullEnded(let pull): pullEnded(pull)
        case .acknowledge(let lock, let call): acknowledge(lock, call, &commands)
        case .release(let lock, let delay, let call): release(lock, delay, call, &commands)
        case .reject(let lock, let call): reject(lock, call, &commands)
        case .renew(let lock, let call): renew(lock, call, &commands)
        case .settled(let sequence, let confirmed): settled(sequence, confirmed, &commands)
        case .renewed(let call, let confirmed): renewed(call, confirmed, &commands)
        case .deadLettered(let sequence, let stored): deadLettered(sequence, stored, &commands)
        case .start, .resume: if mode != .draining { mode = .running }
        case .pause: stop(.paused, &commands)
        case .drain: stop(.draining, &commands)
        case .change(let policy):
            self.policy = policy
            ackWait = policy.ackWait.nanoseconds
        case .connectionLost: disconnect()
        case .connected: reconnect()
        case .wake: break
        }
        if clock >= sweepAt { sweep(&commands) }
        serveWaiters(&commands)
        nextWake = min(min(entries.count == 0 ? .max : sweepAt, waiterAt), min(fetchQuietAt, pullAt))
    }

    /// When to come back with `wake` at the latest; `.max` is never; always after the last `now`.
    package private(set) var nextWake: Instant = .max

    /// Events in hand: locked by clients, or on their way.
    package var inHand: Int { entries.count }

    /// Clients that wait.
    package var waiting: Int { waiters.count }

    /// Whether nobody waits and no answer is to come; clients may still hold locks.
    package var isIdle: Bool {
        if !waiters.isEmpty || !renewals.isEmpty { return false }
        return !entries.range.contains { entries.isUsed($0) && entries[$0].stage != .locked }
    }

    // MARK: Modes

    private mutating func stop(_ new: DeliveryMachine.Mode, _ commands: inout [Command]) {
        if mode != .draining { mode = new }
        shouldFetch = false
        fetch = nil
        fetchQuietAt = .max
        handAll(&commands)
        for place in entries.range where entries.isUsed(place) && entries[place].stage == .unstored {
            releaseUnstored(place, &commands)
        }
    }

    private mutating func disconnect() {
        isConnected = false
        pulls.endAll()
        fetch = nil
        fetchQuietAt = .max
        bell = nil
        shouldFetch = false
        sweepAt = .min
    }

    private mutating func reconnect() {
        isConnected = true
        pulls.forgetPause()
        shouldFetch = !waiters.isEmpty
        for place in entries.range where entries.isUsed(place) {
            switch entries[place].stage {
            case .unstored: entries[place].due = clock
            case .unsettled:
                entries[place].due = clock
                entries[place].givenUpAt = clock.adding(2 * ackWait)
            default: break
            }
        }
        sweepAt = .min
    }
}
