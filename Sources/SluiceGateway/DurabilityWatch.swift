import EventBus
import JetStream
import Logging
import NIOCore

/// What the operator says of the durability of an acknowledged event.
public enum DurabilityClaim: String, Sendable, CaseIterable {
    /// Found out from the servers' monitoring; `process` without evidence.
    case auto
    /// It survives the death of processes.
    case process
    /// It survives a power cut: every server syncs before it acknowledges. The operator vouches for it.
    case fsync
}

/// What an acknowledged event survives, and how that is known.
struct Durability: Sendable, Equatable {
    let isSynced: Bool
    /// A sentence.
    let evidence: String

    /// The name in `/health`.
    var name: String { isSynced ? "fsync" : "process" }
}

/// Knows whether `fsync` may be claimed (R-03), and looks again every half minute and with each new connection.
///
/// Evidence is that every server's monitoring reports `sync_interval: always`, that all of them are 2.10 or later, and
/// that the connected server is one of them. Where one of these cannot be seen, nothing is claimed.
final class DurabilityWatch: Sendable {
    private let bus: EventBus
    private let claim: DurabilityClaim
    private let monitors: [MonitorAddress]
    private let logger: Logger
    private let state = Locked(Durability(isSynced: false, evidence: "not looked at yet"))

    private static let period = 30

    init(bus: EventBus, claim: DurabilityClaim, monitors: [MonitorAddress], logger: Logger) {
        self.bus = bus
        self.claim = claim
        self.monitors = monitors
        self.logger = logger
    }

    /// As of the last look; for the server that is connected now.
    var current: Durability {
        let seen = state.withLock { $0 }
        guard seen.isSynced, bus.client.serverInfo == nil else { return seen }
        return Durability(isSynced: false, evidence: "NATS is not connected")
    }

    /// Looks until the task is cancelled.
    func run(on group: any EventLoopGroup) async {
        var server: String?
        var pause = 0
        while !Task.isCancelled {
            let connected = bus.client.serverInfo
            if pause <= 0 || connected?.serverID != server {
                server = connected?.serverID
                pause = Self.period
                note(await look(connected, group))
            }
            pause -= 1
            try? await Task.sleep(for: .seconds(1))
        }
    }

    private func note(_ new: Durability) {
        let old = state.withLock { state in
            defer { state = new }
            return state
        }
        guard old != new else { return }
        let level: Logger.Level = old.isSynced && !new.isSynced ? .warning : .info
        logger.log(level: level, "durability", metadata: ["durability": "\(new.name)", "evidence": "\(new.evidence)"])
    }

    private func look(_ server: ServerInfo?, _ group: any EventLoopGroup) async -> Durability {
        func process(_ evidence: String) -> Durability { Durability(isSynced: false, evidence: evidence) }
        if claim == .process { return process("configured (DURABILITY=process)") }
        guard let server else { return process("NATS is not connected") }
        guard canSyncAlways(version: server.version) else {
            if claim == .fsync {
                logger.error(
                    "DURABILITY=fsync is refused: this nats-server cannot sync before it acknowledges",
                    metadata: ["version": "\(server.version)", "needed": "2.10"]
                )
            }
            return process("nats-server \(server.version) cannot sync before it acknowledges")
        }
        if claim == .fsync {
            return Durability(isSynced: true, evidence: "asserted by the operator (DURABILITY=fsync)")
        }
        if monitors.isEmpty { return process("not known: NATS_MONITOR_URL is not set") }
        var connectedIsListed = false
        for monitor in monitors {
            guard let report = await monitor.report(on: group) else {
                return process("the monitoring at \(monitor) does not answer")
            }
            guard report.syncsAlways else { return process("the server at \(monitor) does not sync always") }
            guard canSyncAlways(version: report.version) else {
                return process("the server at \(monitor) is \(report.version)")
            }
            if report.serverID == server.serverID { connectedIsListed = true }
        }
        guard connectedIsListed else { return process("the connected server is none of NATS_MONITOR_URL") }
        let count = monitors.count
        return Durability(
            isSynced: true,
            evidence:
                "sync_interval is always on \(count == 1 ? "the server" : "all \(count) servers") of NATS_MONITOR_URL"
        )
    }
}
