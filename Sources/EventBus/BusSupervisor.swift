import JetStream

/// Keeps the streams as planned and knows whether publishing works.
///
/// Each second: a canary is published and must be acknowledged. Every other second, and after each
/// connect, all streams are read back and compared with their plan: a missing one is created, one that differs closes
/// the bus for publishing until it fits, or is updated if the configuration says so.
struct BusSupervisor {
    let bus: EventBus

    private static let period = Duration.seconds(1)
    private static let verifyEvery = 2

    func run() async {
        let clock = ContinuousClock()
        var round = 0
        var wasConnected = false
        while !Task.isCancelled {
            let connected = bus.client.state.isConnected
            if connected {
                if !wasConnected { warnOfOldServer() }
                if !wasConnected || round % Self.verifyEvery == 0 { await verify() }
                await canary()
            }
            if wasConnected && !connected { bus.update { $0.streamsVerified = false } }
            let isReady = bus.status.isReady
            bus.update { $0.readySince = isReady ? $0.readySince ?? .now : nil }
            wasConnected = connected
            round += 1
            await pause(clock, connected: connected)
        }
    }

    /// Warns of what nats-server 2.9 does to acknowledged events; seen on 2.9.10, not on 2.15.
    ///
    /// With a limit of bytes it may let the oldest go where the newest should be refused, for sizes near the limit; a
    /// cluster of it loses some when leaders are killed, stopped or step down, whoever publishes.
    private func warnOfOldServer() {
        let plan = bus.configuration.streams.events
        guard let version = bus.client.serverInfo?.version, version.utf8.starts(with: "2.9.".utf8) else { return }
        if plan.maxBytes > 0 && plan.discard == .new { BusLog.oldServer(version, bus.logger) }
        if plan.replicas > 1 { BusLog.oldCluster(version, bus.logger) }
    }

    /// Waits a period; while disconnected in short steps, so that a new connection is used at once.
    private func pause(_ clock: ContinuousClock, connected: Bool) async {
        let steps = connected ? 1 : 10
        for _ in 0..<steps {
            try? await clock.sleep(for: Self.period / steps)
            if Task.isCancelled || (!connected && bus.client.state.isConnected) { return }
        }
    }

    /// Publishes to this replica's canary subject; the PubAck is what readiness is made of.
    private func canary() async {
        let plan = bus.configuration.streams.canary
        let message = OutboundMessage(
            subject: Subject(prefix: .literal("sluice"), tokens: ["canary", bus.replica]),
            expectedStream: plan.name,
            headers: MessageHeaders(),
            payload: []
        )
        if case .stored = await bus.client.publish(message) {
            bus.update { $0.lastCanary = .now }
        }
    }

    /// Reads every stream back and brings the status up to date.
    private func verify() async {
        var faults: [BusStatus.StreamFault] = []
        var complete = true
        for plan in bus.configuration.streams.all {
            do {
                let (differences, state) = try await settle(plan)
                if !differences.isEmpty {
                    faults.append(BusStatus.StreamFault(stream: plan.name.description, differences: differences))
                }
                if let state { note(state, plan) }
            } catch let error as JetStreamError where error.errorCode != nil {
                faults.append(
                    BusStatus.StreamFault(stream: plan.name.description, differences: ["refused: \(error.description)"])
                )
            } catch {
                // The broker went away while we asked: the next round tells more, this one proves nothing.
                complete = false
            }
        }
        guard complete else { return }
        // No accepted event is in the audit: its faults are told, and stop nobody.
        let audit = bus.configuration.streams.audit?.name.description
        publishVerdict(faults.filter { $0.stream != audit }, audit: faults.filter { $0.stream == audit })
    }

    private func publishVerdict(_ faults: [BusStatus.StreamFault], audit: [BusStatus.StreamFault]) {
        let before = bus.status
        bus.update {
            $0.faults = faults
            $0.auditFaults = audit
            $0.streamsVerified = faults.isEmpty
        }
        for fault in faults where !before.faults.contains(fault) { BusLog.fault(fault, bus.logger) }
        for fault in audit where !before.auditFaults.contains(fault) { BusLog.fault(fault, bus.logger) }
        if faults.isEmpty && !before.streamsVerified { BusLog.verified(bus.logger) }
    }

    private func note(_ state: StreamState, _ plan: StreamConfiguration) {
        let fill = BusStatus.Fill(
            messages: state.messages,
            messagesMax: plan.maxMessages,
            bytes: state.bytes,
            bytesMax: plan.maxBytes
        )
        if plan.name == bus.streamName {
            if fill.share >= 0.8 && (bus.status.fill?.share ?? 0) < 0.8 { BusLog.full(fill.share, bus.logger) }
            bus.update { $0.fill = fill }
        } else if plan.name == bus.configuration.streams.deadLetters.name {
            bus.update { $0.deadLetterFill = fill }
        }
    }

    /// Creates, compares or updates one stream; returns how it still differs.
    private func settle(_ plan: StreamConfiguration) async throws -> ([String], StreamState?) {
        guard let actual = try await bus.client.streamInfo(plan.name) else {
            let created = try await bus.client.createStream(plan)
            // What was verified before and is gone was deleted by somebody, with everything in it.
            BusLog.created(plan.name.description, wasThere: bus.status.streamsVerified, bus.logger)
            return (plan.differences(from: created.configuration).map(\.sentence), created.state)
        }
        let differences = plan.differences(from: actual.configuration)
        guard !differences.isEmpty, bus.configuration.updateStreams else {
            return (differences.map(\.sentence), actual.state)
        }
        let updated = try await bus.client.updateStream(plan)
        BusLog.updated(plan.name.description, differences.map(\.sentence), bus.logger)
        return (plan.differences(from: updated.configuration).map(\.sentence), updated.state)
    }
}
