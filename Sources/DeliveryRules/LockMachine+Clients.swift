extension LockMachine {
    /// A fetch is done when nothing has come for so long; the second if the server said that nothing is left.
    private static let quiet = 50 * Nanoseconds.millisecond
    private static let quietAfterLast = 2 * Nanoseconds.millisecond
    private static let longestBell = 30 * Nanoseconds.second
    private static let pullMax = 1000

    // MARK: Waiting clients

    mutating func receive(_ id: UInt64, _ max: Int, _ until: Instant, _ commands: inout [Command]) {
        guard mode == .running, max > 0 else {
            commands.append(.hand(waiter: id, []))
            return
        }
        waiters.append(Waiter(id: id, max: max, until: until))
        waiterAt = min(waiterAt, until)
        shouldFetch = true
    }

    mutating func gone(_ id: UInt64, _ commands: inout [Command]) {
        guard let index = waiters.firstIndex(where: { $0.id == id }) else { return }
        let waiter = waiters.remove(at: index)
        for place in waiter.places { offer(place, &commands) }
    }

    /// Sets an event aside for whoever waits longest, or gives it back.
    private mutating func offer(_ place: Int, _ commands: inout [Command]) {
        if clock >= entries[place].lockedUntil { return lapse(place, &commands) }
        guard mode == .running, !waiters.isEmpty else { return handBack(place, &commands) }
        entries[place].stage = .collected
        waiters[0].places.append(place)
        if waiters[0].wants == 0 { hand(waiters.removeFirst(), &commands) }
    }

    private mutating func hand(_ waiter: Waiter, _ commands: inout [Command]) {
        var handed: [Handed] = []
        handed.reserveCapacity(waiter.places.count)
        for place in waiter.places {
            if clock >= entries[place].lockedUntil {
                lapse(place, &commands)
                continue
            }
            lastLock += 1
            entries[place].stage = .locked
            entries[place].lock = lastLock
            entries[place].wasHanded = true
            let entry = entries[place]
            sweepAt = min(sweepAt, entry.lockedUntil)
            let number = entry.count.number
            let lock = Lock(sequence: entry.sequence, delivery: number, number: lastLock)
            handed.append(Handed(lock: lock, deliveryCount: number, lockedUntil: entry.lockedUntil))
        }
        counters.attempts += UInt64(handed.count)
        commands.append(.hand(waiter: waiter.id, handed))
    }

    /// Answers everybody who waits with what is there for them.
    mutating func handAll(_ commands: inout [Command]) {
        let all = waiters
        waiters.removeAll()
        waiterAt = .max
        for waiter in all { hand(waiter, &commands) }
    }

    /// Answers whose time is over or who can get no more now, and asks the server for the others.
    mutating func serveWaiters(_ commands: inout [Command]) {
        endFetch()
        if fetch == nil, !(shouldFetch && room > 0 && isConnected) { handCollected(&commands) }
        if clock >= waiterAt { handOverdue(&commands) }
        pullAt = .max
        guard mode == .running, isConnected, !waiters.isEmpty, fetch == nil, room > 0 else { return }
        if clock < pulls.notBefore {
            pullAt = pulls.notBefore
        } else if shouldFetch {
            shouldFetch = false
            let wants = waiters.reduce(0) { $0 + $1.wants }
            pull(min(wants, min(room, Self.pullMax)), .now, &commands)
        } else if bell == nil {
            let until = waiters.reduce(Instant.min) { max($0, $1.until) }
            pull(1, .waiting(until: min(until, clock.adding(Self.longestBell))), &commands)
        }
    }

    private var room: Int { policy.maxInFlight - entries.count - pulls.outstanding }

    private mutating func pull(_ count: Int, _ mode: PullMode, _ commands: inout [Command]) {
        let id = pulls.add(count, now: clock)
        switch mode {
        case .now:
            fetch = id
            fetchQuietAt = clock.adding(4 * Self.quiet)
        case .waiting: bell = id
        }
        commands.append(.pull(id: id, count: count, mode))
    }

    private mutating func endFetch() {
        guard let id = fetch else { return }
        if pulls.isOpen(id) {
            if clock < fetchQuietAt { return }
            pulls.end(id, now: clock, isPatient: false)
        }
        fetch = nil
        fetchQuietAt = .max
    }

    private mutating func handCollected(_ commands: inout [Command]) {
        while let first = waiters.first, !first.places.isEmpty {
            hand(waiters.removeFirst(), &commands)
        }
    }

    private mutating func handOverdue(_ commands: inout [Command]) {
        waiterAt = .max
        var index = 0
        while index < waiters.count {
            if clock >= waiters[index].until {
                hand(waiters.remove(at: index), &commands)
            } else {
                waiterAt = min(waiterAt, waiters[index].until)
                index += 1
            }
        }
    }

    // MARK: Deliveries

    mutating func skipped(_ pull: UInt32, _ count: Int) {
        pulls.came(count, for: pull)
        noteArrival(pull, isLast: false)
    }

    mutating func pullEnded(_ pull: UInt32) {
        pulls.end(pull, now: clock, isPatient: pull == bell)
        if pull == bell { bell = nil }
    }

    /// Follows the pulls: a fetch that came back full, and a bell that rang, say that there may be more.
    private mutating func noteArrival(_ pull: UInt32, isLast: Bool) {
        if pull == fetch {
            fetchQuietAt = clock.adding(isLast ? Self.quietAfterLast : Self.quiet)
            if !pulls.isOpen(pull) { shouldFetch = true }
        } else if pull == bell {
            bell = nil
            shouldFetch = true
        }
    }

    mutating func arrived(_ arrival: Arrival, _ isLast: Bool, _ commands: inout [Command]) {
        pulls.came(1, for: arrival.pull)
        noteArrival(arrival.pull, isLast: isLast && arrival.deliveries == 1)
        if let place = entries.find(arrival.sequence) { return redelivered(arrival, place, &commands) }
        let entry = LockEntry(
            arrival,
            lockedUntil: clock.adding(lockSpan),
            extendAt: clock.adding(ackWait / 3)
        )
        admit(entries.insert(entry, for: arrival.sequence), &commands)
    }

    /// Decides about a delivery that just came.
    private mutating func admit(_ place: Int, _ commands: inout [Command]) {
        if mode != .running { return handBack(place, &commands) }
        switch entries[place].kind {
        case .expired: store(place, .expired, &commands)
        case .undecodable: store(place, .undeliverable, &commands)
        case .event where entries[place].count.number > policy.maxAttempts:
            store(place, .retriesExhausted, &commands)
        case .event: offer(place, &commands)
        }
    }

    /// The server delivered again what is in hand; the driver uses the new delivery's address from now on.
    private mutating func redelivered(_ arrival: Arrival, _ place: Int, _ commands: inout [Command]) {
        let entry = entries[place]
        // The same delivery once more is no news, and counts for nothing.
        if arrival.deliveries <= entry.count.deliveries { return }
        let isDue = entry.end == .released && clock >= entry.releasedUntil
        switch entry.stage {
        case .settling where entry.end == .released:
            if isDue, entry.redelivered != true {
                entries[place].count.renew(arrival)
                entries[place].kind = arrival.kind
            } else {
                entries[place].count.absorb(arrival)
            }
            entries[place].redelivered = isDue || entry.redelivered == true
            entries[place].lockedUntil = clock.adding(lockSpan)
        case .unsettled where isDue:
            entries[place].count.renew(arrival)
            entries[place].kind = arrival.kind
            entries[place].lockedUntil = clock.adding(lockSpan)
            takeAgain(place, &commands)
        case .unsettled:
            entries[place].count.absorb(arrival)
            entries[place].lockedUntil = clock.adding(lockSpan)
            entries[place].wasSent = false
            if isConnected { sendSettlement(place, &commands) }
        default:
            entries[place].count.absorb(arrival)
        }
    }

    /// What was released is in hand again, as a new delivery.
    mutating func takeAgain(_ place: Int, _ commands: inout [Command]) {
        entries[place].redelivered = nil
        entries[place].call = nil
        entries[place].wasHanded = false
        entries[place].lock = 0
        entries[place].failures = 0
        entries[place].extendAt = clock.adding(ackWait / 3)
        admit(place, &commands)
    }
}
