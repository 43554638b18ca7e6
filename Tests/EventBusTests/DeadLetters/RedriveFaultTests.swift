import DeliveryRules
import EventBus
import Glibc
import JetStream
import ServerFixtures
import Testing

/// A redrive that is stopped at any moment, and run again: nothing is lost, and within the duplicate window nothing
/// comes back twice.
struct RedriveFaultTests {
    /// Dead letters of one subscription behind a proxy; the clients of redrives go through it.
    private struct Stage {
        let setup: DeadLetterSetup
        let proxy: TCPProxy
        let key: SubscriptionKey
        let count: Int

        init(_ binary: NATSServer.Binary, count: Int = 300) async throws {
            self.count = count
            setup = try await DeadLetterSetup(binary)
            proxy = TCPProxy(target: setup.server.port)
            key = try DeadLetterSetup.key("acme", "s")
            let key = key
            try await setup.store(1...UInt64(count)) { _ in (key, .retriesExhausted) }
        }

        /// A redrive of everything, as a process of its own would do it.
        func redrive(
            patience: Duration,
            progress: @escaping @Sendable (RedriveReport) -> Void = { _ in }
        ) async throws -> RedriveReport {
            let client = try DeadLetterSetup.makeClient(proxy.url)
            _ = await eventually(timeout: .seconds(20)) { client.state.isConnected }
            let box = DeadLetterBox(client: client, stream: setup.plan.deadLetters.name)
            let report = await box.redrive(
                RedriveRequest(tenant: key.tenant, selection: .filter(.init())),
                into: setup.plan.events.name,
                prefix: setup.prefix,
                patience: patience,
                refusal: { _ in nil },
                progress: progress
            )
            await client.close(grace: .zero)
            return report
        }

        /// Repeats until nothing is left; then each event must be in the event stream exactly once.
        func finish() async throws {
            let (client, stream) = (setup.client, setup.plan.deadLetters.name)
            try #require(await eventually(timeout: .seconds(30)) { client.state.isConnected })
            var runs = 0
            while try await client.nextMessage(in: stream, from: 1) != nil, runs < 20 {
                _ = try await redrive(patience: .seconds(20))
                runs += 1
            }
            #expect(try await client.nextMessage(in: stream, from: 1) == nil, "dead letters are left")
            let back = try await setup.messages(setup.plan.events.name)
            #expect(back.count == count, "each once within the duplicate window")
            let wanted = Set((1...count).map { DeadLetterSetup.eventText("e\($0)") })
            #expect(Set(back.map(\.payload)) == wanted, "none is lost")
            await setup.close()
            proxy.stop()
        }
    }

    /// Says once when so many have been dealt with.
    private final class Trigger: Sendable {
        private let hits = Shared(false)
        private let at: Int
        private let action: @Sendable () -> Void

        init(at: Int, _ action: @escaping @Sendable () -> Void) {
            self.at = at
            self.action = action
        }

        func note(_ report: RedriveReport) {
            guard report.matched >= at else { return }
            let isFirst = hits.withLock { hit in
                defer { hit = true }
                return !hit
            }
            if isFirst { action() }
        }
    }

    @Test(arguments: NATSServer.available, [1, 40, 299])
    func `the connection is cut`(binary: NATSServer.Binary, at: Int) async throws {
        let stage = try await Stage(binary)
        let proxy = stage.proxy
        let trigger = Trigger(at: at) { proxy.cut() }
        let report = try await stage.redrive(patience: .seconds(20)) { trigger.note($0) }
        #expect(report.redriven == stage.count, "it goes on when the connection is back: \(report)")
        try await stage.finish()
    }

    @Test(arguments: NATSServer.available, [1, 40, 299])
    func `the connection is cut and the redrive gives up`(binary: NATSServer.Binary, at: Int) async throws {
        let stage = try await Stage(binary)
        let proxy = stage.proxy
        let trigger = Trigger(at: at) { proxy.cut() }
        let report = try await stage.redrive(patience: .zero) { trigger.note($0) }
        #expect(report.matched == report.redriven + report.failed)
        try await stage.finish()
    }

    @Test(arguments: NATSServer.available)
    func `every answer is lost: what was stored is not stored again`(binary: NATSServer.Binary) async throws {
        let stage = try await Stage(binary)
        let proxy = stage.proxy
        let trigger = Trigger(at: 10) { proxy.set { $0.dropsServerBytes = true } }
        let report = try await stage.redrive(patience: .zero) { trigger.note($0) }
        #expect(report.stopped != nil)
        #expect(report.redriven < stage.count)
        proxy.set { $0.dropsServerBytes = false }
        proxy.cut()
        try await stage.finish()
    }

    @Test(arguments: NATSServer.available, [1, 60])
    func `the task is cancelled`(binary: NATSServer.Binary, at: Int) async throws {
        let stage = try await Stage(binary)
        let running = Shared<Task<RedriveReport, any Error>?>(nil)
        let trigger = Trigger(at: at) { running.withLock { $0?.cancel() } }
        let task = Task { [stage] in
            _ = await eventually { running.current != nil }
            return try await stage.redrive(patience: .seconds(5)) { trigger.note($0) }
        }
        running.withLock { $0 = task }
        let report = try await task.value
        #expect(report.stopped == "cancelled")
        #expect(report.redriven >= at && report.redriven < stage.count)
        #expect(report.failed == 0, "what is in work is brought to its end: \(report.failures)")
        try await stage.finish()
    }

    @Test(arguments: NATSServer.available, [1, 120])
    func `nats-server is killed and started again`(binary: NATSServer.Binary, at: Int) async throws {
        let stage = try await Stage(binary)
        let server = stage.setup.server
        let killed = Shared(false)
        let trigger = Trigger(at: at) {
            kill(server.pid, SIGKILL)
            killed.withLock { $0 = true }
        }
        async let restarted = onThread {
            guard waitUntil(timeout: .seconds(60), { killed.current }) else { return false }
            server.kill()
            return (try? server.start()) != nil
        }
        let report = try await stage.redrive(patience: .seconds(60)) { trigger.note($0) }
        #expect(await restarted)
        #expect(report.stopped == nil, "\(report)")
        try await stage.finish()
    }

    @Test(arguments: NATSServer.available)
    func `ten thousand are stopped in the middle, cut off, and put back by a third run`(
        binary: NATSServer.Binary
    ) async throws {
        let stage = try await Stage(binary, count: 10_000)
        let proxy = stage.proxy
        let cut = Trigger(at: 2000) { proxy.cut() }
        let first = try await stage.redrive(patience: .zero) { cut.note($0) }
        #expect(first.stopped != nil && first.redriven < stage.count)
        let running = Shared<Task<RedriveReport, any Error>?>(nil)
        let cancel = Trigger(at: 3000) { running.withLock { $0?.cancel() } }
        let task = Task { [stage] in
            _ = await eventually { running.current != nil }
            return try await stage.redrive(patience: .seconds(5)) { cancel.note($0) }
        }
        running.withLock { $0 = task }
        #expect(try await task.value.stopped == "cancelled")
        try await stage.finish()
    }

    @Test(arguments: NATSServer.available)
    func `two redrives at once do no harm`(binary: NATSServer.Binary) async throws {
        let stage = try await Stage(binary)
        async let first = stage.redrive(patience: .seconds(20))
        async let second = stage.redrive(patience: .seconds(20))
        let reports = try await [first, second]
        #expect(reports.allSatisfy { $0.failed == 0 && $0.stopped == nil }, "\(reports)")
        #expect(reports.map(\.redriven).reduce(0, +) >= stage.count)
        try await stage.finish()
    }
}
