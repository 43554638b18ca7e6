import WorkerThreads

/// Commands that one caller submitted together, and what to do with their replies.
struct Batch: Sendable {
    let commands: [RedisCommand]
    /// What they take in memory, bytes.
    let cost: Int
    /// Called once, on any thread.
    let finish: @Sendable (Result<[RedisReply], RedisError>) -> Void

    init(commands: [RedisCommand], finish: @escaping @Sendable (Result<[RedisReply], RedisError>) -> Void) {
        self.commands = commands
        cost = commands.reduce(0) { $0 + $1.cost }
        self.finish = finish
    }
}

/// What the client's callers and its thread share.
final class RedisCore: Sendable {
    private struct Shared {
        var state = RedisState.connecting(lastFailure: nil)
        /// Why nothing is taken now; nil while there is a connection.
        var refusal: RedisError? = .notConnected("not connected yet")
        var waiting: [Batch] = []
        /// Commands and bytes that wait or are on their way.
        var commandCount = 0
        var byteCount = 0
        /// The thread is in `poll` or about to be, and wants a signal.
        var sleeping = false
        var running = false
        var closing = false
        var finished = false
        var onFinish: [@Sendable () -> Void] = []
    }

    let configuration: RedisConfiguration
    let log: @Sendable (RedisEvent) -> Void
    let wake = WakeSignal()
    private let shared = Locked(Shared())

    init(configuration: RedisConfiguration, log: @escaping @Sendable (RedisEvent) -> Void) {
        self.configuration = configuration
        self.log = log
    }

    var state: RedisState { shared.withLock { $0.state } }

    var pendingCommandCount: Int { shared.withLock { $0.commandCount } }

    // MARK: Callers

    /// Takes a batch, or refuses it at once.
    func submit(_ batch: Batch) {
        let refusal = shared.withLock { shared -> RedisError? in
            if let refusal = shared.refusal { return refusal }
            let count = shared.commandCount + batch.commands.count
            let bytes = shared.byteCount + batch.cost
            guard count <= configuration.queuedCommandsMax, bytes <= configuration.queuedBytesMax else {
                return .overloaded
            }
            shared.commandCount = count
            shared.byteCount = bytes
            shared.waiting.append(batch)
            if shared.sleeping {
                shared.sleeping = false
                wake.signal()
            }
            return nil
        }
        if let refusal { batch.finish(.failure(refusal)) }
    }

    /// False if the client has been started or closed before.
    func beginRunning() -> Bool {
        shared.withLock { shared in
            guard !shared.running, !shared.closing else { return false }
            shared.running = true
            return true
        }
    }

    func beginClosing() {
        let neverRan = shared.withLock { shared in
            shared.closing = true
            shared.refusal = .closed
            shared.state = .closed
            return !shared.running
        }
        if neverRan { finish() } else { wake.signal() }
    }

    /// Calls `body` when the thread is done, at once if it is.
    func whenFinished(_ body: @escaping @Sendable () -> Void) {
        let finished = shared.withLock { shared in
            if !shared.finished { shared.onFinish.append(body) }
            return shared.finished
        }
        if finished { body() }
    }

    // MARK: The thread

    var isClosing: Bool { shared.withLock { $0.closing } }

    /// The batches that wait now, all of them.
    func takeWaiting() -> [Batch] {
        shared.withLock { shared in
            defer { shared.waiting = [] }
            return shared.waiting
        }
    }

    /// True if the thread may wait in `poll` as long as it likes: it will get a signal.
    func sleepIfIdle() -> Bool {
        shared.withLock { shared in
            shared.sleeping = shared.waiting.isEmpty && !shared.closing
            return shared.sleeping
        }
    }

    /// Gives room back and the caller its result.
    func complete(_ batch: Batch, _ result: Result<[RedisReply], RedisError>) {
        shared.withLock { shared in
            shared.commandCount -= batch.commands.count
            shared.byteCount -= batch.cost
        }
        batch.finish(result)
    }

    func becomeConnected(serverVersion: String?) {
        shared.withLock { shared in
            guard !shared.closing else { return }
            shared.refusal = nil
            shared.state = .connected(serverVersion: serverVersion)
        }
    }

    /// Refuses everything from now on, and what waits.
    func becomeDisconnected(_ reason: String) {
        let (waiting, refusal) = shared.withLock { shared -> ([Batch], RedisError) in
            if !shared.closing {
                shared.refusal = .notConnected(reason)
                shared.state = .connecting(lastFailure: reason)
            }
            defer { shared.waiting = [] }
            return (shared.waiting, shared.refusal ?? .notConnected(reason))
        }
        for batch in waiting { complete(batch, .failure(refusal)) }
    }

    func finish() {
        let bodies = shared.withLock { shared in
            shared.finished = true
            defer { shared.onFinish = [] }
            return shared.onFinish
        }
        for body in bodies { body() }
    }
}
