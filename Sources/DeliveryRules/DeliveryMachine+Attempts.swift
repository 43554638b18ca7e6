extension DeliveryMachine {
    /// An attempt that could not be made so often in a row counts as failed.
    private static let triesAtOneAttempt = 10
    private static let firstRest = 100 * Nanoseconds.millisecond
    private static let longestRest = 5 * Nanoseconds.second
    /// A subscription is not disabled for fewer failures than this, however long ago the first was.
    private static let failuresToDisable = 10

    // MARK: Arrivals

    mutating func arrived(_ arrival: Arrival, _ commands: inout [Command]) {
        pulls.came(1, for: arrival.pull)
        if let place = entries.find(arrival.sequence) { return redelivered(arrival, place, &commands) }
        let entry = DeliveryEntry(
            arrival,
            lease: clock.adding(ackWait),
            extendAt: Self.earlier(clock.adding(extension3))
        )
        sweepAt = min(sweepAt, entry.extendAt)
        inHand += 1
        admit(entries.insert(entry, for: arrival.sequence), &commands)
    }

    /// Decides about an event that just came.
    private mutating func admit(_ place: Int, _ commands: inout [Command]) {
        if mode != .running { return handBack(place, &commands) }
        switch entries[place].kind {
        case .event:
            entries[place].stage = .waiting
            queue.append(place)
        case .expired: store(place, .expired, &commands)
        case .undecodable: store(place, .undeliverable, &commands)
        }
    }

    /// The server delivered again what is in hand; the driver uses the new delivery's address from now on.
    private mutating func redelivered(_ arrival: Arrival, _ place: Int, _ commands: inout [Command]) {
        let entry = entries[place]
        // The same delivery once more is no news, and counts for nothing.
        if arrival.deliveries <= entry.count.deliveries { return }
        entries[place].lease = clock.adding(ackWait)
        let isDue = entry.end == .released && clock >= entry.releasedUntil
        switch (entry.stage, entry.end) {
        case (.settling, .released):
            // Its release is under way: what becomes of it is decided when the answer is here.
            if isDue, entry.redelivered != true {
                entries[place].renew(arrival)
            } else {
                entries[place].count.absorb(arrival)
            }
            if isDue, entry.redelivered != true { inHand += 1 }  // it will need its place again
            entries[place].redelivered = isDue || entry.redelivered == true
        case (.unsettled, .released) where isDue:
            entries[place].renew(arrival)
            inHand += 1
            takeAgain(place, &commands)
        case (.unsettled, _):
            entries[place].count.absorb(arrival)
            entries[place].wasSent = false
            if isConnected { sendSettlement(place, &commands) }
        default:
            entries[place].count.absorb(arrival)
        }
    }

    /// What was released is in hand again; its place is counted.
    mutating func takeAgain(_ place: Int, _ commands: inout [Command]) {
        entries[place].redelivered = nil
        entries[place].extendAt = Self.earlier(clock.adding(extension3))
        sweepAt = min(sweepAt, entries[place].extendAt)
        admit(place, &commands)
    }

    // MARK: Attempts

    /// Starts what may be started; leaves in `attemptAt` when time alone will allow more.
    mutating func startAttempts(_ commands: inout [Command]) {
        attemptAt = .max
        guard mode == .running, isConnected else { return }
        while let place = queue.first {
            let entry = entries[place]
            if clock >= entry.lease {
                queue.removeFirst()
                lapse(place, &commands)
                continue
            }
            if entry.count.number > policy.maxAttempts {
                queue.removeFirst()
                // The process ended during the last attempt, or the limit was lowered.
                store(place, .retriesExhausted, &commands)
                continue
            }
            if inFlight >= policy.maxInFlight { return }
            if clock < heldUntil {
                attemptAt = heldUntil
                return
            }
            guard breakerAdmits(entry.sequence) else { return }
            if var limiter {
                guard limiter.take(clock) else {
                    attemptAt = limiter.next(clock)
                    if probe == entry.sequence { probe = nil }
                    return
                }
                self.limiter = limiter
            }
            queue.removeFirst()
            entries[place].stage = .attempting
            entries[place].wasAttempted = true
            inFlight += 1
            commands.append(.attempt(sequence: entry.sequence, number: entry.count.number))
        }
    }

    private mutating func breakerAdmits(_ sequence: UInt64) -> Bool {
        switch breakerState {
        case .closed: return true
        case .open(let until):
            attemptAt = until
            return false
        case .halfOpen:
            if probe != nil { return false }
            probe = sequence
            return true
        }
    }

    mutating func attempted(
        _ sequence: UInt64,
        _ result: AttemptResult,
        isShared: Bool,
        _ commands: inout [Command]
    ) {
        guard let place = entries.find(sequence), entries[place].stage == .attempting else { return }
        inFlight -= 1
        observe(sequence, result, isShared: isShared)
        let number = entries[place].count.number
        switch Verdict.of(result, attempt: number, policy: policy) {
        case .delivered:
            settle(place, .delivered, &commands)
        case .retry(let after):
            counters.retried += 1
            let delay = policy.schedule.delay(afterAttempt: number, atLeast: after, &random)
            entries[place].releasedUntil = clock.adding(delay.nanoseconds)
            settle(place, .released, &commands)
        case .again:
            tryAgain(place, &commands)
        case .deadLetter(let reason):
            if result.health == .unknown { entries[place].wasAttempted = false }
            store(place, reason, &commands)
        case .gone:
            disable(.gone, &commands)
            store(place, .gone, &commands)
        }
        if let failingSince, let limit = policy.disableAfter, failuresInRow >= Self.failuresToDisable,
            clock.elapsed(since: failingSince) >= limit.nanoseconds
        {
            disable(.noSuccess, &commands)
        }
    }

    /// Learns from a result about the endpoint.
    private mutating func observe(_ sequence: UInt64, _ result: AttemptResult, isShared: Bool) {
        let health = result.health
        if probe == sequence {
            probe = nil
            breaker?.recordProbe(failed: health == .unknown ? nil : health == .bad, now: clock)
        } else if health != .unknown, !isShared {
            breaker?.record(failed: health == .bad, now: clock)
        }
        if let pause = result.pauseAsked {
            let pause = min(max(pause, .zero), policy.retryAfterMax)
            heldUntil = max(heldUntil, clock.adding(pause.nanoseconds))
        }
        if health == .unknown { return }
        counters.attempts += 1
        if Verdict.of(result, attempt: 1, policy: policy) == .delivered {
            failingSince = nil
            failuresInRow = 0
        } else {
            failingSince = failingSince ?? clock
            if !isShared { failuresInRow += 1 }
        }
    }

    /// The attempt could not be made, through no fault of the endpoint or the event that is known.
    private mutating func tryAgain(_ place: Int, _ commands: inout [Command]) {
        entries[place].wasAttempted = false
        entries[place].failures += 1
        let failures = entries[place].failures
        if failures >= Self.triesAtOneAttempt {
            entries[place].stage = .attempting
            entries[place].wasAttempted = true
            inFlight += 1
            // Whoever can never be tried must not come back for ever.
            return attempted(entries[place].sequence, .failed, isShared: false, &commands)
        }
        if mode != .running { return handBack(place, &commands) }
        entries[place].stage = .resting
        setDue(place, after: min(Self.firstRest << (failures - 1), Self.longestRest))
    }

    private mutating func disable(_ reason: DisableReason, _ commands: inout [Command]) {
        if isDisabled { return }
        isDisabled = true
        commands.append(.disable(reason))
        stop(.paused, &commands)
    }

    // MARK: Breaker and pulls

    mutating func advanceBreaker(_ commands: inout [Command]) {
        guard breaker != nil || toldBreaker != .closed else { return }
        breaker?.advance(to: clock)
        if breakerState != toldBreaker {
            toldBreaker = breakerState
            commands.append(.breaker(toldBreaker))
        }
    }

    /// How many events may be in hand now; leaves in `pullAt` when time alone will allow more.
    private mutating func places() -> Int {
        if clock < heldUntil {
            pullAt = heldUntil
            return 0
        }
        switch breakerState {
        case .closed: break
        case .open(let until):
            pullAt = until
            return 0
        case .halfOpen: return 1
        }
        guard let rate = policy.ratePerMinute else { return policy.maxInFlight }
        // What the rate does not allow within ten seconds is better left with the server.
        return min(policy.maxInFlight, max(1, rate / 6))
    }

    /// Asks for as many events as there are places: a quarter at least, or fewer after a short wait.
    mutating func pullMore(_ commands: inout [Command]) {
        let waitedUntil = pullAt
        pullAt = .max
        guard mode == .running, isConnected else { return }
        let limit = places()
        var room = min(limit - inHand, 2 * max(limit, 64) - entries.count) - pulls.outstanding
        if room <= 0 { return }
        if clock < pulls.notBefore {
            pullAt = pulls.notBefore
            return
        }
        if room < (limit + 3) / 4 {
            if pulls.outstanding > 0 { return }
            if waitedUntil > clock {
                // So that many single places that come free one by one are one pull.
                pullAt = min(waitedUntil, clock.adding(Self.pullLinger))
                return
            }
        }
        while room > 0 {
            let count = min(room, Self.pullMax)
            room -= count
            commands.append(.pull(id: pulls.add(count, now: clock), count: count))
        }
    }

    private static let pullLinger = 10 * Nanoseconds.millisecond
    private static let pullMax = 1000
}
