import DeliveryRules

extension LockSimulation {
    // MARK: The broker

    mutating func serve(_ index: Int, _ connection: Int, _ message: Message) {
        switch message {
        case .pull(let pull, let count, let expires):
            let end = expires ?? (now + 1)
            if end <= now || (expires == nil && !consumer.hasMessages) {
                return fromServer(index, .pullEnded(index, connection: connection, pull))
            }
            consumer.add(.init(replica: index, connection: connection, pull: pull, open: count, expires: end))
            agenda.add(.pullOver(index, connection: connection, pull), at: end - 1)
        case .acknowledge(let sequence, let id):
            consumer.acknowledge(sequence)
            confirm(index, .settled(index, connection: connection, sequence: sequence, id: id))
        case .release(let sequence, let delay, let id):
            if let until = consumer.release(sequence, delay: delay, now: now) {
                agenda.add(.check(sequence), at: until)
            }
            confirm(index, .settled(index, connection: connection, sequence: sequence, id: id))
        case .progress(let sequence, let call):
            consumer.progress(sequence, now: now)
            if let call { confirm(index, .renewed(index, connection: connection, call, true)) }
        }
        deliver()
    }

    private mutating func confirm(_ index: Int, _ action: Action) {
        if lossy > 0, dice.percent(30) { return }
        fromServer(index, action)
    }

    mutating func deliver() {
        while let delivery = consumer.deliver(now: now) {
            if isTraced { note("server: \(delivery.sequence) for the \(delivery.count). time to \(delivery.replica)") }
            agenda.add(.check(delivery.sequence), at: now + consumer.ackWait)
            fromServer(delivery.replica, .delivery(delivery))
        }
    }

    mutating func fromServer(_ index: Int, _ action: Action) {
        let time = max(now + dice.within(100_000...(2 * millisecond)), replicas[index].lastFromServer)
        replicas[index].lastFromServer = time
        agenda.add(action, at: time)
    }

    private mutating func toServer(_ index: Int, _ message: Message) {
        guard replicas[index].isConnected else { return }
        if lossy > 0, dice.percent(10) {
            if case .pull = message {} else { return }
        }
        let time = max(now + dice.within(100_000...(2 * millisecond)), replicas[index].lastToServer)
        replicas[index].lastToServer = time
        agenda.add(.toServer(index, connection: replicas[index].connection, message), at: time)
    }

    mutating func arrive(_ delivery: ModelConsumer.Delivery) {
        let sequence = delivery.sequence
        // What waited in a stopped process may be in other hands by now.
        if case .pending(let until) = consumer.states[sequence], delivery.count == consumer.deliveries[sequence],
            until > now + consumer.ackWait - 50 * millisecond
        {
        } else {
            stale[sequence] += 1
        }
        replicas[delivery.replica].held[sequence] = delivery.count
        let arrival = Arrival(
            sequence: UInt64(sequence),
            deliveries: delivery.count,
            unattempted: records[sequence],
            pull: delivery.pull
        )
        feed(delivery.replica, .arrived(arrival, isLast: delivery.isLast))
    }

    mutating func finishStore(_ index: Int, _ life: Int, _ sequence: Int, _ action: Action) {
        guard replicas[index].isAlive, replicas[index].life == life else { return }
        if replicas[index].frozenUntil > now { return agenda.add(action, at: replicas[index].frozenUntil) }
        guard replicas[index].storing[sequence] else { return }
        replicas[index].storing[sequence] = false
        if storeDown == 0 { letters[sequence] += 1 }
        feed(index, .deadLettered(sequence: UInt64(sequence), stored: storeDown == 0))
    }

    // MARK: The clients

    /// A client asks some replica, and again when it has its answer.
    mutating func receive(_ client: Int) {
        agenda.add(.client(client), at: now + dice.within(second...(12 * second)))
        let alive = replicas.indices.filter { replicas[$0].isAlive && replicas[$0].frozenUntil <= now }
        guard !alive.isEmpty else { return }
        let index = dice.pick(alive)
        ids += 1
        let wants = dice.pick([1, 1, 3, 10])
        let until = now + dice.within(0...(10 * second))
        replicas[index].waiters[ids] = (wants, until)
        if dice.percent(15) {
            let time = dice.within(now...until)
            agenda.add(.vanish(index, life: replicas[index].life, waiter: ids), at: time)
        }
        feed(index, .receive(waiter: ids, max: wants, until: until))
    }

    private mutating func take(_ index: Int, _ waiter: UInt64, _ events: [LockMachine.Handed]) {
        guard let (wants, until) = replicas[index].waiters.removeValue(forKey: waiter) else {
            return fail("\(index): client \(waiter) is answered although it does not wait")
        }
        if events.count > wants { fail("\(index): \(events.count) events for a client that wants \(wants)") }
        if events.isEmpty, now < until, paused == 0 { fail("\(index): nothing for client \(waiter) before its time") }
        for event in events {
            let sequence = Int(event.lock.sequence)
            handed[sequence] += 1
            if event.lockedUntil <= now { fail("\(index): \(sequence) is handed out with a lock that is over") }
            if handed[sequence] > policy.maxAttempts + stale[sequence] {
                fail("\(sequence): handed out \(handed[sequence]) times")
            }
            if holder[sequence].until > now, stale[sequence] == 0 { fail("\(sequence): two clients hold it") }
            holder[sequence] = (index, replicas[index].life, event.lock.number, event.lockedUntil)
            if !isCalm, dice.percent(10) { continue }  // the client is gone, and its lock with it
            let deed = isCalm ? .acknowledge : chooseDeed()
            // Sooner or later than the lock's end.
            let span = isCalm || dice.percent(80) ? second / 2 : 2 * consumer.ackWait
            agenda.add(
                .act(index, life: replicas[index].life, event.lock, deed),
                at: now + dice.within(millisecond...span)
            )
        }
    }

    private mutating func chooseDeed() -> Deed {
        switch dice.below(10) {
        case 0: .acknowledgeTwice
        case 1: .release(0)
        case 2: .release(dice.within(0...(10 * second)))
        case 3: .reject
        case 4, 5: .renewThenAcknowledge
        case 6: .stale
        default: .acknowledge
        }
    }

    // MARK: The driver

    mutating func feed(_ index: Int, _ input: LockMachine.Input) {
        guard replicas[index].isAlive else { return }
        if isTraced { note("\(index) <- \(input)") }
        var commands: [LockMachine.Command] = []
        replicas[index].machine.handle(input, now: now, into: &commands)
        for command in commands { obey(index, command) }
        let machine = replicas[index].machine
        // What was released and came again before its release was confirmed is one more.
        if machine.inHand > policy.maxInFlight + messages { fail("\(index): \(machine.inHand) in hand") }
        let wake = machine.nextWake
        if wake <= now { fail("\(index): wakes at \(wake - now) ns from now") }
        if wake < replicas[index].wakeAt {
            replicas[index].wakeAt = wake
            agenda.add(.wake(index, life: replicas[index].life), at: wake)
        }
    }

    private mutating func obey(_ index: Int, _ command: LockMachine.Command) {
        if isTraced { note("\(index) -> \(command)") }
        let life = replicas[index].life
        switch command {
        case .pull(let id, let count, let mode):
            if count < 1 { fail("\(index): a pull of \(count)") }
            var expires: Int64?
            if case .waiting(let until) = mode { expires = until }
            if expires != nil, count > 1 { fail("\(index): waits for more than one") }
            toServer(index, .pull(id, count: count, expires: expires))
        case .hand(let waiter, let events): take(index, waiter, events)
        case .answer(let call, let outcome): answered(index, call, outcome)
        case .acknowledge(let sequence):
            expectCurrent(index, Int(sequence))
            beginSettlement(index, Int(sequence)) { .acknowledge(Int(sequence), id: $0) }
            if letters[Int(sequence)] == 0 { acknowledged[Int(sequence)] = true }
        case .release(let sequence, let delay, let unattempted):
            if let unattempted { records[Int(sequence)] = max(records[Int(sequence)], unattempted) }
            endHold(index, Int(sequence))
            beginSettlement(index, Int(sequence)) { .release(Int(sequence), delay: nanoseconds(delay), id: $0) }
        case .renew(let sequence, let call):
            toServer(index, .progress(Int(sequence), call: call))
            agenda.add(.renewTimeout(index, life: life, call), at: now + second)
        case .extend(let sequence): toServer(index, .progress(Int(sequence), call: nil))
        case .deadLetter(let sequence, _, _):
            if replicas[index].storing[Int(sequence)] { fail("\(index): \(sequence) is being stored already") }
            replicas[index].storing[Int(sequence)] = true
            let time = now + dice.within(millisecond...(5 * millisecond))
            agenda.add(.stored(index, life: life, sequence: Int(sequence)), at: time)
        case .lapsed(let sequence, let unattempted):
            records[Int(sequence)] = max(records[Int(sequence)], unattempted)
            drop(index, Int(sequence))
        case .forget(let sequence, _): drop(index, Int(sequence))
        }
    }

    private mutating func drop(_ index: Int, _ sequence: Int) {
        if replicas[index].held[sequence] == 0 { fail("\(index): forgets \(sequence), which it does not hold") }
        if replicas[index].settling[sequence] > 0 || replicas[index].storing[sequence] {
            fail("\(index): forgets \(sequence) while an answer is to come")
        }
        replicas[index].held[sequence] = 0
        endHold(index, sequence)
    }

    private mutating func endHold(_ index: Int, _ sequence: Int) {
        if holder[sequence].replica == index, holder[sequence].life == replicas[index].life {
            holder[sequence].until = .min
        }
    }

    private mutating func beginSettlement(_ index: Int, _ sequence: Int, _ message: (Int) -> Message) {
        if replicas[index].held[sequence] == 0 { fail("\(index): settles \(sequence), which it does not hold") }
        if replicas[index].settling[sequence] > 0 { fail("\(index): two settlements of \(sequence) at a time") }
        ids += 1
        let id = Int(ids)
        replicas[index].settling[sequence] = id
        toServer(index, message(id))
        let life = replicas[index].life
        agenda.add(.settleTimeout(index, life: life, sequence: sequence, id: id), at: now + 2 * second)
    }

    /// what a client settles is the delivery that the server made last, and to this replica.
    private mutating func expectCurrent(_ index: Int, _ sequence: Int) {
        if letters[sequence] > 0 || stale[sequence] > 0 { return }
        if consumer.deliveries[sequence] != replicas[index].held[sequence] {
            fail("\(index): settles \(sequence), which the server has delivered again")
        }
        if holder[sequence].replica != index || holder[sequence].life != replicas[index].life {
            fail("\(index): settles \(sequence), which a client of another replica holds")
        }
    }

    private mutating func answered(_ index: Int, _ call: UInt64, _ outcome: LockMachine.LockOutcome) {
        guard let (lock, isRenewal, isAcknowledge, isForged) = replicas[index].calls.removeValue(forKey: call) else {
            return fail("\(index): call \(call) is answered twice")
        }
        if isForged, outcome != .lost { fail("\(index): a lock that is no lock: \(outcome)") }
        if outcome == .failed, !isCalm, dice.percent(50) {
            let later = now + dice.within(millisecond...(3 * second))
            agenda.add(.act(index, life: replicas[index].life, lock, .acknowledge), at: later)
        }
        guard case .succeeded(let until) = outcome else { return }
        let sequence = Int(lock.sequence)
        if isAcknowledge, consumer.states[sequence] != .settled { fail("\(index): \(sequence) is not settled") }
        guard isRenewal else { return }
        guard let until, until > now else { return fail("\(index): a renewal without an end") }
        if stale[sequence] == 0 { holder[sequence].until = max(holder[sequence].until, until) }
        if stale[sequence] == 0, case .pending(let deadline) = consumer.states[sequence], deadline >= until { return }
        if stale[sequence] == 0, letters[sequence] == 0 { fail("\(sequence): renewed beyond what the server waits") }
    }

    // MARK: Faults

    mutating func begin(_ index: Int) {
        if isTraced { note("fault: \(faults[index].2) for \(faults[index].lasts / millisecond) ms") }
        switch faults[index].2 {
        case .kill(let replica): kill(replica)
        case .cut(let replica): cut(replica)
        case .freeze(let replica): replicas[replica].frozenUntil = now + faults[index].lasts
        case .lossy: lossy += 1
        case .storeDown: storeDown += 1
        case .pause:
            paused += 1
            for replica in replicas.indices { feed(replica, .pause) }
        }
        agenda.add(.faultEnds(index), at: now + faults[index].lasts)
    }

    mutating func end(_ index: Int) {
        if isCalm { return }
        switch faults[index].2 {
        case .kill(let replica): revive(replica)
        case .cut(let replica): connect(replica)
        case .freeze: break
        case .lossy: lossy -= 1
        case .storeDown: storeDown -= 1
        case .pause:
            paused -= 1
            if paused == 0 { for replica in replicas.indices { feed(replica, .resume) } }
        }
    }

    mutating func calm() {
        if isTraced { note("calm") }
        isCalm = true
        lossy = 0
        storeDown = 0
        paused = 0
        for index in replicas.indices {
            replicas[index].frozenUntil = .min
            revive(index)
            connect(index)
            feed(index, .resume)
        }
    }

    private mutating func kill(_ index: Int) {
        replicas[index].isAlive = false
        replicas[index].isConnected = false
        replicas[index].connection += 1
        replicas[index].frozenUntil = .min
        if dice.percent(70) { consumer.endAll(replica: index) }
    }

    private mutating func revive(_ index: Int) {
        if replicas[index].isAlive { return }
        var new = makeReplica()
        new.life = replicas[index].life + 1
        new.connection = replicas[index].connection + 1
        new.lastToServer = replicas[index].lastToServer
        new.lastFromServer = replicas[index].lastFromServer
        replicas[index] = new
        if paused == 0 { feed(index, .start) }
    }

    private mutating func connect(_ index: Int) {
        guard replicas[index].isAlive, !replicas[index].isConnected else { return }
        replicas[index].isConnected = true
        feed(index, .connected)
    }

    private mutating func cut(_ index: Int) {
        guard replicas[index].isAlive, replicas[index].isConnected, replicas[index].frozenUntil <= now else { return }
        replicas[index].isConnected = false
        replicas[index].connection += 1
        if dice.percent(70) { consumer.endAll(replica: index) }
        feed(index, .connectionLost)
        for sequence in 1...messages {
            let id = replicas[index].settling[sequence]
            if id > 0 { settle(index, sequence, id, false) }
            if replicas[index].storing[sequence] {
                replicas[index].storing[sequence] = false
                feed(index, .deadLettered(sequence: UInt64(sequence), stored: false))
            }
        }
    }
}
