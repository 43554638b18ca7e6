import DeliveryRules

/// Clients that pull from several replicas over one consumer and settle as clients do, in virtual time.
struct LockSimulation {
    enum Message {
        case pull(UInt32, count: Int, expires: Int64?)
        case acknowledge(Int, id: Int)
        case release(Int, delay: Int64, id: Int)
        case progress(Int, call: UInt64?)
    }

    enum Fault {
        case kill(Int)
        case cut(Int)
        case freeze(Int)
        case lossy
        case storeDown
        case pause
    }

    enum Action {
        case publish(Int)
        case check(Int)
        case fault(Int)
        case faultEnds(Int)
        case calm
        case toServer(Int, connection: Int, Message)
        case delivery(ModelConsumer.Delivery)
        case settled(Int, connection: Int, sequence: Int, id: Int)
        case renewed(Int, connection: Int, UInt64, Bool)
        case pullOver(Int, connection: Int, UInt32)
        case pullEnded(Int, connection: Int, UInt32)
        case settleTimeout(Int, life: Int, sequence: Int, id: Int)
        case renewTimeout(Int, life: Int, UInt64)
        case stored(Int, life: Int, sequence: Int)
        case wake(Int, life: Int)
        case client(Int)
        case vanish(Int, life: Int, waiter: UInt64)
        case act(Int, life: Int, LockMachine.Lock, Deed)
    }

    /// What a client does with an event that it got.
    enum Deed {
        case acknowledge
        case acknowledgeTwice
        case release(Int64)
        case reject
        case renewThenAcknowledge
        case stale
    }

    struct Replica {
        var machine: LockMachine
        var isAlive = true
        var isConnected = true
        var life = 0
        var connection = 0
        var frozenUntil: Int64 = .min
        var lastToServer: Int64 = .min
        var lastFromServer: Int64 = .min
        var wakeAt: Int64 = .max
        var held: [Int]
        var settling: [Int]
        var storing: [Bool]
        /// The waiting clients, and the calls that wait for an answer.
        var waiters: [UInt64: (max: Int, until: Int64)] = [:]
        var calls: [UInt64: (lock: LockMachine.Lock, isRenewal: Bool, isAcknowledge: Bool, isForged: Bool)] = [:]
    }

    let policy: DeliveryPolicy
    let messages: Int
    let faults: [(at: Int64, lasts: Int64, Fault)]
    var dice: Dice
    var now: Int64 = 0
    var agenda = Agenda<Action>()
    var consumer: ModelConsumer
    var replicas: [Replica] = []
    var steps = 0
    var ids: UInt64 = 0
    var lossy = 0
    var storeDown = 0
    var paused = 0
    var isCalm = false
    var acknowledged: [Bool]
    var letters: [Int]
    var records: [Int]
    var handed: [Int]
    var stale: [Int]
    /// Who holds each event, until when, as the clients were told.
    var holder: [(replica: Int, life: Int, number: UInt64, until: Int64)]
    var violation: String?
    var trace: [String]?
    let clients: Int

    init(seed: UInt64, traced: Bool = false) {
        dice = Dice(seed: seed &+ 0x10CC)
        messages = 1 + dice.below(14)
        clients = 1 + dice.below(4)
        policy = DeliveryPolicy(
            maxAttempts: 1 + dice.below(6),
            ackWait: .seconds(dice.pick([1, 2, 10, 30])),
            maxInFlight: dice.pick([1, 3, 8, 100])
        )
        consumer = ModelConsumer(messages: messages, ackWait: policy.ackWait.components.seconds * second)
        let none = Array(repeating: 0, count: messages + 1)
        letters = none
        records = none
        handed = none
        stale = none
        acknowledged = Array(repeating: false, count: messages + 1)
        holder = Array(repeating: (0, 0, 0, .min), count: messages + 1)
        let count = 1 + dice.below(3)
        var faults: [(at: Int64, lasts: Int64, Fault)] = []
        for _ in 0..<dice.below(6) {
            let replica = dice.below(count)
            let all: [Fault] = [.kill(replica), .cut(replica), .freeze(replica), .lossy, .storeDown, .pause]
            faults.append((dice.within(0...(60 * second)), dice.within(millisecond...(20 * second)), dice.pick(all)))
        }
        self.faults = faults
        trace = traced ? [] : nil
        for _ in 0..<count { replicas.append(makeReplica()) }
        for sequence in 1...messages {
            agenda.add(.publish(sequence), at: dice.percent(50) ? 0 : dice.within(0...(60 * second)))
        }
        for index in faults.indices { agenda.add(.fault(index), at: faults[index].at) }
        for client in 0..<clients { agenda.add(.client(client), at: dice.within(0...second)) }
        agenda.add(.calm, at: 90 * second)
    }

    mutating func makeReplica() -> Replica {
        Replica(
            machine: LockMachine(policy: policy, seed: dice.seed()),
            held: Array(repeating: 0, count: messages + 1),
            settling: Array(repeating: 0, count: messages + 1),
            storing: Array(repeating: false, count: messages + 1)
        )
    }

    mutating func run() -> String? {
        for index in replicas.indices { feed(index, .start) }
        while violation == nil, let (time, action) = agenda.next() {
            steps += 1
            if steps > 60_000 { return "no end after \(steps) steps" }
            now = max(now, time)
            if now > 30 * 86_400 * second { return "not settled in time: \(consumer.states)" }
            perform(action)
            if isCalm, consumer.settledCount == messages { break }
        }
        if violation != nil { return violation }
        for sequence in 1...messages {
            if consumer.states[sequence] != .settled { return "\(sequence) is \(consumer.states[sequence]) at the end" }
            if !acknowledged[sequence], letters[sequence] == 0 { return "\(sequence) is lost" }
        }
        return nil
    }

    var isTraced: Bool { trace != nil }

    mutating func note(_ text: String) { trace?.append("\(Double(now / 1000) / 1_000_000) \(text)") }

    mutating func fail(_ text: String) {
        if violation == nil { violation = text }
        if isTraced { note("VIOLATION \(text)") }
    }

    // MARK: What happens

    private mutating func perform(_ action: Action) {
        switch action {
        case .publish(let sequence):
            consumer.publish(sequence)
            deliver()
        case .check(let sequence):
            if let again = consumer.check(sequence, now: now) { agenda.add(.check(sequence), at: again) }
            deliver()
        case .fault(let index): begin(index)
        case .faultEnds(let index): end(index)
        case .calm: calm()
        case .toServer(let index, let connection, let message):
            if replicas[index].connection == connection || dice.percent(50) { serve(index, connection, message) }
        case .delivery(let delivery):
            if reaches(delivery.replica, delivery.connection, action) { arrive(delivery) }
        case .settled(let index, let connection, let sequence, let id):
            if reaches(index, connection, action) { settle(index, sequence, id, true) }
        case .renewed(let index, let connection, let call, let confirmed):
            if reaches(index, connection, action) { feed(index, .renewed(call: call, confirmed: confirmed)) }
        case .pullOver(let index, let connection, let pull):
            if consumer.end(pull: pull, replica: index, connection: connection) {
                fromServer(index, .pullEnded(index, connection: connection, pull))
            }
        case .pullEnded(let index, let connection, let pull):
            if reaches(index, connection, action) { feed(index, .pullEnded(pull)) }
        case .settleTimeout(let index, let life, let sequence, let id):
            if survives(index, life, action) { settle(index, sequence, id, false) }
        case .renewTimeout(let index, let life, let call):
            if survives(index, life, action) { feed(index, .renewed(call: call, confirmed: false)) }
        case .stored(let index, let life, let sequence): finishStore(index, life, sequence, action)
        case .wake(let index, let life):
            guard survives(index, life, action), replicas[index].wakeAt <= now else { return }
            replicas[index].wakeAt = .max
            feed(index, .wake)
        case .client(let client): receive(client)
        case .vanish(let index, let life, let waiter):
            if survives(index, life, action), replicas[index].waiters.removeValue(forKey: waiter) != nil {
                feed(index, .gone(waiter: waiter))
            }
        case .act(let index, let life, let lock, let deed): act(index, life, lock, deed, action)
        }
    }

    private mutating func survives(_ index: Int, _ life: Int, _ action: Action) -> Bool {
        guard replicas[index].isAlive, replicas[index].life == life else { return false }
        if replicas[index].frozenUntil > now {
            agenda.add(action, at: replicas[index].frozenUntil)
            return false
        }
        return true
    }

    private mutating func reaches(_ index: Int, _ connection: Int, _ action: Action) -> Bool {
        guard replicas[index].isConnected, replicas[index].connection == connection else { return false }
        return survives(index, replicas[index].life, action)
    }

    mutating func settle(_ index: Int, _ sequence: Int, _ id: Int, _ confirmed: Bool) {
        guard replicas[index].settling[sequence] == id else { return }
        replicas[index].settling[sequence] = 0
        feed(index, .settled(sequence: UInt64(sequence), confirmed: confirmed))
    }

    private mutating func act(
        _ index: Int,
        _ life: Int,
        _ lock: LockMachine.Lock,
        _ deed: Deed,
        _ action: Action
    ) {
        guard survives(index, life, action) else { return }
        switch deed {
        case .acknowledge: call(index, lock) { .acknowledge(lock, call: $0) }
        case .acknowledgeTwice:
            call(index, lock) { .acknowledge(lock, call: $0) }
            call(index, lock) { .acknowledge(lock, call: $0) }
        case .release(let delay): call(index, lock) { .release(lock, delay: .nanoseconds(delay), call: $0) }
        case .reject: call(index, lock) { .reject(lock, call: $0) }
        case .renewThenAcknowledge:
            call(index, lock) { .renew(lock, call: $0) }
            let later = now + dice.within(0...consumer.ackWait)
            agenda.add(.act(index, life: life, lock, .acknowledge), at: later)
        case .stale:
            let other = LockMachine.Lock(sequence: lock.sequence, delivery: lock.delivery, number: lock.number &- 1)
            call(index, other, isForged: true) { .acknowledge(other, call: $0) }
            // Sent to a replica that does not hold it.
            for elsewhere in replicas.indices where elsewhere != index && replicas[elsewhere].isAlive {
                call(elsewhere, lock, isForged: true) { .acknowledge(lock, call: $0) }
            }
        }
    }

    private mutating func call(
        _ index: Int,
        _ lock: LockMachine.Lock,
        isForged: Bool = false,
        _ input: (UInt64) -> LockMachine.Input
    ) {
        ids += 1
        let made = input(ids)
        var isRenewal = false
        var isAcknowledge = false
        if case .renew = made { isRenewal = true }
        if case .acknowledge = made { isAcknowledge = true }
        replicas[index].calls[ids] = (lock, isRenewal, isAcknowledge, isForged)
        feed(index, made)
    }
}
