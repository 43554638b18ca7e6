import DeliveryRules

extension PushSimulation {
    // MARK: The endpoint

    mutating func attempt(_ index: Int, _ sequence: Int) {
        let ackWait = consumer.ackWait
        var time = dice.within(millisecond...(20 * millisecond))
        var result = AttemptResult.answered(status: 200, retryAfter: nil)
        switch scenario.tempers[sequence] {
        case .good, .undecodable, .expired: break
        case .flaky: if dice.percent(50) { result = .answered(status: 500, retryAfter: nil) }
        case .slow: time = dice.within(ackWait...(4 * ackWait))
        case .hanging:
            time = dice.within(ackWait / 2...(2 * ackWait))
            if dice.percent(70) { result = .failed }
        case .throttled:
            let waits = [0, 1, 7, 90 * ackWait / second]
            if dice.percent(50) { result = .answered(status: 429, retryAfter: .seconds(dice.pick(waits))) }
        case .busy: if dice.percent(40) { result = dice.percent(50) ? .notTried : .failed }
        case .poison: result = .answered(status: 400, retryAfter: nil)
        case .broken: result = .answered(status: dice.pick([500, 503, 404, 409]), retryAfter: nil)
        case .forbidden: result = .answered(status: 401, retryAfter: nil)
        case .gone: result = .answered(status: 410, retryAfter: nil)
        case .unsendable: result = .undeliverable
        }
        if sinkDown > 0, result != .undeliverable { result = .failed }
        agenda.add(.attempted(index, life: replicas[index].life, sequence: sequence, result), at: now + time)
    }

    mutating func finish(_ index: Int, _ life: Int, _ sequence: Int, _ result: AttemptResult, _ action: Action) {
        let isOurs = replicas[index].isAlive && replicas[index].life == life
        let isDelivered = result == .answered(status: 200, retryAfter: nil)
        // A request whose sender died may still have been served.
        if isDelivered, isOurs || dice.percent(50) { accepted[sequence] = true }
        guard survives(index, life, action) else { return }
        if isTraced { note("\(index): \(sequence) ended: \(result)") }
        replicas[index].attempting[sequence] = false
        replicas[index].running -= 1
        if result == .notTried || result == .undeliverable {
            attempts[sequence] -= 1
            replicas[index].probes -= 1
        }
        var asked: Int64 = 0
        if case .answered(429, let after?) = result {
            asked = min(nanoseconds(after), 3600 * second)
            let until = now + asked
            replicas[index].quietUntil = max(replicas[index].quietUntil, until)
            replicas[index].notBefore[sequence] = until
        }
        let steps = policy.schedule.steps
        let step = steps[min(replicas[index].number[sequence], steps.count) - 1]
        replicas[index].leastDelay[sequence] = max(nanoseconds(step) / 100 * 79, asked)
        if result == .notTried { replicas[index].leastDelay[sequence] = 0 }
        feed(index, .attempted(sequence: UInt64(sequence), result))
        replicas[index].leastDelay[sequence] = 0
    }

    // MARK: The dead-letter stream

    mutating func store(_ index: Int, _ sequence: Int) {
        replicas[index].storing[sequence] = true
        let time = now + dice.within(millisecond...(5 * millisecond))
        agenda.add(.stored(index, life: replicas[index].life, sequence: sequence), at: time)
    }

    mutating func finishStore(_ index: Int, _ life: Int, _ sequence: Int, _ action: Action) {
        let isStored = storeDown == 0
        // A publish on its way when its sender dies or loses the connection may still be stored.
        let isOurs = replicas[index].life == life && replicas[index].storing[sequence]
        if isStored, isOurs || dice.percent(50) { letters[sequence] += 1 }
        guard isOurs, survives(index, life, action) else { return }
        replicas[index].storing[sequence] = false
        let isTold = isStored && !(lossy > 0 && dice.percent(20))
        feed(index, .deadLettered(sequence: UInt64(sequence), stored: isTold))
    }

    // MARK: Faults

    mutating func begin(_ index: Int) {
        let fault = scenario.faults[index]
        if isTraced { note("fault: \(fault.2) for \(fault.lasts / millisecond) ms") }
        var lasts = fault.lasts
        switch fault.2 {
        case .kill(let replica): kill(replica)
        case .drain(let replica):
            guard replicas[replica].isAlive, !isFrozen(replica) else { return }
            replicas[replica].isDraining = true
            feed(replica, .drain)
            lasts = dice.within(second...(10 * second))
        case .cut(let replica): cut(replica, for: fault.lasts)
        case .freeze(let replica):
            replicas[replica].frozenUntil = max(replicas[replica].frozenUntil, now + fault.lasts)
            return
        case .serverPause:
            serverPausedUntil = max(serverPausedUntil, now + fault.lasts)
            return
        case .lossy: lossy += 1
        case .extensionsLost: extensionsLost += 1
        case .sinkDown: sinkDown += 1
        case .storeDown:
            storeDown += 1
            if dice.percent(30) { lasts = 20_000 * second }
        case .pause:
            paused += 1
            for replica in replicas.indices where replicas[replica].isAlive { feed(replica, .pause) }
        case .change(let new):
            policy = new
            maxAttempts = max(maxAttempts, new.maxAttempts)
            for replica in replicas.indices where replicas[replica].isAlive { feed(replica, .change(new)) }
            return
        }
        agenda.add(.faultEnds(index), at: now + lasts)
    }

    mutating func end(_ index: Int) {
        if isCalm {
            if case .storeDown = scenario.faults[index].2 { storeDown = max(0, storeDown - 1) }
            return
        }
        if isTraced { note("fault ends: \(scenario.faults[index].2)") }
        switch scenario.faults[index].2 {
        case .kill(let replica): revive(replica)
        case .drain(let replica):
            kill(replica)
            revive(replica)
        case .lossy: lossy -= 1
        case .extensionsLost: extensionsLost -= 1
        case .sinkDown: sinkDown -= 1
        case .storeDown: storeDown = max(0, storeDown - 1)
        case .pause:
            paused -= 1
            if paused > 0 { return }
            for replica in replicas.indices where replicas[replica].isAlive { feed(replica, .resume) }
        case .cut, .freeze, .serverPause, .change: break
        }
    }

    /// The end of all faults but the store's, which may take hours.
    mutating func calm() {
        if isTraced { note("calm") }
        isCalm = true
        sinkDown = 0
        lossy = 0
        extensionsLost = 0
        paused = 0
        isDisabled = false
        serverPausedUntil = .min
        for index in replicas.indices {
            replicas[index].frozenUntil = .min
            if replicas[index].isAlive, replicas[index].isDraining { kill(index) }
            revive(index)
            if !replicas[index].isConnected {
                agenda.add(.connect(index, life: replicas[index].life), at: now + millisecond)
            }
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
        var new = PushReplica(policy: policy, seed: dice.seed(), messages: messages)
        new.life = replicas[index].life + 1
        new.connection = replicas[index].connection + 1
        new.lastToServer = replicas[index].lastToServer
        new.lastFromServer = replicas[index].lastFromServer
        replicas[index] = new
        if paused == 0, !isDisabled { feed(index, .start) }
    }

    private mutating func cut(_ index: Int, for lasts: Int64) {
        guard replicas[index].isAlive, replicas[index].isConnected, !isFrozen(index) else { return }
        replicas[index].isConnected = false
        replicas[index].connection += 1
        // The server may take a moment to see it; what it sends until then is lost.
        if dice.percent(70) { consumer.endAll(replica: index) }
        agenda.add(.connect(index, life: replicas[index].life), at: now + lasts)
        if dice.percent(50) { feed(index, .connectionLost) }
        for sequence in 1...messages {
            if replicas[index].settling[sequence] > 0 { settled(index, sequence, false) }
            if replicas[index].storing[sequence] {
                replicas[index].storing[sequence] = false
                feed(index, .deadLettered(sequence: UInt64(sequence), stored: false))
            }
        }
        feed(index, .connectionLost)
    }
}
