import ServiceLifecycle
import SluiceGateway
import UnixSignals

/// What SIGTERM and SIGINT do.
///
/// The first makes the gateway unready while it goes on serving for a grace period, so that a load balancer can turn
/// away before the listener closes; then, or at a second signal, the services are shut down. SIGINT, a person at a terminal,
/// gets no grace.
struct ShutdownSignals: Sendable {
    let gateway: Gateway
    let grace: Duration

    /// Runs the services until they end.
    func run(_ group: ServiceGroup) async throws {
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await listen(signals, group) }
            defer { tasks.cancelAll() }
            try await group.run()
        }
    }

    private func listen(_ signals: UnixSignalsSequence, _ group: ServiceGroup) async {
        await withDiscardingTaskGroup { tasks in
            var isAnnounced = false
            for await signal in signals {
                if isAnnounced || signal == .sigint || grace <= .zero {
                    gateway.announceShutdown(grace: .zero)
                    await gateway.quietListener()
                    await group.triggerGracefulShutdown()
                } else {
                    gateway.announceShutdown(grace: grace)
                    tasks.addTask {
                        guard (try? await Task.sleep(for: grace)) != nil else { return }
                        await gateway.quietListener()
                        await group.triggerGracefulShutdown()
                    }
                }
                isAnnounced = true
            }
            tasks.cancelAll()
        }
    }
}
