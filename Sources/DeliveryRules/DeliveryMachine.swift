/// All decisions about delivering a subscription's events to an endpoint or a handler, in one replica.
///
/// It does nothing itself: what happened goes in with ``handle(_:now:into:)``, what is to be done comes out, and time
/// is told. One driver feeds it, in order. Its rules:
/// - One entry per sequence; never two attempts for one at a time, never more than `maxInFlight` at a time.
/// - Nothing is acknowledged unless the receiver took it or its dead letter is stored.
/// - A retry gives the event back to the server with a delay, so whatever waits for hours holds no place.
/// - Attempts are counted by the server's deliveries, less those recorded as ended without an attempt; so the count
///   survives this process, and a crash during an attempt counts as one.
package struct DeliveryMachine: Sendable {
    enum Mode: Sendable {
        case running
        case paused
        case draining
    }

    package internal(set) var policy: DeliveryPolicy
    /// What was counted.
    package internal(set) var counters = DeliveryCounters()
    /// Attempts that run.
    package internal(set) var inFlight = 0
    /// Events that take a place: their attempt runs, or they wait for one, or for their dead letter.
    package internal(set) var inHand = 0
    /// The first failure since the last success; kept by the driver over restarts if `disableAfter` is to span them.
    package var failingSince: Instant?

    var mode: Mode = .paused
    var isDisabled = false
    var isConnected = true
    var clock: Instant = .min
    var entries = SequenceTable<DeliveryEntry>()
    var queue = PlaceQueue()
    var pulls = PullBook()
    var breaker: CircuitBreaker?
    var toldBreaker: CircuitBreaker.State = .closed
    var probe: UInt64?
    var limiter: RateLimiter?
    var random: SplitMix
    var failuresInRow = 0
    var storeFailingSince: Instant?
    /// The endpoint asked to be left alone until then.
    var heldUntil: Instant = .min
    /// The first moment at which an entry has something to do.
    var sweepAt: Instant = .max
    /// When what waits may go on, and when the next pull may go out.
    var attemptAt: Instant = .max
    var pullAt: Instant = .max

    /// The server's patience and its third, in nanoseconds.
    var ackWait: Int64
    var extension3: Int64 { ackWait / 3 }

    /// A machine that is connected and paused.
    package init(policy: DeliveryPolicy, seed: UInt64) {
        self.policy = policy
        random = SplitMix(seed: seed)
        breaker = policy.breaker.map(CircuitBreaker.init)
        limiter = policy.ratePerMinute.map(RateLimiter.init)
        ackWait = policy.ackWait.nanoseconds
    }

    /// Takes one input at a moment and appends what is to be done.
    package mutating func handle(_ input: Input, now: Instant, into commands: inout [Command]) {
        clock = max(clock, now)
        switch input {
        case .start, .resume: start()
        case .pause: stop(.paused, &commands)
        case .drain: stop(.draining, &commands)
        case .change(let policy): change(policy)
        case .arrived(let arrival): arrived(arrival, &commands)
        case .skipped(let pull, let count): pulls.came(count, for: pull)
        case .pullEnded(let pull): pulls.end(pull, now: clock)
        case .attempted(let sequence, let result, let isShared):
            attempted(sequence, result, isShared: isShared, &commands)
        case .settled(let sequence, let confirmed): settled(sequence, confirmed, &commands)
        case .deadLettered(let sequence, let stored): deadLettered(sequence, stored, &commands)
        case .connectionLost: disconnect()
        case .connected: reconnect(&commands)
        case .wake: break
        }
        if clock >= sweepAt { sweep(&commands) }
        advanceBreaker(&commands)
        startAttempts(&commands)
        pullMore(&commands)
        nextWake = min(entries.count == 0 ? .max : sweepAt, min(attemptAt, pullAt))
    }

    /// When to come back with `wake` at the latest; `.max` is never; always after the last `now`.
    package private(set) var nextWake: Instant = .max

    /// Events whose settlement the server has not confirmed yet.
    package var settling: Int { entries.count - inHand }

    /// Whether nothing is in hand and no answer is to come.
    package var isIdle: Bool { entries.count == 0 }

    /// Deliveries that may still come for the pulls under way.
    package var outstanding: Int { pulls.outstanding }

    /// What the breaker allows now.
    package var breakerState: CircuitBreaker.State { breaker?.state ?? .closed }

    // MARK: Modes

    private mutating func start() {
        if mode == .draining { return }
        mode = .running
        isDisabled = false
        breaker?.reset()
        probe = nil
        heldUntil = .min
        pulls.forgetPause()
    }

    private mutating func change(_ new: DeliveryPolicy) {
        let old = policy
        policy = new
        if old.breaker != new.breaker { breaker = new.breaker.map(CircuitBreaker.init) }
        if old.ratePerMinute != new.ratePerMinute { limiter = new.ratePerMinute.map(RateLimiter.init) }
        breaker?.reset()
        probe = nil
        heldUntil = .min
        ackWait = new.ackWait.nanoseconds
    }

    /// No new attempts: what waits is given back, what runs goes on.
    mutating func stop(_ new: Mode, _ commands: inout [Command]) {
        if mode != .draining { mode = new }
        queue.removeAll()
        for place in entries.range where entries.isUsed(place) {
            switch entries[place].stage {
            case .waiting, .resting: handBack(place, &commands)
            case .unstored: releaseUnstored(place, &commands)
            default: break
            }
        }
    }

    private mutating func disconnect() {
        isConnected = false
        pulls.endAll()
        sweepAt = .min  // their times have another meaning now
    }

    private mutating func reconnect(_ commands: inout [Command]) {
        isConnected = true
        pulls.forgetPause()
        for place in entries.range where entries.isUsed(place) {
            entries[place].extendAt = clock
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
