/// Decides when a silent server is probed, called stalled, and given up.
///
/// Pure: time comes from outside. Any bytes from the server are a sign of life, and so are bytes of ours that the socket takes while others wait.
package struct Liveness {
    package enum Advice: Equatable {
        case fine, probe, stalled, dead
    }

    private let probeInterval: Nanoseconds
    private let stallNotice: Nanoseconds
    private let stallTimeout: Nanoseconds
    private var heard: Nanoseconds = 0
    private var probed: Nanoseconds?
    /// Since when bytes wait that the socket does not take.
    private var blockedSince: Nanoseconds?
    package private(set) var isStalled = false

    package init(configuration: JetStreamConfiguration) {
        probeInterval = max(configuration.probeInterval.nanoseconds, 10_000_000)
        stallNotice = max(configuration.stallNotice.nanoseconds, probeInterval + 10_000_000)
        stallTimeout = max(configuration.stallTimeout.nanoseconds, stallNotice + 10_000_000)
    }

    package mutating func start(now: Int64) {
        heard = now
        probed = nil
        blockedSince = nil
        isStalled = false
    }

    package mutating func noteHeard(now: Int64) {
        heard = now
        probed = nil
        if blockedSince == nil { isStalled = false }
    }

    package mutating func noteWrite(progressed: Bool, unwritten: UInt64, now: Int64) {
        if unwritten == 0 {
            blockedSince = nil
        } else if progressed || blockedSince == nil {
            blockedSince = now
        }
    }

    /// Silence is counted from here: the last sign of life, or the start of the blockade if that is older.
    private var silentSince: Nanoseconds { min(heard, blockedSince ?? heard) }

    /// Silence before the probe counts no longer than a probe is waited for: the rest was our own pause.
    private var countedSince: Nanoseconds { max(silentSince, probed.map { $0 - probeInterval } ?? silentSince) }

    package var nextCheck: Int64 {
        if isStalled { return countedSince + stallTimeout }
        if probed == nil { return min(heard + probeInterval, blockedSince.map { $0 + stallNotice } ?? .max) }
        return countedSince + stallNotice
    }

    package mutating func check(now: Int64) -> Advice {
        let silence = now - countedSince
        if isStalled { return silence >= stallTimeout ? .dead : .fine }
        if silence >= stallNotice, probed != nil || blockedSince != nil {
            isStalled = true
            return .stalled
        }
        if probed == nil, now - heard >= probeInterval {
            probed = now
            return .probe
        }
        return .fine
    }
}
