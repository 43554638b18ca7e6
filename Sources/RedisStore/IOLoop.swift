import Glibc

/// The client's thread: connects, serves, and connects again, until the client is closed.
struct IOLoop {
    private let core: RedisCore
    private let waiter: Waiter
    private var dialer: Dialer
    private var backoff: Backoff
    private var limiter = EventLimiter()

    init(core: RedisCore) {
        self.core = core
        waiter = Waiter(wake: core.wake)
        dialer = Dialer(core: core)
        backoff = Backoff(core.configuration)
    }

    mutating func run() {
        blockBrokenPipeSignal()
        var attempts = 0
        while !core.isClosing {
            do throws(LinkFailure) {
                var (session, version) = try connect()
                attempts = 0
                serve(&session, version)
            } catch {
                attempts += 1
                core.becomeDisconnected(error.text)
                tell(.connectFailed(address: address, reason: error.text, attempts: attempts))
            }
            pause()
        }
        core.becomeDisconnected("the client was closed")
        core.finish()
    }

    private var address: String { core.configuration.shownAddress }

    private mutating func tell(_ event: RedisEvent) {
        if !core.isClosing, limiter.allows(event, now: monotonicNow()) { core.log(event) }
    }

    private mutating func pause() {
        let end = monotonicNow() + backoff.next()
        while !core.isClosing, monotonicNow() < end { _ = waiter.wait(until: end) }
    }

    // MARK: Connecting

    private mutating func connect() throws(LinkFailure) -> (Session, serverVersion: String?) {
        let timeout = core.configuration.connectTimeout.nanoseconds
        var failure = LinkFailure.lost("the host name has no address")
        for address in try dialer.addresses(until: monotonicNow() + timeout) {
            if core.isClosing { throw .closing }
            do throws(LinkFailure) {
                return try connect(to: address, until: monotonicNow() + timeout)
            } catch {
                failure = error
            }
        }
        throw failure
    }

    private func connect(
        to address: SocketAddress,
        until deadline: Nanoseconds
    ) throws(LinkFailure) -> (Session, serverVersion: String?) {
        let replyBytesMax = core.configuration.replyBytesMax
        let socket = try dialer.connect(to: address, until: deadline)
        // No element has fewer than four bytes.
        guard let link = RedisLink(socket: socket, replyElementsMax: replyBytesMax / 4) else {
            close(socket)
            throw .lost("out of memory")
        }
        var session = Session(link: link, waiter: waiter, replyBytesMax: replyBytesMax)
        let greeting = Greeting(core.configuration)
        var replies: [RedisReply] = []
        try session.submit(greeting.commands, deadline: deadline) { replies = (try? $0.get()) ?? [] }
        do throws(LinkFailure) {
            try session.write()
            while !session.isIdle {
                if core.isClosing { throw .closing }
                try session.turn(until: .max)
            }
        } catch {
            // A server that sends us away may say why first.
            _ = try greeting.serverVersion(in: session.repliesOfOldest)
            throw error
        }
        return (session, try greeting.serverVersion(in: replies))
    }

    // MARK: Serving

    private mutating func serve(_ session: inout Session, _ version: String?) {
        let connectedAt = monotonicNow()
        core.becomeConnected(serverVersion: version)
        tell(.connected(address: address, serverVersion: version))
        var failure = LinkFailure.closing
        do throws(LinkFailure) {
            while !core.isClosing { try turn(&session) }
        } catch {
            failure = error
        }
        core.becomeDisconnected(failure.text)
        session.fail(failure)
        backoff.noteEnd(ofConnectionAfter: monotonicNow() - connectedAt)
        tell(.disconnected(address: address, reason: failure.text))
    }

    private func turn(_ session: inout Session) throws(LinkFailure) {
        try submit(core.takeWaiting(), to: &session)
        try session.write()
        var limit = Nanoseconds.max
        if session.isIdle { limit = try probeIfDue(&session) }
        try session.turn(until: core.sleepIfIdle() ? limit : 0)
    }

    /// All of them, so that each has its outcome even if the link fails in between.
    private func submit(_ batches: [Batch], to session: inout Session) throws(LinkFailure) {
        if batches.isEmpty { return }
        let deadline = monotonicNow() + core.configuration.commandTimeout.nanoseconds
        var failure: LinkFailure?
        for batch in batches {
            do throws(LinkFailure) {
                try session.submit(batch.commands, deadline: deadline) { [core] in core.complete(batch, $0) }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
    }

    /// Asks a long silent server whether it is still there; any answer will do.
    ///
    /// - Returns: When to ask next.
    private func probeIfDue(_ session: inout Session) throws(LinkFailure) -> Nanoseconds {
        let now = monotonicNow()
        let due = session.heardAt + max(core.configuration.idleProbeInterval.nanoseconds, 1_000_000)
        if now < due { return due }
        let deadline = now + core.configuration.commandTimeout.nanoseconds
        try session.submit([RedisCommand("PING")], deadline: deadline) { _ in }
        try session.write()
        return .max
    }
}

/// Blocks SIGPIPE in this thread (H-04).
///
/// hiredis writes without MSG_NOSIGNAL. The signal of a broken pipe goes to the thread that wrote; blocked, it stays
/// pending there and ends with the thread, and `write` says EPIPE. The disposition, which belongs to the program, stays as
/// it is.
private func blockBrokenPipeSignal() {
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGPIPE)
    pthread_sigmask(SIG_BLOCK, &signals, nil)
}
