extension LockMachine {
    // MARK: Calls

    /// The place of a lock that is good, or nil after the call was answered.
    private mutating func place(of lock: Lock, _ call: UInt64, _ commands: inout [Command]) -> Int? {
        guard let place = entries.find(lock.sequence), entries[place].lock == lock.number, lock.number > 0,
            entries[place].wasHanded, clock < entries[place].lockedUntil || entries[place].stage != .locked
        else {
            commands.append(.answer(call: call, .lost))
            return nil
        }
        // Another call on the same lock is under way, or the broker is away: nothing is known yet.
        guard entries[place].stage == .locked, isConnected else {
            commands.append(.answer(call: call, .failed))
            return nil
        }
        return place
    }

    mutating func acknowledge(_ lock: Lock, _ call: UInt64, _ commands: inout [Command]) {
        guard let place = place(of: lock, call, &commands) else { return }
        entries[place].call = call
        settle(place, .acknowledged, &commands)
    }

    mutating func release(_ lock: Lock, _ delay: Duration, _ call: UInt64, _ commands: inout [Command]) {
        guard let place = place(of: lock, call, &commands) else { return }
        entries[place].call = call
        entries[place].releasedUntil = clock.adding(max(0, delay.nanoseconds))
        settle(place, .released, &commands)
    }

    mutating func reject(_ lock: Lock, _ call: UInt64, _ commands: inout [Command]) {
        guard let place = place(of: lock, call, &commands) else { return }
        entries[place].call = call
        entries[place].extendAt = clock
        sweepAt = min(sweepAt, clock)
        store(place, .rejected, &commands)
    }

    mutating func renew(_ lock: Lock, _ call: UInt64, _ commands: inout [Command]) {
        guard place(of: lock, call, &commands) != nil else { return }
        renewals[call] = Renewal(sequence: lock.sequence, lock: lock.number, until: clock.adding(lockSpan))
        commands.append(.renew(lock.sequence, call: call))
    }

    mutating func renewed(_ call: UInt64, _ confirmed: Bool, _ commands: inout [Command]) {
        guard let renewal = renewals.removeValue(forKey: call) else { return }
        guard let place = entries.find(renewal.sequence), entries[place].lock == renewal.lock,
            clock < entries[place].lockedUntil, clock < renewal.until
        else {
            commands.append(.answer(call: call, .lost))
            return
        }
        guard confirmed, entries[place].stage == .locked else {
            commands.append(.answer(call: call, .failed))
            return
        }
        entries[place].lockedUntil = max(entries[place].lockedUntil, renewal.until)
        commands.append(.answer(call: call, .succeeded(lockedUntil: entries[place].lockedUntil)))
    }

    private mutating func answer(_ place: Int, _ outcome: LockOutcome, _ commands: inout [Command]) {
        guard let call = entries[place].call else { return }
        entries[place].call = nil
        commands.append(.answer(call: call, outcome))
    }

    // MARK: Settling

    private mutating func settle(_ place: Int, _ end: LockEntry.End, _ commands: inout [Command]) {
        entries[place].end = end
        entries[place].givenUpAt = clock.adding(2 * ackWait)
        entries[place].redelivered = nil
        entries[place].wasSent = false
        if isConnected {
            sendSettlement(place, &commands)
        } else {
            entries[place].stage = .unsettled
            entries[place].due = .max
        }
    }

    mutating func sendSettlement(_ place: Int, _ commands: inout [Command]) {
        let entry = entries[place]
        entries[place].stage = .settling
        guard entry.end == .released else {
            commands.append(.acknowledge(entry.sequence))
            return
        }
        let rest = entry.releasedUntil.elapsed(since: clock)
        if entry.wasSent ? rest < Patience.resendRest : rest <= 0 && clock >= entry.lockedUntil {
            // Somebody else may have it by now, and a release would take it from them.
            return drop(place, &commands)
        }
        entries[place].wasSent = true
        let record = entry.count.unrecorded
        commands.append(.release(entry.sequence, delay: .nanoseconds(max(0, rest)), unattempted: record))
    }

    mutating func settled(_ sequence: UInt64, _ confirmed: Bool, _ commands: inout [Command]) {
        guard let place = entries.find(sequence), entries[place].stage == .settling else { return }
        let entry = entries[place]
        if entry.end == .released, let isDue = entry.redelivered {
            answer(place, .succeeded(lockedUntil: nil), &commands)
            entries[place].redelivered = nil
            entries[place].wasSent = false
            if isDue { return takeAgain(place, &commands) }
            if isConnected { return sendSettlement(place, &commands) }
            return postpone(place)
        }
        if confirmed {
            switch entry.end {
            case .acknowledged: counters.delivered += 1
            case .deadLetter: counters.countDeadLetter(entry.reason)
            case .released: if entry.call != nil { counters.retried += 1 }
            }
            answer(place, .succeeded(lockedUntil: nil), &commands)
            return remove(place, settled: entry.end != .released, &commands)
        }
        answer(place, .failed, &commands)
        if entry.call != nil, entry.end == .acknowledged { return relock(place, &commands) }
        // A release may have taken effect, and another client have the event: the lock is no good any more.
        if entry.call != nil, entry.end == .released { return drop(place, &commands) }
        if isConnected, clock >= entry.givenUpAt { return drop(place, &commands) }
        postpone(place)
    }

    private mutating func postpone(_ place: Int) {
        entries[place].stage = .unsettled
        setDue(place, after: isConnected ? Patience.resendPause : .max)
    }

    /// The client may try again, if its lock is still good.
    private mutating func relock(_ place: Int, _ commands: inout [Command]) {
        if clock >= entries[place].lockedUntil { return remove(place, settled: false, &commands) }
        entries[place].stage = .locked
        sweepAt = min(sweepAt, entries[place].lockedUntil)
    }

    /// Gives an event back that no client got.
    mutating func handBack(_ place: Int, _ commands: inout [Command]) {
        counters.handedBack += 1
        entries[place].count.skip()
        entries[place].releasedUntil = clock
        settle(place, .released, &commands)
    }

    /// The server no longer waits for an event that no client got.
    mutating func lapse(_ place: Int, _ commands: inout [Command]) {
        entries[place].count.skip()
        drop(place, &commands)
    }

    private mutating func drop(_ place: Int, _ commands: inout [Command]) {
        let entry = entries[place]
        guard let total = entry.count.unrecorded else { return remove(place, settled: false, &commands) }
        entries.remove(entry.sequence, at: place)
        commands.append(.lapsed(entry.sequence, unattempted: total))
    }

    private mutating func remove(_ place: Int, settled: Bool, _ commands: inout [Command]) {
        let sequence = entries[place].sequence
        entries.remove(sequence, at: place)
        commands.append(.forget(sequence, settled: settled))
    }

    // MARK: Dead letters

    mutating func store(_ place: Int, _ reason: DeadLetterReason, _ commands: inout [Command]) {
        entries[place].reason = reason
        entries[place].failures = 0
        sweepAt = min(sweepAt, entries[place].extendAt)
        sendDeadLetter(place, &commands)
    }

    private mutating func sendDeadLetter(_ place: Int, _ commands: inout [Command]) {
        let entry = entries[place]
        guard isConnected else {
            entries[place].stage = .unstored
            entries[place].due = .max
            return
        }
        entries[place].stage = .storing
        let attempts = entry.wasHanded ? entry.count.number : entry.count.number - 1
        commands.append(.deadLetter(entry.sequence, entry.reason, attempts: attempts))
    }

    mutating func deadLettered(_ sequence: UInt64, _ stored: Bool, _ commands: inout [Command]) {
        guard let place = entries.find(sequence), entries[place].stage == .storing else { return }
        if stored {
            storeFailingSince = nil
            return settle(place, .deadLetter, &commands)
        }
        let since = storeFailingSince ?? clock
        storeFailingSince = since
        if entries[place].call != nil {
            answer(place, .failed, &commands)
            return relock(place, &commands)
        }
        entries[place].failures += 1
        entries[place].stage = .unstored
        if !isConnected {
            entries[place].due = .max
        } else if mode == .running, clock.elapsed(since: since) < Patience.store {
            setDue(place, after: Patience.storePause(failures: entries[place].failures))
        } else {
            releaseUnstored(place, &commands)
        }
    }

    /// Gives back an event whose dead letter could not be stored, for about as long as the store has failed already.
    mutating func releaseUnstored(_ place: Int, _ commands: inout [Command]) {
        if !entries[place].wasHanded { entries[place].count.skip() }
        let failing = clock.elapsed(since: storeFailingSince ?? clock)
        entries[place].releasedUntil = clock.adding(Patience.releasePause(failing: failing, random: &random))
        settle(place, .released, &commands)
    }

    // MARK: Time

    private mutating func setDue(_ place: Int, after pause: Int64) {
        entries[place].due = clock.adding(pause)
        sweepAt = min(sweepAt, entries[place].due)
    }

    /// Ends locks, extends what is being stored, sends again what is due; finds when the next is.
    mutating func sweep(_ commands: inout [Command]) {
        sweepAt = .max
        for place in entries.range where entries.isUsed(place) {
            let entry = entries[place]
            switch entry.stage {
            case .locked where clock >= entry.lockedUntil:
                remove(place, settled: false, &commands)
                continue
            case .storing, .unstored:
                if isConnected, clock >= entry.extendAt {
                    entries[place].extendAt = clock.adding(ackWait / 3)
                    // A client's lock is never longer than what the server confirmed.
                    if !entry.wasHanded { entries[place].lockedUntil = clock.adding(lockSpan) }
                    commands.append(.extend(entry.sequence))
                }
            default: break
            }
            if isConnected, clock >= entry.due {
                entries[place].due = .max
                if entry.stage == .unstored { sendDeadLetter(place, &commands) }
                if entry.stage == .unsettled { sendSettlement(place, &commands) }
            }
            if entries.isUsed(place) { sweepAt = min(sweepAt, nextTime(of: entries[place])) }
        }
    }

    private func nextTime(of entry: LockEntry) -> Instant {
        switch entry.stage {
        case .collected, .settling: .max
        case .locked: entry.lockedUntil
        case .storing: isConnected ? entry.extendAt : .max
        case .unstored: isConnected ? min(entry.extendAt, entry.due) : .max
        case .unsettled: isConnected ? entry.due : .max
        }
    }
}
