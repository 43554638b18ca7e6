import Foundation
import ServerFixtures

/// A seeded generator: a run of faults is printed with its seed and can be made again.
struct FaultRandom: RandomNumberGenerator {
    private var source: SeededGenerator

    init(seed: UInt64) { source = SeededGenerator(seed: seed) }

    /// A generator for one thing of a run, the same whenever it is asked for.
    init(seed: UInt64, of name: String, _ number: Int = 0) {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        self.init(seed: seed ^ hash ^ (UInt64(truncatingIfNeeded: number) &* 0x9E37_79B9_7F4A_7C15))
    }

    mutating func next() -> UInt64 { source.next() }

    /// What the run is made with: `SLUICE_FAULT_SEED`, or chance.
    static func chosenSeed() -> UInt64 {
        ProcessInfo.processInfo.environment["SLUICE_FAULT_SEED"].flatMap { UInt64($0) } ?? .random(in: 0 ... .max)
    }

    /// How many times larger than usual the runs are: `SLUICE_FAULT_SCALE`.
    static let scale = ProcessInfo.processInfo.environment["SLUICE_FAULT_SCALE"].flatMap { Int($0) } ?? 1
}
