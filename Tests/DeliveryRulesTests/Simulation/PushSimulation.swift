import DeliveryRules

/// A subscription pushed by several replicas over one consumer, with faults, in virtual time.
struct PushSimulation {
    enum Message {
        case pull(UInt32, count: Int, expires: Int64)
        case pullCancelled(UInt32)
        case acknowledge(Int, id: Int)
        case release(Int, delay: Int64, id: Int)
        case progress(Int)
    }

    enum Action {
        case publish(Int)
        case check(Int)
        case fault(Int)
        case faultEnds(Int)
        case calm
        case toServer(Int, connection: Int, Message)
        case toReplica(Int, connection: Int, DeliveryMachine.Input)
        case delivery(ModelConsumer.Delivery)
        case confirmed(Int, connection: Int, sequence: Int, id: Int)
        case pullOver(Int, connection: Int, UInt32)
        case settleTimeout(Int, life: Int, sequence: Int, id: Int)
        case attempted(Int, life: Int, sequence: Int, AttemptResult)
        case stored(Int, life: Int, sequence: Int)
        case wake(Int, life: Int)
        case connect(Int, life: Int)
        case resume(Int, life: Int)
    }

    let scenario: PushScenario
    var dice: Dice
    var now: Int64
    var agenda = Agenda<Action>()
    var consumer: ModelConsumer
    var replicas: [PushReplica] = []
    var policy: DeliveryPolicy
    var commands: [DeliveryMachine.Command] = []
    var ids = 0
    var steps = 0
    var sinkDown = 0
    var storeDown = 0
    var paused = 0
    var lossy = 0
    var extensionsLost = 0
    var serverPausedUntil: Int64 = .min
    var isCalm = false
    // What really happened, by sequence.
    var attempts: [Int]
    var accepted: [Bool]
    var letters: [Int]
    var records: [Int]
    /// Deliveries that a stopped process saw after the server had delivered again: one attempt too many each.
    var stale: [Int]
    var isDisabled = false
    var maxAttempts: Int
    var violation: String?
    var trace: [String]?

    static let stepsMax = 60_000
    static let pullExpires = 600 * second

    init(seed: UInt64, traced: Bool = false) {
        dice = Dice(seed: seed)
        scenario = PushScenario(&dice)
        let messages = scenario.tempers.count - 1
        policy = scenario.policy
        maxAttempts = policy.maxAttempts
        consumer = ModelConsumer(messages: messages, ackWait: policy.ackWait.components.seconds * second)
        attempts = Array(repeating: 0, count: messages + 1)
        accepted = Array(repeating: false, count: messages + 1)
        letters = attempts
        records = attempts
        stale = attempts
        now = scenario.start
        trace = traced ? [] : nil
        for _ in 0..<scenario.replicas {
            replicas.append(PushReplica(policy: policy, seed: dice.seed(), messages: messages))
        }
        for sequence in 1...messages { agenda.add(.publish(sequence), at: now + scenario.published[sequence]) }
        for index in scenario.faults.indices { agenda.add(.fault(index), at: now + scenario.faults[index].at) }
        agenda.add(.calm, at: now + PushScenario.faultsEnd)
    }

    var messages: Int { scenario.tempers.count - 1 }

    mutating func run() -> String? {
        for index in replicas.indices { feed(index, .start) }
        let deadline = now + 30 * 86_400 * second
        while violation == nil, let (time, action) = agenda.next() {
            steps += 1
            if steps > Self.stepsMax { return "no end after \(steps) steps" }
            now = max(now, time)
            if now > deadline { return "not settled in time: \(consumer.states)" }
            perform(action)
            if isCalm, consumer.settledCount == messages, replicas.allSatisfy({ $0.machine.isIdle }) { break }
        }
        return violation ?? finalViolation()
    }

    var isTraced: Bool { trace != nil }

    mutating func note(_ text: String) {
        let time = Double((now - scenario.start) / 1000) / 1_000_000
        trace?.append("\(time) \(text)")
    }

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
            // What was sent before a cut may still arrive.
            if replicas[index].connection == connection || dice.percent(50) { serve(index, connection, message) }
        case .toReplica(let index, let connection, let input):
            if reaches(index, connection, action) { feed(index, input) }
        case .delivery(let delivery):
            if reaches(delivery.replica, delivery.connection, action) { arrive(delivery) }
        case .confirmed(let index, let connection, let sequence, let id):
            if reaches(index, connection, action), replicas[index].settling[sequence] == id {
                settled(index, sequence, true)
            }
        case .pullOver(let index, let connection, let pull):
            if consumer.end(pull: pull, replica: index, connection: connection) {
                fromServer(index, .toReplica(index, connection: connection, .pullEnded(pull)))
            }
        case .settleTimeout(let index, let life, let sequence, let id):
            if survives(index, life, action), replicas[index].settling[sequence] == id {
                settled(index, sequence, false)
            }
        case .attempted(let index, let life, let sequence, let result): finish(index, life, sequence, result, action)
        case .stored(let index, let life, let sequence): finishStore(index, life, sequence, action)
        case .wake(let index, let life):
            guard survives(index, life, action), replicas[index].wakeAt <= now else { return }
            replicas[index].wakeAt = .max
            feed(index, .wake)
        case .connect(let index, let life): if survives(index, life, action) { connect(index) }
        case .resume(let index, let life): if survives(index, life, action), paused == 0 { feed(index, .resume) }
        }
    }

    /// Whether the process that this is for still lives; a stopped one gets it later.
    func isFrozen(_ index: Int) -> Bool { replicas[index].frozenUntil > now }

    mutating func survives(_ index: Int, _ life: Int, _ action: Action) -> Bool {
        guard replicas[index].isAlive, replicas[index].life == life else { return false }
        if isFrozen(index) {
            agenda.add(action, at: replicas[index].frozenUntil)
            return false
        }
        return true
    }

    private mutating func reaches(_ index: Int, _ connection: Int, _ action: Action) -> Bool {
        guard replicas[index].isConnected, replicas[index].connection == connection else { return false }
        return survives(index, replicas[index].life, action)
    }

    private mutating func serve(_ index: Int, _ connection: Int, _ message: Message) {
        switch message {
        case .pull(let pull, let count, let expires):
            consumer.add(
                .init(replica: index, connection: connection, pull: pull, open: count, expires: now + expires)
            )
            agenda.add(.pullOver(index, connection: connection, pull), at: now + expires - 1)
        case .pullCancelled(let pull): agenda.add(.pullOver(index, connection: connection, pull), at: now)
        case .acknowledge(let sequence, let id):
            if !accepted[sequence], letters[sequence] == 0 { fail("\(sequence) settled without a receiver") }
            consumer.acknowledge(sequence)
            confirm(index, connection, sequence, id)
        case .release(let sequence, let delay, let id):
            if let until = consumer.release(sequence, delay: delay, now: now) {
                agenda.add(.check(sequence), at: until)
            }
            confirm(index, connection, sequence, id)
        case .progress(let sequence): consumer.progress(sequence, now: now)
        }
        deliver()
    }

    private mutating func confirm(_ index: Int, _ connection: Int, _ sequence: Int, _ id: Int) {
        if lossy > 0, dice.percent(30) { return }
        fromServer(index, .confirmed(index, connection: connection, sequence: sequence, id: id))
    }

    private mutating func deliver() {
        while let delivery = consumer.deliver(now: now) {
            if isTraced { note("server: \(delivery.sequence) for the \(delivery.count). time to \(delivery.replica)") }
            agenda.add(.check(delivery.sequence), at: now + consumer.ackWait)
            fromServer(delivery.replica, .delivery(delivery))
        }
    }

    // MARK: The connection

    mutating func toServer(_ index: Int, _ message: Message) {
        guard replicas[index].isConnected else { return }
        if case .progress = message {
            if lossy > 0, dice.percent(30) { return }
            if extensionsLost > 0, dice.percent(70) { return }
        }
        if lossy > 0, dice.percent(10) {
            switch message {
            case .acknowledge, .release: return
            default: break
            }
        }
        let time = max(now + dice.within(100_000...(2 * millisecond)), replicas[index].lastToServer, serverPausedUntil)
        replicas[index].lastToServer = time
        agenda.add(.toServer(index, connection: replicas[index].connection, message), at: time)
    }

    private mutating func fromServer(_ index: Int, _ action: Action) {
        let time = max(now + dice.within(100_000...(2 * millisecond)), replicas[index].lastFromServer)
        replicas[index].lastFromServer = time
        agenda.add(action, at: time)
    }

    private mutating func arrive(_ delivery: ModelConsumer.Delivery) {
        let sequence = delivery.sequence
        let temper = scenario.tempers[sequence]
        replicas[delivery.replica].held[sequence] = true
        let arrival = Arrival(
            sequence: UInt64(sequence),
            deliveries: delivery.count,
            unattempted: records[sequence],
            kind: temper == .undecodable ? .undecodable : temper == .expired ? .expired : .event,
            pull: delivery.pull
        )
        if delivery.count < consumer.deliveries[sequence] { stale[sequence] += 1 }
        feed(delivery.replica, .arrived(arrival))
        if !scenario.isCalm, dice.percent(1), replicas[delivery.replica].held[sequence] {
            feed(delivery.replica, .arrived(arrival))
        }
    }

    mutating func settled(_ index: Int, _ sequence: Int, _ confirmed: Bool) {
        replicas[index].settling[sequence] = 0
        feed(index, .settled(sequence: UInt64(sequence), confirmed: confirmed))
    }

    private mutating func connect(_ index: Int) {
        if replicas[index].isConnected { return }
        replicas[index].isConnected = true
        feed(index, .connected)
    }
}
