import DeliveryRules
import Testing

@Suite struct LockMachineTests {
    struct LockRig {
        var machine: LockMachine
        var now: Int64 = 0

        init(_ policy: DeliveryPolicy = DeliveryPolicy()) {
            machine = LockMachine(policy: policy, seed: 3)
            _ = feed(.start)
        }

        mutating func feed(_ input: LockMachine.Input) -> [LockMachine.Command] {
            var commands: [LockMachine.Command] = []
            machine.handle(input, now: now, into: &commands)
            return commands
        }

        mutating func arrive(_ sequence: UInt64, deliveries: Int = 1, pull: UInt32 = 1) -> [LockMachine.Command] {
            feed(.arrived(Arrival(sequence: sequence, deliveries: deliveries, pull: pull), isLast: false))
        }

        /// One event in a client's hands.
        mutating func locked() throws -> LockMachine.Lock {
            _ = feed(.receive(waiter: 1, max: 1, until: now + second))
            let commands = arrive(7)
            guard case .hand(1, let events) = commands.first, let event = events.first else { throw NothingHanded() }
            return event.lock
        }
    }

    struct NothingHanded: Error {}

    @Test func aBatchIsHandedOutWhole() {
        var rig = LockRig()
        #expect(rig.feed(.receive(waiter: 1, max: 3, until: 9 * second)) == [.pull(id: 1, count: 3, .now)])
        #expect(rig.arrive(1) == [])
        #expect(rig.arrive(2) == [])
        guard case .hand(1, let events) = rig.arrive(3).first else {
            Issue.record("nothing handed")
            return
        }
        #expect(events.map(\.lock.sequence) == [1, 2, 3])
    }

    @Test func whatIsThereIsAnsweredAtOnceAndOnlyThenOnePullWaits() {
        var rig = LockRig(DeliveryPolicy(maxInFlight: 1000))
        _ = rig.feed(.receive(waiter: 1, max: 100, until: 60 * second))
        #expect(rig.feed(.pullEnded(1)) == [.pull(id: 2, count: 1, .waiting(until: 30 * second))])
        rig.now = second
        // The bell rings: what lies behind it is fetched before the client is answered.
        #expect(rig.arrive(1, pull: 2) == [.pull(id: 3, count: 99, .now)])
        #expect(rig.arrive(2, pull: 3) == [])
        guard case .hand(1, let events) = rig.feed(.pullEnded(3)).first else {
            Issue.record("nothing handed")
            return
        }
        #expect(events.count == 2)
        #expect(rig.machine.nextWake < .max)
    }

    /// a client that goes away leaves at most one delivery to give back.
    @Test func aClientThatVanishedGetsNothing() {
        var rig = LockRig()
        _ = rig.feed(.receive(waiter: 1, max: 5, until: 60 * second))
        _ = rig.arrive(1)
        #expect(rig.feed(.gone(waiter: 1)) == [.release(1, delay: .zero, unattempted: 1)])
        #expect(rig.arrive(2) == [.release(2, delay: .zero, unattempted: 1)])
        #expect(rig.machine.waiting == 0)
    }

    @Test func timeIsOverWithNothing() {
        var rig = LockRig()
        _ = rig.feed(.receive(waiter: 1, max: 5, until: second))
        _ = rig.feed(.pullEnded(1))
        rig.now = second
        #expect(rig.feed(.wake).contains(.hand(waiter: 1, [])))
    }

    @Test func successIsToldWhenTheServerConfirmed() throws {
        var rig = LockRig()
        let lock = try rig.locked()
        #expect(rig.feed(.acknowledge(lock, call: 1)) == [.acknowledge(7)])
        #expect(rig.feed(.acknowledge(lock, call: 2)) == [.answer(call: 2, .failed)])
        let answers = rig.feed(.settled(sequence: 7, confirmed: true))
        #expect(answers == [.answer(call: 1, .succeeded(lockedUntil: nil)), .forget(7, settled: true)])
        #expect(rig.feed(.acknowledge(lock, call: 3)) == [.answer(call: 3, .lost)])
        #expect(rig.machine.counters.delivered == 1)
    }

    @Test func anUnconfirmedAcknowledgementMayBeRepeatedAReleaseMayNot() throws {
        var rig = LockRig()
        let lock = try rig.locked()
        _ = rig.feed(.acknowledge(lock, call: 1))
        #expect(rig.feed(.settled(sequence: 7, confirmed: false)) == [.answer(call: 1, .failed)])
        #expect(rig.feed(.acknowledge(lock, call: 2)) == [.acknowledge(7)])
        _ = rig.feed(.settled(sequence: 7, confirmed: false))
        #expect(rig.feed(.release(lock, delay: .zero, call: 3)) == [.release(7, delay: .zero, unattempted: nil)])
        _ = rig.feed(.settled(sequence: 7, confirmed: false))
        #expect(rig.feed(.acknowledge(lock, call: 4)) == [.answer(call: 4, .lost)])
    }

    /// a lock ends before the server delivers again, and an old one settles nothing.
    @Test func staleLocksSettleNothing() throws {
        var rig = LockRig()
        let old = try rig.locked()
        rig.now = 28 * second
        #expect(rig.feed(.wake).contains(.forget(7, settled: false)))
        #expect(rig.feed(.acknowledge(old, call: 1)) == [.answer(call: 1, .lost)])
        _ = rig.feed(.receive(waiter: 2, max: 1, until: 60 * second))
        _ = rig.arrive(7, deliveries: 2, pull: 2)
        for (call, input) in [
            LockMachine.Input.acknowledge(old, call: 0), .release(old, delay: .zero, call: 1), .reject(old, call: 2),
            .renew(old, call: 3),
        ].enumerated() {
            #expect(rig.feed(input) == [.answer(call: UInt64(call), .lost)])
        }
    }

    @Test func aRenewedLockLastsLonger() throws {
        var rig = LockRig()
        let lock = try rig.locked()
        rig.now = 20 * second
        #expect(rig.feed(.renew(lock, call: 1)) == [.renew(7, call: 1)])
        let answer = rig.feed(.renewed(call: 1, confirmed: true))
        #expect(answer == [.answer(call: 1, .succeeded(lockedUntil: 48 * second))])
        rig.now = 47 * second
        #expect(rig.feed(.acknowledge(lock, call: 2)) == [.acknowledge(7)])
    }

    @Test func aRejectedEventIsStoredBeforeItIsSettled() throws {
        var rig = LockRig()
        let lock = try rig.locked()
        #expect(rig.feed(.reject(lock, call: 1)).contains(.deadLetter(7, .rejected, attempts: 1)))
        #expect(rig.feed(.deadLettered(sequence: 7, stored: false)) == [.answer(call: 1, .failed)])
        _ = rig.feed(.reject(lock, call: 2))
        #expect(rig.feed(.deadLettered(sequence: 7, stored: true)) == [.acknowledge(7)])
        let answers = rig.feed(.settled(sequence: 7, confirmed: true))
        #expect(answers == [.answer(call: 2, .succeeded(lockedUntil: nil)), .forget(7, settled: true)])
        #expect(rig.machine.counters.deadLettered(.rejected) == 1)
    }

    @Test func pauseAnswersWhoWaitsAndKeepsLocks() throws {
        var rig = LockRig()
        let lock = try rig.locked()
        _ = rig.feed(.receive(waiter: 2, max: 1, until: 60 * second))
        #expect(rig.feed(.pause) == [.hand(waiter: 2, [])])
        #expect(rig.feed(.receive(waiter: 3, max: 1, until: 60 * second)) == [.hand(waiter: 3, [])])
        #expect(rig.feed(.acknowledge(lock, call: 1)) == [.acknowledge(7)])
    }

    @Test func withoutAConnectionNothingIsKnown() throws {
        var rig = LockRig()
        let lock = try rig.locked()
        _ = rig.feed(.connectionLost)
        #expect(rig.feed(.acknowledge(lock, call: 1)) == [.answer(call: 1, .failed)])
        #expect(rig.feed(.renew(lock, call: 2)) == [.answer(call: 2, .failed)])
        _ = rig.feed(.connected)
        #expect(rig.feed(.acknowledge(lock, call: 3)) == [.acknowledge(7)])
    }

    @Test func tooManyDeliveriesAreADeadLetter() {
        var rig = LockRig()
        _ = rig.feed(.receive(waiter: 1, max: 1, until: second))
        #expect(rig.arrive(1, deliveries: 6).contains(.deadLetter(1, .retriesExhausted, attempts: 5)))
    }
}
