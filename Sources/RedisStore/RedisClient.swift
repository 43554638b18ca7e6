import WorkerThreads

/// A connection to Redis that mends itself and pipelines what its callers submit.
///
/// One thread of its own owns the connection (H-10); callers never touch a socket and are never blocked. While there is no
/// connection every call fails at once; nothing is ever sent later. Call ``close()`` when done.
public final class RedisClient: Sendable {
    private let core: RedisCore

    /// Makes a client; nothing happens before ``start()``.
    ///
    /// `log` is called on the client's thread, one call at a time, at a bounded rate; it must return soon.
    public init(configuration: RedisConfiguration, log: @escaping @Sendable (RedisEvent) -> Void = { _ in }) {
        core = RedisCore(configuration: configuration, log: log)
    }

    deinit { core.beginClosing() }

    /// Starts the client's thread and returns at once; the connection comes by itself, endlessly tried.
    public func start() {
        guard core.beginRunning() else { return }
        let core = core
        let isStarted = startThread(named: "redis-io") {
            var loop = IOLoop(core: core)
            loop.run()
        }
        precondition(isStarted, "the system refuses another thread")
    }

    /// Closes the connection and ends the thread; returns when that is done.
    ///
    /// Commands on their way get an error: ``RedisError/connectionLost(_:)`` if a part of them was sent.
    public func close() async {
        core.beginClosing()
        await withCheckedContinuation { continuation in
            core.whenFinished { continuation.resume() }
        }
    }

    /// Where the connection stands now, behind a short lock.
    public var state: RedisState { core.state }

    /// Commands of all callers that wait or are on their way now.
    public var pendingCommandCount: Int { core.pendingCommandCount }

    /// Runs commands in their order, in one pipeline, and returns as many replies.
    ///
    /// A command that Redis refuses has ``RedisReply/error(_:)`` in its place and does not stop the others. It is no
    /// transaction. All callers' commands of a moment go out together. Ends within ``RedisConfiguration/commandTimeout``
    /// of being written; cancelling the task does not end it sooner.
    ///
    /// - Throws: ``RedisError``; then there are no replies at all.
    public func run(_ commands: [RedisCommand]) async throws(RedisError) -> [RedisReply] {
        if commands.isEmpty { return [] }
        let result = await withCheckedContinuation { continuation in
            core.submit(Batch(commands: commands) { continuation.resume(returning: $0) })
        }
        return try result.get()
    }

    /// Runs a script by its digest; if the server does not have it, once more with its source, which loads it.
    ///
    /// A server without the script executes nothing of it, so the second try executes it once.
    ///
    /// - Returns: The script's reply, or the server's error.
    /// - Throws: ``RedisError``.
    public func run(
        _ script: RedisScript,
        keys: [[UInt8]],
        arguments: [[UInt8]]
    ) async throws(RedisError) -> RedisReply {
        let byDigest = script.command("EVALSHA", script.digest.utf8, keys: keys, arguments: arguments)
        let reply = try await first(of: run([byDigest]))
        guard case .error(let text) = reply, text == "NOSCRIPT" || text.hasPrefix("NOSCRIPT ") else { return reply }
        let bySource = script.command("EVAL", script.source.utf8, keys: keys, arguments: arguments)
        return try await first(of: run([bySource]))
    }

    private func first(of replies: [RedisReply]) throws(RedisError) -> RedisReply {
        guard let reply = replies.first else { throw .protocolError("no reply") }
        return reply
    }
}
