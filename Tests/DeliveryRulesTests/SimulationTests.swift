import DeliveryRules
import Foundation
import Testing

/// Runs seeds through a simulation; a failure prints the seed and what led to it.
enum SeededRuns {
    /// `SLUICE_SIMULATION_SEEDS`: how many seeds; `SLUICE_SIMULATION_SEED`: one seed, with its trace.
    static let count = ProcessInfo.processInfo.environment["SLUICE_SIMULATION_SEEDS"].flatMap(UInt64.init) ?? 100_000
    static let single = ProcessInfo.processInfo.environment["SLUICE_SIMULATION_SEED"].flatMap(UInt64.init)

    /// Calls `run` for every seed on two tasks and returns those that failed, at most a few.
    static func failures(share: Double, _ run: @escaping @Sendable (UInt64) -> String?) async -> [(UInt64, String)] {
        if let single { return run(single).map { [(single, $0)] } ?? [] }
        let total = max(1, UInt64(Double(count) * share))
        return await withTaskGroup(of: [(UInt64, String)].self) { group in
            for part in 0..<2 {
                group.addTask {
                    var failures: [(UInt64, String)] = []
                    var seed = UInt64(part)
                    while seed < total, failures.count < 3 {
                        if let failure = run(seed) { failures.append((seed, failure)) }
                        seed += 2
                    }
                    return failures
                }
            }
            return await group.reduce(into: []) { $0 += $1 }
        }
    }
}

@Suite struct SimulationTests {
    @Test func pushedEventsAreConserved() async {
        let failures = await SeededRuns.failures(share: 0.6) { seed in
            var simulation = PushSimulation(seed: seed, traced: SeededRuns.single != nil)
            return simulation.run()
        }
        for (seed, failure) in failures {
            var simulation = PushSimulation(seed: seed, traced: true)
            _ = simulation.run()
            let trace = (simulation.trace ?? []).suffix(SeededRuns.single == nil ? 60 : 3000).joined(separator: "\n")
            Issue.record("push, seed \(seed): \(failure)\n\(simulation.scenario.policy)\n\(trace)")
        }
    }

    @Test func lockedEventsAreConserved() async {
        let failures = await SeededRuns.failures(share: 0.4) { seed in
            var simulation = LockSimulation(seed: seed)
            return simulation.run()
        }
        for (seed, failure) in failures {
            var simulation = LockSimulation(seed: seed, traced: true)
            _ = simulation.run()
            let trace = (simulation.trace ?? []).suffix(SeededRuns.single == nil ? 60 : 3000).joined(separator: "\n")
            Issue.record("locks, seed \(seed): \(failure)\n\(simulation.policy)\n\(trace)")
        }
    }
}
