import DeliveryRules

/// One replica of a ``PushSimulation``: a machine and what its driver remembers.
struct PushReplica {
    var machine: DeliveryMachine
    var isAlive = true
    var isConnected = true
    /// What the machine was told of it.
    var knowsConnection = true
    var isDraining = false
    /// Changes with each life and with each connection, so that what belongs to an old one is known.
    var life = 0
    var connection = 0
    /// Stopped until then: what comes waits.
    var frozenUntil: Int64 = .min
    /// Messages keep their order on a connection.
    var lastToServer: Int64 = .min
    var lastFromServer: Int64 = .min
    var wakeAt: Int64 = .max
    /// By sequence: what the driver holds, and which of its commands wait for an answer.
    var held: [Bool]
    var attempting: [Bool]
    var storing: [Bool]
    var settling: [Int]
    /// The number of the attempt that runs, and how long its failure has to wait at least.
    var number: [Int]
    var leastDelay: [Int64]
    /// No attempt of an event before its time.
    var notBefore: [Int64]
    // What the oracle expects of the machine.
    var running = 0
    var allowance = 0
    var quietUntil: Int64 = .min
    var breaker: CircuitBreaker.State = .closed
    var probes = 0
    var attemptTimes: [Int64] = []

    init(policy: DeliveryPolicy, seed: UInt64, messages: Int) {
        machine = DeliveryMachine(policy: policy, seed: seed)
        held = Array(repeating: false, count: messages + 1)
        attempting = held
        storing = held
        settling = Array(repeating: 0, count: messages + 1)
        number = settling
        leastDelay = Array(repeating: 0, count: messages + 1)
        notBefore = Array(repeating: .min, count: messages + 1)
        allowance = policy.maxInFlight
    }
}
