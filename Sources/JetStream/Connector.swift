import CNATS
import Glibc
import WorkerThreads

/// Makes connections, on a thread of its own since cnats' connect blocks: endlessly, over all servers in turn.
final class Connector: Sendable {
    private struct State {
        var wanted = false
        var stopped = false
        var pause: Nanoseconds = 0
    }

    /// Cuts attempts that hang; the I/O thread drives it.
    let watchdog: ConnectWatchdog
    private let configuration: JetStreamConfiguration
    private let state = Locked(State())
    private let wake = WakeSignal()
    private let makeSink: @Sendable () -> ReplySink
    private let deliver: @Sendable (Result<NATSLink, ConnectFailure>) -> Void

    /// Why an attempt failed, in words for the log.
    struct ConnectFailure: Error {
        let server: ServerURL
        let text: String
    }

    init(
        configuration: JetStreamConfiguration,
        watchdog: ConnectWatchdog,
        makeSink: @escaping @Sendable () -> ReplySink,
        deliver: @escaping @Sendable (Result<NATSLink, ConnectFailure>) -> Void
    ) {
        self.configuration = configuration
        self.watchdog = watchdog
        self.makeSink = makeSink
        self.deliver = deliver
    }

    func start() {
        let isStarted = startThread(named: "nats-connect") { [self] in run() }
        precondition(isStarted, "the system refuses another thread")
    }

    /// Asks for a connection.
    ///
    /// A link that lived for `lived` was a good one if that is a second or more: then the first
    /// attempt comes at once, else after the next longer pause.
    func requestConnection(lived: Nanoseconds?) {
        state.withLock { state in
            if let lived, lived >= 1_000_000_000 { state.pause = 0 }
            state.wanted = true
        }
        wake.signal()
    }

    func stop() {
        state.withLock { $0.stopped = true }
        wake.signal()
    }

    private func run() {
        var turn = 0
        while true {
            let (wanted, stopped, pause) = state.withLock { ($0.wanted, $0.stopped, $0.pause) }
            if stopped { return }
            guard wanted else {
                wake.wait(milliseconds: 60_000)
                continue
            }
            waitUnlessStopped(pause)
            if state.withLock({ $0.stopped }) { return }
            guard !configuration.servers.isEmpty else { return }
            let server = configuration.servers[turn % configuration.servers.count]
            turn &+= 1
            lengthenPause()
            let result = attempt(server)
            if case .success = result { state.withLock { $0.wanted = false } }
            deliver(result)
        }
    }

    private func waitUnlessStopped(_ pause: Nanoseconds) {
        let end = monotonicNow() + pause
        while !state.withLock({ $0.stopped }), case let left = end - monotonicNow(), left > 0 {
            wake.wait(milliseconds: Int32(clamping: left / 1_000_000 + 1))
        }
    }

    /// Doubles the pause up to its maximum, with jitter down to half.
    private func lengthenPause() {
        let shortest = max(configuration.reconnectPauseMin.nanoseconds, 1_000_000)
        let longest = max(configuration.reconnectPauseMax.nanoseconds, shortest)
        state.withLock { state in
            let base = min(max(state.pause * 2, shortest), longest)
            state.pause = Nanoseconds.random(in: base / 2...base)
        }
    }

    private func attempt(_ server: ServerURL) -> Result<NATSLink, ConnectFailure> {
        var failure = ConnectFailure(server: server, text: "the host name has no address")
        for peer in Peer.resolve(server) {
            do {
                return .success(try attempt(server, peer))
            } catch {
                failure = error
            }
            if state.withLock({ $0.stopped }) { break }
        }
        return .failure(failure)
    }

    private func attempt(_ server: ServerURL, _ peer: Peer) throws(ConnectFailure) -> NATSLink {
        let deadline = monotonicNow() + max(configuration.connectTimeout.nanoseconds, 50_000_000)
        let greeting: ServerGreeting
        do {
            greeting = try ServerGreeting.read(from: peer, deadline: deadline)
        } catch {
            throw ConnectFailure(server: server, text: error.text)
        }
        let link = NATSLink()
        watchdog.begin(peer: peer, deadline: deadline)
        // A little more than we give it: the watchdog cuts it before it begins to spin.
        let left = max((deadline - monotonicNow()) / 1_000_000, 0) + 500
        var status = link.connect(to: peer, name: configuration.name, timeoutMilliseconds: left)
        watchdog.end()
        var detail = status == NATS_OK ? "" : lastCNATSError(status)
        if status == NATS_OK {
            status = link.subscribe(makeSink())
            detail = status == NATS_OK ? "" : lastCNATSError(status)
        }
        guard status == NATS_OK else {
            link.close()
            throw ConnectFailure(server: server, text: detail)
        }
        link.establish(greeting, server)
        return link
    }

    private func lastCNATSError(_ status: natsStatus) -> String {
        let text = String(cString: natsStatus_GetText(status))
        guard let detail = nats_GetLastError(nil) else { return text }
        let words = String(cString: detail)
        return words.isEmpty ? text : "\(text): \(words)"
    }
}
