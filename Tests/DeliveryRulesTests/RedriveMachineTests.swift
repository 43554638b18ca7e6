import DeliveryRules
import Testing

/// redriving, through any number of ends at any moment.
@Suite struct RedriveMachineTests {
    /// The dead-letter stream and the event stream as a redrive sees them.
    struct World {
        var letters: [UInt64: Int] = [:]
        var ids: Set<String> = []
        var storedOnce: [UInt64: Int] = [:]
        var now: Int64 = 0
        var publishTimes: [Int64] = []

        /// Runs until it is over or `steps` commands were done; the report if it is over.
        mutating func run(
            _ plan: RedriveMachine.Plan,
            dice: inout Dice,
            failing: Int,
            steps: Int
        ) -> RedriveMachine.Report? {
            var machine = RedriveMachine(plan)
            var commands: [RedriveMachine.Command] = []
            var todo = 0
            var after: UInt64 = 0
            machine.handle(.start, now: now, into: &commands)
            for _ in 0..<steps {
                if todo == commands.count {
                    guard machine.nextWake < .max else { return nil }
                    now = max(now, machine.nextWake)
                    machine.handle(.wake, now: now, into: &commands)
                    continue
                }
                let command = commands[todo]
                todo += 1
                switch command {
                case .finished(let report): return report
                case .more:
                    let page = letters.keys.filter { $0 > after }.sorted().prefix(10)
                    for sequence in page {
                        after = sequence
                        machine.handle(
                            .found(sequence: sequence, redriveCount: letters[sequence] ?? 0),
                            now: now,
                            into: &commands
                        )
                    }
                    machine.handle(.pageEnded(isLast: page.count < 10), now: now, into: &commands)
                case .publish(let sequence, let count):
                    publishTimes.append(now)
                    let outcome = publish(sequence, count, dice.percent(failing), dice.percent(50))
                    machine.handle(.published(sequence: sequence, outcome), now: now, into: &commands)
                case .remove(let sequence):
                    let isDone = !dice.percent(failing)
                    if isDone { letters[sequence] = nil }
                    machine.handle(.removed(sequence: sequence, isDone), now: now, into: &commands)
                }
            }
            return nil
        }

        /// Stores with the stream's dedup; a failure may have been stored all the same.
        private mutating func publish(
            _ sequence: UInt64,
            _ count: Int,
            _ fails: Bool,
            _ isStored: Bool
        ) -> RedriveMachine.Published {
            if fails, !isStored { return .failed }
            let id = RedriveMachine.messageID(stream: "D", sequence: sequence, redriveCount: count)
            if ids.insert(id).inserted { storedOnce[sequence, default: 0] += 1 }
            return fails ? .failed : .stored
        }
    }

    @Test func allIsRedrivenOnceThroughFailuresAndEnds() {
        for seed in 0..<UInt64(500) {
            var dice = Dice(seed: seed)
            var world = World()
            let count = 1 + dice.below(300)
            for sequence in 1...UInt64(count) { world.letters[sequence] = 0 }
            // Ended at any moment, and started again.
            for _ in 0..<dice.below(6) {
                _ = world.run(.init(), dice: &dice, failing: 20, steps: dice.below(2 * count))
            }
            let left = world.letters.count
            let report = world.run(.init(), dice: &dice, failing: 0, steps: 100_000)
            #expect(report?.matched == left && report?.redriven == left && report?.failed == 0, "seed \(seed)")
            #expect(world.letters.isEmpty)
            #expect(world.storedOnce.count == count && world.storedOnce.values.allSatisfy { $0 == 1 }, "seed \(seed)")
        }
    }

    @Test func whatFailsStaysAndIsCounted() {
        var dice = Dice(seed: 1)
        var world = World()
        for sequence in 1...UInt64(40) { world.letters[sequence] = 0 }
        let report = world.run(.init(), dice: &dice, failing: 100, steps: 100_000)
        #expect(report?.failed == 40 && report?.redriven == 0 && report?.matched == 40)
        #expect(world.letters.count == 40)
    }

    @Test func theLoopGuardTheLimitAndTheDryRun() {
        var dice = Dice(seed: 1)
        var world = World()
        for sequence in 1...UInt64(40) { world.letters[sequence] = Int(sequence % 4) }
        let dry = world.run(.init(isDryRun: true), dice: &dice, failing: 0, steps: 10_000)
        #expect(dry == report(matched: 40) && world.publishTimes.isEmpty)
        let guarded = world.run(.init(limit: 25, maxRedrives: 3), dice: &dice, failing: 0, steps: 10_000)
        #expect(guarded?.matched == 25 && guarded?.redriven == 19 && guarded?.failed == 6)
        #expect(world.letters.count == 21)
    }

    private func report(matched: Int) -> RedriveMachine.Report? {
        var machine = RedriveMachine(.init(isDryRun: true))
        var commands: [RedriveMachine.Command] = []
        for sequence in 0..<matched {
            machine.handle(.found(sequence: UInt64(sequence), redriveCount: 0), now: 0, into: &commands)
        }
        return machine.report
    }

    @Test func theRateIsKept() {
        var dice = Dice(seed: 1)
        var world = World()
        for sequence in 1...UInt64(100) { world.letters[sequence] = 0 }
        _ = world.run(.init(ratePerSecond: 10), dice: &dice, failing: 0, steps: 100_000)
        #expect(world.publishTimes.count == 100)
        for (index, time) in world.publishTimes.enumerated() where index >= 10 {
            #expect(time - world.publishTimes[index - 10] >= second)
        }
    }

    @Test func stopFinishesWhatIsUnderWay() {
        var machine = RedriveMachine(.init())
        var commands: [RedriveMachine.Command] = []
        machine.handle(.start, now: 0, into: &commands)
        for sequence in 1...UInt64(100) {
            machine.handle(.found(sequence: sequence, redriveCount: 0), now: 0, into: &commands)
        }
        machine.handle(.stop, now: 0, into: &commands)
        machine.handle(.pageEnded(isLast: false), now: 0, into: &commands)
        var todo = 0
        while todo < commands.count {
            switch commands[todo] {
            case .publish(let sequence, _):
                machine.handle(.published(sequence: sequence, .stored), now: 0, into: &commands)
            case .remove(let sequence): machine.handle(.removed(sequence: sequence, true), now: 0, into: &commands)
            default: break
            }
            todo += 1
        }
        #expect(machine.report.redriven == 64 && machine.report.failed == 36 && machine.report.matched == 100)
        #expect(commands.last == .finished(machine.report))
    }
}
