import WorkerThreads

/// A connection to NATS JetStream that mends itself, for publishing with one acknowledgement per message and for
/// administration.
///
/// Two threads of its own and cnats': producers never touch a socket, and a hung server blocks none of them. While there
/// is no connection everything is refused at once; nothing is ever sent later. Call ``close(grace:)`` when done:
/// the threads live until then.
public final class JetStreamClient: Sendable {
    let core: ClientCore
    private let started = Locked(false)
    var hasStarted: Bool { started.withLock { $0 } }

    /// Makes a client; nothing happens before ``start()``.
    ///
    /// `onStateChange` and `log` are called on the client's threads, one call at a time each; they must return soon.
    public init(
        configuration: JetStreamConfiguration,
        onStateChange: @escaping @Sendable (ConnectionState) -> Void = { _ in },
        log: @escaping @Sendable (LogEvent) -> Void = { _ in }
    ) {
        core = ClientCore(configuration: configuration, onStateChange: onStateChange, log: log)
    }

    /// Starts the client's threads and returns at once; the connection comes by itself, endlessly tried.
    public func start() {
        let first = started.withLock { started in
            defer { started = true }
            return !started
        }
        guard first else { return }
        let core = core
        let isStarted = startThread(named: "nats-io") {
            let connector = Connector(
                configuration: core.configuration,
                watchdog: ConnectWatchdog { core.wake.signal() },
                makeSink: { ReplySink(core: core) },
                deliver: { core.deliver($0) }
            )
            var loop = IOLoop(core: core, connector: connector)
            loop.run()
        }
        precondition(isStarted, "the system refuses another thread")
    }

    /// Stops taking messages, waits for outstanding acknowledgements at most `grace`, then closes the connection.
    ///
    /// What waits longer gets its outcome then. Returns when all outcomes are given. cnats' own close may not flush
    /// (C-14), so the waiting is ours; the library itself is never torn down (C-21).
    public func close(grace: Duration = .seconds(5)) async {
        core.inbox.withLock { $0.setRefusal(.closing) }
        guard started.withLock({ $0 }) else {
            core.setState(.closed)
            return
        }
        let deadline = monotonicNow() + grace.nanoseconds
        await withCheckedContinuation { continuation in
            let finished = core.closing.withLock { closing in
                if !closing.finished {
                    closing.deadline = min(closing.deadline ?? .max, deadline)
                    closing.waiters.append { continuation.resume() }
                }
                return closing.finished
            }
            if finished { continuation.resume() } else { core.wake.signal() }
        }
    }

    /// Where the connection stands now, behind a short lock.
    public var state: ConnectionState { core.state }

    /// How many connections were made so far, the first one included.
    package var connectCount: UInt64 { core.connects.withLock { $0 } }

    /// The connected server, nil without a connection.
    public var serverInfo: ServerInfo? {
        switch core.state {
        case .connected(let info), .stalled(let info): info
        case .connecting, .closed: nil
        }
    }

    /// A lane for one producing thread.
    ///
    /// `notify` is called, on any thread, when outcomes wait, once until the next `drain`; also from within the lane's own
    /// `flush` when messages are refused at once. It must return at once and must not call the lane.
    package func makeLane(notify: @escaping @Sendable () -> Void) -> PublishLane {
        PublishLane(core: core, notify: notify)
    }

    /// Publishes one message and waits for its outcome, at most ``JetStreamConfiguration/publishTimeout``.
    public func publish(_ message: OutboundMessage) async -> PublishOutcome {
        await withCheckedContinuation { continuation in
            let item = Batch.Item(
                subject: message.subject.text,
                expectedStream: message.expectedStream,
                headers: message.headers,
                payload: message.payload,
                tag: 0
            )
            core.enqueue(
                Batch(
                    owner: .publisher { continuation.resume(returning: $0) },
                    items: [item],
                    cost: item.cost,
                    deadline: core.publishDeadline()
                )
            )
        }
    }

    /// Sends a request to JetStream's API and returns the answer's bytes.
    ///
    /// - Throws: ``JetStreamError``; an error inside the answer is the caller's to read.
    func request(
        _ subject: APISubject,
        payload: [UInt8],
        timeout: Duration = .seconds(5)
    ) async throws(JetStreamError) -> [UInt8] {
        try await request(subject: subject.text, payload, timeout, isQuestion: false)
    }

    /// Sends a request to a checked subject and returns the answer's bytes.
    ///
    /// - Parameter isQuestion: Whether nobody listening is told at once.
    func request(
        subject: String,
        _ payload: [UInt8],
        _ timeout: Duration,
        isQuestion: Bool
    ) async throws(JetStreamError) -> [UInt8] {
        let result = await withCheckedContinuation { continuation in
            let item = Batch.Item(
                subject: subject,
                expectedStream: nil,
                headers: MessageHeaders(),
                payload: payload[...],
                tag: 0,
                isQuestion: isQuestion
            )
            core.enqueue(
                Batch(
                    owner: .requester { continuation.resume(returning: $0) },
                    items: [item],
                    cost: item.cost,
                    deadline: monotonicNow() + timeout.nanoseconds
                )
            )
        }
        return try result.get()
    }
}
