/// Leaves an endpoint alone while most attempts on it fail, so that its outage costs no event an attempt.
///
/// Closed: everything passes. Open: nothing. Half open: one attempt, whose result decides.
package struct CircuitBreaker: Sendable, Equatable {
    /// When it opens, and for how long.
    package struct Policy: Sendable, Equatable {
        /// It opens when at least this share of the attempts in the window failed.
        package var failureShare: Double
        /// Results older than this do not count.
        package var window: Duration
        /// It stays closed below this many results in the window.
        package var minimumTries: Int
        /// How long it stays open at first; it doubles after each failed probe.
        package var firstPause: Duration
        /// How long it stays open at most.
        package var longestPause: Duration

        package init(
            failureShare: Double = 0.7,
            window: Duration = .seconds(300),
            minimumTries: Int = 10,
            firstPause: Duration = .seconds(30),
            longestPause: Duration = .seconds(300)
        ) {
            self.failureShare = failureShare.isFinite ? min(max(failureShare, 0.01), 1) : 1
            self.window = max(window, .seconds(1))
            self.minimumTries = max(1, minimumTries)
            self.firstPause = max(firstPause, .milliseconds(10))
            self.longestPause = max(longestPause, max(firstPause, .milliseconds(10)))
        }
    }

    package enum State: Sendable, Equatable {
        case closed
        case open(until: Instant)
        case halfOpen
    }

    package private(set) var state: State = .closed
    private let policy: Policy
    private var pause: Int64
    private var window: Window

    package init(policy: Policy) {
        self.policy = policy
        pause = policy.firstPause.nanoseconds
        window = Window(span: policy.window.nanoseconds)
    }

    /// Becomes half open when its time has come.
    package mutating func advance(to now: Instant) {
        if case .open(let until) = state, now >= until { state = .halfOpen }
    }

    /// Counts the result of an attempt made while closed; ignored otherwise.
    package mutating func record(failed: Bool, now: Instant) {
        guard state == .closed else { return }
        window.add(failed: failed, now: now)
        let (tries, failures) = window.totals
        guard failed, tries >= policy.minimumTries else { return }
        if Double(failures) >= policy.failureShare * Double(tries) { open(now) }
    }

    /// Takes the result of the one attempt made while half open; nil says that it told nothing.
    package mutating func recordProbe(failed: Bool?, now: Instant) {
        guard state == .halfOpen, let failed else { return }
        if failed {
            pause = min(pause.adding(pause), policy.longestPause.nanoseconds)
            open(now)
        } else {
            reset()
        }
    }

    /// Closes it and forgets all results.
    package mutating func reset() {
        state = .closed
        pause = policy.firstPause.nanoseconds
        window.clear()
    }

    private mutating func open(_ now: Instant) {
        state = .open(until: now.adding(pause))
        window.clear()
    }
}

extension CircuitBreaker {
    /// Results of the recent past, in ten parts that are dropped as they grow old.
    private struct Window: Sendable, Equatable {
        private struct Part: Sendable, Equatable {
            var number: Int64 = .min
            var tries = 0
            var failures = 0
        }

        private static let count: Int64 = 10
        private let width: Int64
        private var parts: [Part]
        private var newest: Int64 = .min
        private(set) var totals = (tries: 0, failures: 0)

        init(span: Int64) {
            width = max(1, span / Self.count)
            parts = Array(repeating: Part(), count: Int(Self.count))
        }

        static func == (left: Self, right: Self) -> Bool { left.parts == right.parts && left.width == right.width }

        mutating func add(failed: Bool, now: Instant) {
            // Rounded down, so that moments below zero fall into parts of the same width.
            let number = now >= 0 ? now / width : (now.adding(1) / width) - 1
            if number != newest { turn(to: number) }
            let index = Int(((number % Self.count) + Self.count) % Self.count)
            parts[index].tries += 1
            totals.tries += 1
            if failed {
                parts[index].failures += 1
                totals.failures += 1
            }
        }

        mutating func clear() {
            for index in parts.indices { parts[index] = Part() }
            totals = (0, 0)
            newest = .min
        }

        private mutating func turn(to number: Int64) {
            newest = number
            totals = (0, 0)
            for index in parts.indices {
                let age = number.elapsed(since: parts[index].number)
                if age < 0 || age >= Self.count { parts[index] = Part() }
                totals.tries += parts[index].tries
                totals.failures += parts[index].failures
            }
            parts[Int(((number % Self.count) + Self.count) % Self.count)].number = number
        }
    }
}
