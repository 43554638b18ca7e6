import DeliveryRules

/// A machine with its own clock, for tests of one rule.
struct Rig {
    var machine: DeliveryMachine
    var now: Int64

    init(_ policy: DeliveryPolicy, at now: Int64 = 0) {
        machine = DeliveryMachine(policy: policy, seed: 7)
        self.now = now
    }

    /// Feeds an input and returns the commands.
    mutating func feed(_ input: DeliveryMachine.Input) -> [DeliveryMachine.Command] {
        var commands: [DeliveryMachine.Command] = []
        machine.handle(input, now: now, into: &commands)
        return commands
    }

    /// A delivery of an event.
    mutating func arrive(
        _ sequence: UInt64,
        deliveries: Int = 1,
        unattempted: Int = 0,
        kind: Arrival.Kind = .event,
        pull: UInt32 = 1
    ) -> [DeliveryMachine.Command] {
        feed(
            .arrived(
                Arrival(
                    sequence: sequence,
                    deliveries: deliveries,
                    unattempted: unattempted,
                    kind: kind,
                    pull: pull
                )
            )
        )
    }

    /// Lets time pass, waking the machine whenever it asks for it.
    mutating func pass(_ span: Int64) -> [DeliveryMachine.Command] {
        let end = now + span
        var commands: [DeliveryMachine.Command] = []
        while machine.nextWake <= end {
            now = max(now, machine.nextWake)
            machine.handle(.wake, now: now, into: &commands)
        }
        now = end
        machine.handle(.wake, now: now, into: &commands)
        return commands
    }
}

extension AttemptResult {
    static func status(_ status: Int) -> AttemptResult { .answered(status: status, retryAfter: nil) }
}

extension DeliveryMachine.Command {
    var isAttempt: Bool {
        if case .attempt = self { return true }
        return false
    }

    var isPull: Bool {
        if case .pull = self { return true }
        return false
    }

    var isRelease: Bool {
        if case .release = self { return true }
        return false
    }
}
