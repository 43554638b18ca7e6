import DeliveryRules
import Testing

@Suite struct DeliveryMachineTests {
    static let policy = DeliveryPolicy(maxInFlight: 4, breaker: nil)

    static func running(_ policy: DeliveryPolicy = policy, at now: Int64 = 0) -> Rig {
        var rig = Rig(policy, at: now)
        _ = rig.feed(.start)
        return rig
    }

    @Test func anEventIsAttemptedAcknowledgedAndCountedOnlyWhenConfirmed() {
        var rig = Rig(Self.policy)
        #expect(rig.feed(.start) == [.pull(id: 1, count: 4)])
        #expect(rig.arrive(1) == [.attempt(sequence: 1, number: 1)])
        #expect(rig.feed(.attempted(sequence: 1, .status(200))).first == .acknowledge(1))
        #expect(rig.machine.counters.delivered == 0)
        _ = rig.feed(.settled(sequence: 1, confirmed: false))
        #expect(rig.pass(second + second / 5).filter { !$0.isPull } == [.acknowledge(1)])
        #expect(rig.feed(.settled(sequence: 1, confirmed: true)) == [.forget(1, settled: true)])
        #expect(rig.machine.counters.delivered == 1)
        #expect(rig.machine.counters.attempts == 1)
        #expect(rig.machine.isIdle)
    }

    /// one more than `maxInFlight` parked for hours, and a good event goes through at once.
    @Test func parkedEventsHoldUpNobody() {
        var rig = Self.running(DeliveryPolicy(schedule: .init(steps: [.seconds(7200)]), maxInFlight: 4, breaker: nil))
        var released = 0
        for sequence in 1...UInt64(5) {
            #expect(rig.arrive(sequence).contains(.attempt(sequence: sequence, number: 1)))
            for case .release(sequence, let delay, nil) in rig.feed(.attempted(sequence: sequence, .failed)) {
                #expect(delay >= .seconds(5760))
                released += 1
            }
            _ = rig.feed(.settled(sequence: sequence, confirmed: true))
        }
        #expect(released == 5)
        #expect(rig.machine.inHand == 0)
        #expect(rig.machine.nextWake == .max || rig.machine.outstanding > 0)
        #expect(rig.arrive(6).contains(.attempt(sequence: 6, number: 1)))
    }

    /// what is not stored is not settled, and does not keep its place for long.
    @Test func aDeadLetterStoreThatFailsForHoursHoldsUpNobody() {
        var rig = Self.running()
        _ = rig.arrive(1)
        #expect(rig.feed(.attempted(sequence: 1, .status(400))).contains(.deadLetter(1, .rejected, attempts: 1)))
        var commands = rig.feed(.deadLettered(sequence: 1, stored: false))
        var tries = 1
        while !commands.contains(where: { $0.isRelease }), tries < 20 {
            commands = rig.pass(9 * second)
            #expect(!commands.contains(.acknowledge(1)))
            if commands.contains(.deadLetter(1, .rejected, attempts: 1)) {
                tries += 1
                commands = rig.feed(.deadLettered(sequence: 1, stored: false))
            }
        }
        #expect(tries > 1 && tries < 8)
        _ = rig.feed(.settled(sequence: 1, confirmed: true))
        #expect(rig.machine.isIdle)
        // As long as it fails each new one gives its place back at once, for longer and longer.
        rig.now += 3600 * second
        _ = rig.arrive(2, kind: .undecodable)
        let after = rig.feed(.deadLettered(sequence: 2, stored: false))
        guard case .release(2, let delay, 1) = after.first else {
            Issue.record("no release")
            return
        }
        #expect(delay >= .seconds(600))
        // Exhausted at its next arrival, with the number of attempts that were made.
        #expect(rig.arrive(3, deliveries: 9, unattempted: 3).contains(.deadLetter(3, .retriesExhausted, attempts: 5)))
    }

    @Test func aCrashDuringTheLastAttemptEndsAsADeadLetterWithoutAnother() {
        var rig = Self.running()
        #expect(rig.arrive(1, deliveries: 6).contains(.deadLetter(1, .retriesExhausted, attempts: 5)))
        #expect(rig.feed(.deadLettered(sequence: 1, stored: true)).contains(.acknowledge(1)))
        #expect(rig.machine.counters.deadLettered == 0)
        _ = rig.feed(.settled(sequence: 1, confirmed: true))
        #expect(rig.machine.counters.deadLettered(.retriesExhausted) == 1)
    }

    @Test func aRedeliveryOfWhatIsInHandStartsNothingAndCountsForNothing() {
        var rig = Self.running()
        #expect(rig.arrive(1, deliveries: 2).contains(.attempt(sequence: 1, number: 2)))
        #expect(!rig.arrive(1, deliveries: 3).contains { $0.isAttempt })
        #expect(!rig.arrive(1, deliveries: 3).contains { $0.isAttempt })
        let commands = rig.feed(.attempted(sequence: 1, .failed))
        guard case .release(1, _, let unattempted) = commands.first else {
            Issue.record("no release")
            return
        }
        #expect(unattempted == 1)
        _ = rig.feed(.settled(sequence: 1, confirmed: true))
        #expect(rig.arrive(1, deliveries: 4, unattempted: 1).contains(.attempt(sequence: 1, number: 3)))
    }

    @Test func aRedeliveryWhileAnAckIsUnconfirmedIsAcknowledgedAgain() {
        var rig = Self.running()
        _ = rig.arrive(1)
        _ = rig.feed(.attempted(sequence: 1, .status(204)))
        #expect(!rig.arrive(1, deliveries: 2).contains(.acknowledge(1)))
        _ = rig.feed(.settled(sequence: 1, confirmed: false))
        #expect(rig.arrive(1, deliveries: 3).contains(.acknowledge(1)))
    }

    @Test func slowWorkIsExtendedAtLeastEveryThird() {
        var rig = Self.running()
        _ = rig.arrive(1)
        for _ in 0..<100 { #expect(rig.pass(10 * second).contains(.extend(1))) }
        #expect(rig.feed(.attempted(sequence: 1, .completed)).contains(.acknowledge(1)))
    }

    @Test func goneDisablesAndGivesBackWhatWaits() {
        var rig = Self.running()
        for sequence in 1...UInt64(6) { _ = rig.arrive(sequence) }
        #expect(rig.machine.inFlight == 4)
        let commands = rig.feed(.attempted(sequence: 1, .status(410)))
        #expect(commands.contains(.disable(.gone)))
        #expect(commands.contains(.release(5, delay: .zero, unattempted: 1)))
        #expect(commands.contains(.release(6, delay: .zero, unattempted: 1)))
        #expect(commands.contains(.deadLetter(1, .gone, attempts: 1)))
        #expect(rig.feed(.attempted(sequence: 2, .status(410))).contains(.deadLetter(2, .gone, attempts: 1)))
        _ = rig.feed(.deadLettered(sequence: 1, stored: true))
        #expect(rig.feed(.start).contains { $0.isPull })
    }

    @Test func daysWithoutOneSuccessDisable() {
        var rig = Self.running()
        var disabledAt: Int64?
        for sequence in 1...UInt64(200) where disabledAt == nil {
            _ = rig.arrive(sequence)
            if rig.feed(.attempted(sequence: sequence, .failed)).contains(.disable(.noSuccess)) { disabledAt = rig.now }
            _ = rig.feed(.settled(sequence: sequence, confirmed: true))
            rig.now += 3600 * second
        }
        #expect(disabledAt == 120 * 3600 * second)
    }

    @Test func anOpenBreakerPullsNothingAndCostsNoAttempts() {
        var rig = Self.running(DeliveryPolicy(maxInFlight: 20))
        for sequence in 1...UInt64(20) { _ = rig.arrive(sequence) }
        for sequence in 1...UInt64(10) { _ = rig.feed(.attempted(sequence: sequence, .failed)) }
        #expect(rig.machine.breakerState == .open(until: 30 * second))
        #expect(!rig.arrive(21).contains { $0.isAttempt })
        var commands = rig.pass(29 * second)
        #expect(commands.contains(.extend(21)))
        #expect(!commands.contains { $0.isPull })
        commands = rig.pass(2 * second)
        #expect(commands.contains(.breaker(.halfOpen)))
        #expect(commands.contains(.attempt(sequence: 21, number: 1)))
        commands = rig.feed(.attempted(sequence: 21, .status(200)))
        #expect(commands.contains(.breaker(.closed)))
    }

    @Test func pauseDuringHalfOpenAndResumeStartAfresh() {
        var rig = Self.running(DeliveryPolicy(maxInFlight: 20))
        for sequence in 1...UInt64(12) { _ = rig.arrive(sequence) }
        for sequence in 1...UInt64(10) { _ = rig.feed(.attempted(sequence: sequence, .failed)) }
        _ = rig.arrive(30)
        _ = rig.pass(31 * second)
        #expect(rig.machine.breakerState == .halfOpen)
        _ = rig.feed(.pause)
        _ = rig.feed(.attempted(sequence: 30, .failed))
        #expect(rig.machine.breakerState != .halfOpen)
        #expect(rig.feed(.resume).contains(.breaker(.closed)))
    }

    @Test func theLostConnectionInEveryState() {
        var rig = Self.running()
        for sequence in 1...UInt64(6) { _ = rig.arrive(sequence) }  // 1–4 run, 5 and 6 wait
        _ = rig.feed(.attempted(sequence: 1, .status(200)))  // 1 is being settled, 5 runs
        _ = rig.feed(.attempted(sequence: 2, .status(400)))  // 2 is being stored, 6 runs
        _ = rig.arrive(7)
        #expect(rig.feed(.connectionLost) == [])
        #expect(rig.feed(.settled(sequence: 1, confirmed: false)) == [])
        #expect(rig.feed(.deadLettered(sequence: 2, stored: false)) == [])
        #expect(rig.feed(.attempted(sequence: 3, .status(200))) == [])
        #expect(rig.feed(.attempted(sequence: 4, .failed)) == [])
        #expect(rig.pass(5 * second) == [])
        let commands = rig.feed(.connected)
        #expect(commands.contains(.acknowledge(1)))
        #expect(commands.contains(.deadLetter(2, .rejected, attempts: 1)))
        #expect(commands.contains(.acknowledge(3)))
        #expect(commands.contains { $0.isRelease })
        #expect(commands.contains(.extend(5)))
        #expect(commands.contains(.attempt(sequence: 7, number: 1)))
    }

    @Test func whatWaitedLongerThanTheServerIsNotTried() {
        var rig = Self.running()
        for sequence in 1...UInt64(5) { _ = rig.arrive(sequence) }
        _ = rig.feed(.connectionLost)
        #expect(rig.pass(60 * second) == [.lapsed(5, unattempted: 1)])
        #expect(rig.machine.nextWake == .max)
        // A process that was stopped finds the same.
        var stopped = Self.running()
        for sequence in 1...UInt64(5) { _ = stopped.arrive(sequence) }
        stopped.now += 3600 * second
        let commands = stopped.feed(.attempted(sequence: 1, .status(200)))
        #expect(commands.contains(.lapsed(5, unattempted: 1)))
        #expect(commands.contains(.acknowledge(1)))
    }

    @Test func aLoweredLimitAppliesToWhatWaits() {
        var rig = Self.running()
        for sequence in 1...UInt64(5) { _ = rig.arrive(sequence, deliveries: 4) }
        _ = rig.feed(.change(DeliveryPolicy(maxAttempts: 3, maxInFlight: 1, breaker: nil)))
        #expect(rig.feed(.attempted(sequence: 1, .failed)).contains(.deadLetter(1, .retriesExhausted, attempts: 4)))
        #expect(rig.machine.inFlight == 3)
        #expect(rig.machine.inHand == 5)
    }

    @Test func drainFinishesWhatRunsAndGivesBackTheRest() {
        var rig = Self.running()
        for sequence in 1...UInt64(5) { _ = rig.arrive(sequence) }
        #expect(rig.feed(.drain) == [.release(5, delay: .zero, unattempted: 1)])
        #expect(rig.arrive(6) == [.release(6, delay: .zero, unattempted: 1)])
        #expect(rig.feed(.start) == [])
        for sequence in 1...UInt64(4) { #expect(rig.feed(.attempted(sequence: sequence, .status(200))).count == 1) }
        for sequence in 1...UInt64(6) { _ = rig.feed(.settled(sequence: sequence, confirmed: true)) }
        #expect(rig.machine.isIdle)
        #expect(rig.machine.nextWake == .max)
    }

    @Test func whatCanNeverBeTriedEnds() {
        var rig = Self.running(DeliveryPolicy(maxAttempts: 1, maxInFlight: 1, breaker: nil))
        var tries = 0
        var commands = rig.arrive(1)
        while commands.contains(.attempt(sequence: 1, number: 1)), tries < 50 {
            tries += 1
            commands = rig.feed(.attempted(sequence: 1, .notTried)) + rig.pass(6 * second)
        }
        #expect(tries == 10)
        #expect(commands.contains(.deadLetter(1, .retriesExhausted, attempts: 1)))
    }

    @Test func aServerThatRefusesPullsIsNotFlooded() {
        var rig = Self.running()
        var pulls: UInt32 = 1
        for _ in 0..<1000 {
            rig.now += 5_000_000
            for case .pull(let id, _) in rig.feed(.pullEnded(pulls)) { pulls = id }
            for case .pull(let id, _) in rig.feed(.wake) { pulls = id }
        }
        #expect(pulls < 12)
        #expect(pulls > 3)
    }

    @Test(arguments: [Int64.min, -1, Int64.max - 1, Int64.max]) func theEndsOfTheClockAreNoTrap(now: Int64) {
        var rig = Self.running(DeliveryPolicy(maxInFlight: 2, ratePerMinute: 6), at: now)
        for sequence in 1...UInt64(4) { _ = rig.arrive(sequence) }
        _ = rig.feed(.attempted(sequence: 1, .answered(status: 503, retryAfter: .seconds(Int64.max))))
        _ = rig.feed(.settled(sequence: 1, confirmed: false))
        rig.now = 0
        _ = rig.feed(.wake)
        rig.now = .max
        _ = rig.feed(.wake)
        _ = rig.feed(.connectionLost)
        _ = rig.feed(.connected)
        #expect(rig.machine.inFlight <= 2)
    }

    @Test func strangeInputsAreIgnored() {
        var rig = Self.running()
        #expect(rig.feed(.attempted(sequence: 9, .status(200))) == [])
        #expect(rig.feed(.settled(sequence: 9, confirmed: true)) == [])
        #expect(rig.feed(.deadLettered(sequence: 9, stored: true)) == [])
        _ = rig.arrive(1)
        #expect(rig.feed(.settled(sequence: 1, confirmed: true)) == [])
        #expect(rig.feed(.deadLettered(sequence: 1, stored: true)) == [])
        #expect(rig.machine.inFlight == 1)
    }
}
