import DeliveryRules

/// What one seed chooses for a run of ``PushSimulation``.
struct PushScenario {
    /// What the sink makes of an event.
    enum Temper {
        case good
        case flaky
        case slow
        case hanging
        case throttled
        case busy
        case poison
        case broken
        case forbidden
        case gone
        case unsendable
        case undecodable
        case expired
    }

    enum Fault {
        case kill(Int)
        case drain(Int)
        case cut(Int)
        case freeze(Int)
        case serverPause
        case lossy
        case extensionsLost
        case sinkDown
        case storeDown
        case pause
        case change(DeliveryPolicy)
    }

    /// No fault that costs a delivery: then the machine's count is exact.
    let isCalm: Bool
    let replicas: Int
    let policy: DeliveryPolicy
    /// By sequence, from 1.
    let tempers: [Temper]
    let published: [Int64]
    let faults: [(at: Int64, lasts: Int64, Fault)]
    /// The clock's value at the start: anything.
    let start: Int64

    static let faultsEnd = 150 * second

    init(_ dice: inout Dice) {
        isCalm = dice.percent(30)
        replicas = 1 + dice.below(3)
        start = dice.pick([0, -5_000 * second, 4_000_000_000 * second])
        policy = Self.policy(&dice, ackWait: dice.pick([1, 2, 5, 30]))
        var tempers: [Temper] = [.good]
        var published: [Int64] = [0]
        let usual: [Temper] = [.good, .good, .good, .good, .flaky, .slow, .throttled, .busy, .poison, .broken]
        let unusual: [Temper] = [.hanging, .forbidden, .unsendable, .undecodable, .expired, .gone]
        for _ in 0..<(1 + dice.below(14)) {
            tempers.append(dice.percent(90) ? dice.pick(usual) : dice.pick(unusual))
            published.append(dice.percent(50) ? 0 : dice.within(0...(100 * second)))
        }
        self.tempers = tempers
        self.published = published
        var faults: [(at: Int64, lasts: Int64, Fault)] = []
        for _ in 0..<dice.below(7) {
            let lasts = dice.percent(70) ? dice.within(millisecond...(3 * second)) : dice.within(second...(90 * second))
            let replica = dice.below(replicas)
            var choices: [Fault] = [.sinkDown, .storeDown, .pause]
            choices.append(.change(Self.policy(&dice, ackWait: policy.ackWait.components.seconds)))
            // With one replica nobody else can get what comes again.
            if replicas == 1 { choices.append(.extensionsLost) }
            if !isCalm {
                choices += [.kill(replica), .drain(replica), .cut(replica), .freeze(replica), .serverPause, .lossy]
                choices += [.kill(replica), .cut(replica)]
            }
            faults.append((dice.within(0...(100 * second)), lasts, dice.pick(choices)))
        }
        self.faults = faults
    }

    private static func policy(_ dice: inout Dice, ackWait: Int64) -> DeliveryPolicy {
        let schedules: [[Duration]] = [
            [.milliseconds(100), .seconds(1)], [.seconds(5), .seconds(30)], [.seconds(3600)], [.zero],
        ]
        let breakers: [CircuitBreaker.Policy?] = [
            nil, CircuitBreaker.Policy(), .init(minimumTries: 3, firstPause: .seconds(5), longestPause: .seconds(40)),
        ]
        return DeliveryPolicy(
            maxAttempts: 1 + dice.below(5),
            schedule: RetrySchedule(steps: dice.pick(schedules)),
            ackWait: .seconds(ackWait),
            maxInFlight: dice.pick([1, 2, 3, 8]),
            ratePerMinute: dice.percent(15) ? dice.pick([6, 60, 600]) : nil,
            breaker: dice.pick(breakers)
        )
    }
}
