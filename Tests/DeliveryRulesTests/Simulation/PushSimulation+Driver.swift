import DeliveryRules

extension PushSimulation {
    /// Feeds one input and does what the machine commands, under the oracle's eyes.
    mutating func feed(_ index: Int, _ input: DeliveryMachine.Input) {
        guard replicas[index].isAlive else { return }
        if isTraced { note("\(index) <- \(input)") }
        switch input {
        case .start, .resume, .change:
            replicas[index].quietUntil = .min
            replicas[index].attemptTimes = []
            for sequence in 1...messages { replicas[index].notBefore[sequence] = .min }
        case .connectionLost: replicas[index].knowsConnection = false
        case .connected: replicas[index].knowsConnection = true
        default: break
        }
        commands.removeAll(keepingCapacity: true)
        replicas[index].machine.handle(input, now: now, into: &commands)
        let batch = commands
        for command in batch { obey(index, command) }
        inspect(index)
        let wake = replicas[index].machine.nextWake
        if wake <= now { fail("\(index): wakes at \(wake - now) ns from now") }
        if wake < replicas[index].wakeAt {
            replicas[index].wakeAt = wake
            agenda.add(.wake(index, life: replicas[index].life), at: wake)
        }
    }

    private mutating func obey(_ index: Int, _ command: DeliveryMachine.Command) {
        if isTraced { note("\(index) -> \(command)") }
        switch command {
        case .pull(let id, let count):
            if count < 1 { fail("\(index): a pull of \(count)") }
            toServer(index, .pull(id, count: count, expires: Self.pullExpires))
        case .attempt(let sequence, let number): startAttempt(index, Int(sequence), number)
        case .acknowledge(let sequence):
            expectHeld(index, Int(sequence), "acknowledge")
            beginSettlement(index, Int(sequence)) { .acknowledge(Int(sequence), id: $0) }
        case .release(let sequence, let delay, let unattempted):
            expectHeld(index, Int(sequence), "release")
            record(Int(sequence), unattempted)
            let delay = nanoseconds(delay)
            if delay < 0 { fail("\(index): a negative delay") }
            if scenario.isCalm, delay < replicas[index].leastDelay[Int(sequence)], storeDown == 0 {
                fail("\(index): \(sequence) waits only \(delay) ns")
            }
            beginSettlement(index, Int(sequence)) { .release(Int(sequence), delay: delay, id: $0) }
        case .extend(let sequence):
            expectHeld(index, Int(sequence), "extend")
            toServer(index, .progress(Int(sequence)))
        case .deadLetter(let sequence, let reason, let attempts):
            expectHeld(index, Int(sequence), "deadLetter")
            checkLetter(index, Int(sequence), reason, attempts)
            store(index, Int(sequence))
        case .lapsed(let sequence, let unattempted):
            if scenario.isCalm { fail("\(index): \(sequence) lapsed without a fault") }
            record(Int(sequence), unattempted)
            drop(index, Int(sequence), "lapsed")
        case .forget(let sequence, _): drop(index, Int(sequence), "forget")
        case .disable:
            isDisabled = true
            if isCalm { agenda.add(.resume(index, life: replicas[index].life), at: now + 10 * second) }
        case .breaker(let state):
            replicas[index].breaker = state
            replicas[index].probes = 0
        }
    }

    private mutating func beginSettlement(_ index: Int, _ sequence: Int, _ message: (Int) -> Message) {
        if replicas[index].settling[sequence] > 0 { fail("\(index): two settlements of \(sequence) at a time") }
        if replicas[index].attempting[sequence] { fail("\(index): \(sequence) settled while its attempt runs") }
        ids += 1
        replicas[index].settling[sequence] = ids
        toServer(index, message(ids))
        let life = replicas[index].life
        agenda.add(.settleTimeout(index, life: life, sequence: sequence, id: ids), at: now + 2 * second)
    }

    private mutating func record(_ sequence: Int, _ total: Int?) {
        guard let total, scenario.isCalm || dice.percent(90) else { return }
        records[sequence] = max(records[sequence], total)
    }

    // MARK: The oracle

    private mutating func expectHeld(_ index: Int, _ sequence: Int, _ what: String) {
        if !replicas[index].held[sequence] { fail("\(index): \(what) of \(sequence), which it does not hold") }
        if what != "extend", !replicas[index].knowsConnection { fail("\(index): \(what) without a connection") }
    }

    private mutating func drop(_ index: Int, _ sequence: Int, _ what: String) {
        expectHeldForDrop(index, sequence, what)
        replicas[index].held[sequence] = false
    }

    private mutating func expectHeldForDrop(_ index: Int, _ sequence: Int, _ what: String) {
        if !replicas[index].held[sequence] { fail("\(index): \(what) of \(sequence), which it does not hold") }
        if replicas[index].settling[sequence] > 0 || replicas[index].attempting[sequence]
            || replicas[index].storing[sequence]
        {
            fail("\(index): \(what) of \(sequence) while an answer is to come")
        }
    }

    private mutating func startAttempt(_ index: Int, _ sequence: Int, _ number: Int) {
        expectHeld(index, sequence, "attempt")
        let replica = replicas[index]
        if replica.attempting[sequence] { fail("\(index): two attempts of \(sequence) at a time") }
        if replica.settling[sequence] > 0 { fail("\(index): an attempt of \(sequence) while it is settled") }
        if replica.running >= policy.maxInFlight { fail("\(index): more than \(policy.maxInFlight) attempts") }
        if replica.isDraining || paused > 0 { fail("\(index): an attempt while paused") }
        if number < 1 || number > policy.maxAttempts { fail("\(index): attempt \(number) of \(policy.maxAttempts)") }
        if now < replica.quietUntil { fail("\(index): an attempt before Retry-After is over") }
        if now < replica.notBefore[sequence] { fail("\(index): \(sequence) tried before its time") }
        if case .open(let until) = replica.breaker, now < until { fail("\(index): an attempt with the breaker open") }
        if replica.breaker == .halfOpen {
            replicas[index].probes += 1
            if replica.probes >= 1 { fail("\(index): two probes") }
        }
        attempts[sequence] += 1
        if attempts[sequence] > maxAttempts + stale[sequence] { fail("\(sequence): \(attempts[sequence]) attempts") }
        if scenario.isCalm, scenario.tempers[sequence] != .busy, number != attempts[sequence] {
            fail("\(sequence): attempt \(attempts[sequence]) is called \(number)")
        }
        if let rate = policy.ratePerMinute {
            replicas[index].attemptTimes.append(now)
            let recent = replicas[index].attemptTimes.reversed().prefix { $0 > now - 60 * second }.count
            if recent > rate { fail("\(index): \(recent) attempts in a minute") }
        }
        replicas[index].attempting[sequence] = true
        replicas[index].number[sequence] = number
        replicas[index].running += 1
        attempt(index, sequence)
    }

    private mutating func checkLetter(_ index: Int, _ sequence: Int, _ reason: DeadLetterReason, _ attempts: Int) {
        if replicas[index].storing[sequence] { fail("\(index): \(sequence) is being stored already") }
        guard scenario.isCalm, scenario.tempers[sequence] != .busy else { return }
        if attempts != self.attempts[sequence] {
            fail("\(sequence): dead letter says \(attempts) attempts, there were \(self.attempts[sequence])")
        }
    }

    private mutating func inspect(_ index: Int) {
        let machine = replicas[index].machine
        if machine.inFlight != replicas[index].running { fail("\(index): counts \(machine.inFlight) attempts") }
        // A lowered limit, and deliveries that came too late for their pull, are worked off.
        let limit = max(policy.maxInFlight, min(replicas[index].allowance, machine.inHand + machine.outstanding))
        replicas[index].allowance = limit
        if scenario.isCalm, machine.inHand > limit { fail("\(index): \(machine.inHand) in hand, \(limit) allowed") }
    }

    func finalViolation() -> String? {
        for sequence in 1...messages {
            guard consumer.states[sequence] == .settled else {
                return "\(sequence) is \(consumer.states[sequence]) at the end"
            }
            if !accepted[sequence], letters[sequence] == 0 { return "\(sequence) is lost" }
            if scenario.isCalm, scenario.tempers[sequence] == .good, letters[sequence] > 0, sinkDownNever {
                return "\(sequence) is a dead letter for nothing"
            }
        }
        for index in replicas.indices {
            let machine = replicas[index].machine
            if machine.inHand != 0 || machine.inFlight != 0 || machine.settling != 0 { return "\(index) holds events" }
        }
        return nil
    }

    private var sinkDownNever: Bool {
        !scenario.faults.contains {
            if case .sinkDown = $0.2 { return true }
            return false
        }
    }
}
