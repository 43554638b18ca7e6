extension DeliveryMachine {
    // MARK: Settling

    /// The event's place is free; its settlement is sent until confirmed.
    mutating func settle(_ place: Int, _ end: DeliveryEntry.End, _ commands: inout [Command]) {
        inHand -= 1
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

    /// Sends the settlement of an event that holds no place.
    mutating func sendSettlement(_ place: Int, _ commands: inout [Command]) {
        let entry = entries[place]
        entries[place].stage = .settling
        guard entry.end == .released else {
            commands.append(.acknowledge(entry.sequence))
            return
        }
        let rest = entry.releasedUntil.elapsed(since: clock)
        if entry.wasSent ? rest < Patience.resendRest : rest <= 0 && clock >= entry.lease {
            // Somebody else may have it by now, and a release would take it from them.
            entries[place].stage = .unsettled
            return drop(place, &commands)
        }
        entries[place].wasSent = true
        let record = entry.count.unrecorded
        commands.append(.release(entry.sequence, delay: .nanoseconds(max(0, rest)), unattempted: record))
    }

    mutating func settled(_ sequence: UInt64, _ confirmed: Bool, _ commands: inout [Command]) {
        guard let place = entries.find(sequence), entries[place].stage == .settling else { return }
        let entry = entries[place]
        switch entry.end {
        case .released:
            if let isDue = entry.redelivered {
                entries[place].redelivered = nil
                entries[place].wasSent = false
                if isDue { return takeAgain(place, &commands) }
                if isConnected { return sendSettlement(place, &commands) }
            } else if confirmed {
                return remove(place, settled: false, &commands)
            }
        case .delivered:
            if confirmed {
                counters.delivered += 1
                return remove(place, settled: true, &commands)
            }
        case .deadLetter:
            if confirmed {
                counters.countDeadLetter(entry.reason)
                return remove(place, settled: true, &commands)
            }
        }
        if isConnected, clock >= entry.givenUpAt { return drop(place, &commands) }
        entries[place].stage = .unsettled
        setDue(place, after: isConnected ? Patience.resendPause : .max)
    }

    /// Gives an event back at once; this delivery had no attempt.
    mutating func handBack(_ place: Int, _ commands: inout [Command]) {
        counters.handedBack += 1
        entries[place].count.skip()
        entries[place].releasedUntil = clock
        settle(place, .released, &commands)
    }

    /// The server no longer waits for an event that had no attempt.
    mutating func lapse(_ place: Int, _ commands: inout [Command]) {
        inHand -= 1
        entries[place].count.skip()
        drop(place, &commands)
    }

    /// Drops an event that holds no place and is not settled; the server will deliver it again.
    private mutating func drop(_ place: Int, _ commands: inout [Command]) {
        let entry = entries[place]
        if let total = entry.count.unrecorded {
            entries.remove(entry.sequence, at: place)
            commands.append(.lapsed(entry.sequence, unattempted: total))
        } else {
            remove(place, settled: false, &commands)
        }
    }

    private mutating func remove(_ place: Int, settled: Bool, _ commands: inout [Command]) {
        let sequence = entries[place].sequence
        entries.remove(sequence, at: place)
        commands.append(.forget(sequence, settled: settled))
    }

    // MARK: Dead letters

    /// Writes the dead letter; only then the event is settled.
    mutating func store(_ place: Int, _ reason: DeadLetterReason, _ commands: inout [Command]) {
        entries[place].reason = reason
        entries[place].failures = 0
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
        let attempts = entry.wasAttempted ? entry.count.number : entry.count.number - 1
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
        entries[place].failures += 1
        entries[place].stage = .unstored
        if !isConnected {
            entries[place].due = .max
        } else if mode == .running, clock.elapsed(since: since) < Patience.store {
            setDue(place, after: Patience.storePause(failures: entries[place].failures))
        } else {
            // A store that stays away must not keep the places from other events.
            releaseUnstored(place, &commands)
        }
    }

    /// Gives back an event whose dead letter could not be stored, for about as long as the store has failed already.
    mutating func releaseUnstored(_ place: Int, _ commands: inout [Command]) {
        if !entries[place].wasAttempted { entries[place].count.skip() }
        let failing = clock.elapsed(since: storeFailingSince ?? clock)
        entries[place].releasedUntil = clock.adding(Patience.releasePause(failing: failing, random: &random))
        settle(place, .released, &commands)
    }

    // MARK: Time

    /// Times are gathered on a grid, so that few sweeps serve many events.
    private static let grid: Int64 = 1 << 26

    static func earlier(_ instant: Instant) -> Instant { instant & ~(grid - 1) }

    mutating func setDue(_ place: Int, after pause: Int64) {
        let due = Self.earlier(clock.adding(pause)).adding(pause == .max ? .max : Self.grid)
        entries[place].due = due
        sweepAt = min(sweepAt, due)
    }

    /// Does what is due for every event, and finds when the next is.
    mutating func sweep(_ commands: inout [Command]) {
        var hasLapsed = false
        sweepAt = .max
        for place in entries.range where entries.isUsed(place) {
            let entry = entries[place]
            if entry.stage.holdsPlace {
                if clock >= entry.lease, entry.stage == .waiting || entry.stage == .resting {
                    lapse(place, &commands)
                    hasLapsed = true
                    continue
                }
                if isConnected, clock >= entry.extendAt { extend(place, &commands) }
            }
            if clock >= entry.due, isConnected { act(place, &commands) }
            if entries.isUsed(place) { sweepAt = min(sweepAt, nextTime(of: entries[place])) }
        }
        if hasLapsed { queue.filter { entries.isUsed($0) && entries[$0].stage == .waiting } }
    }

    private mutating func extend(_ place: Int, _ commands: inout [Command]) {
        // Not to the grid's earlier mark if that is now: the next time must lie ahead.
        let next = max(Self.earlier(clock.adding(extension3)), clock.adding(extension3 / 2))
        entries[place].extendAt = next
        entries[place].lease = clock.adding(ackWait)
        commands.append(.extend(entries[place].sequence))
    }

    private mutating func act(_ place: Int, _ commands: inout [Command]) {
        entries[place].due = .max
        switch entries[place].stage {
        case .resting:
            entries[place].stage = .waiting
            queue.append(place)
        case .unstored: sendDeadLetter(place, &commands)
        case .unsettled: sendSettlement(place, &commands)
        default: break
        }
    }

    private func nextTime(of entry: DeliveryEntry) -> Instant {
        switch entry.stage {
        case .waiting: isConnected ? entry.extendAt : entry.lease
        case .resting: isConnected ? min(entry.extendAt, entry.due) : entry.lease
        case .attempting, .storing: isConnected ? entry.extendAt : .max
        case .unstored: isConnected ? min(entry.extendAt, entry.due) : .max
        case .settling: .max
        case .unsettled: isConnected ? entry.due : .max
        }
    }
}
