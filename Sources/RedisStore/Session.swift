/// The commands that are on their way over one link, oldest first.
///
/// For the client's thread alone. A deadline holds for the whole batch, however slowly bytes trickle (H-06); what arrives
/// for a batch is bounded (H-08); a reply to nothing ends the session, since the next one would be taken for another's.
struct Session {
    private struct InFlight {
        let commandCount: Int
        /// Bytes that were given to the link before its first.
        let start: UInt64
        let deadline: Nanoseconds
        var replies: [RedisReply] = []
        let finish: (Result<[RedisReply], RedisError>) -> Void
    }

    private let link: RedisLink
    private let waiter: Waiter
    private let replyBytesMax: Int
    private var inFlight: [InFlight] = []
    /// Where the oldest one stands in `inFlight`.
    private var oldest = 0
    /// Bytes that came for the oldest one so far.
    private var received = 0
    /// When something came last.
    private(set) var heardAt = monotonicNow()

    /// At most so many reads between two looks at the clock.
    private static let readsMax = 16

    init(link: RedisLink, waiter: Waiter, replyBytesMax: Int) {
        self.link = link
        self.waiter = waiter
        self.replyBytesMax = replyBytesMax
    }

    /// True if no reply is awaited.
    var isIdle: Bool { oldest == inFlight.count }

    /// When the oldest batch's time is up.
    var deadline: Nanoseconds { isIdle ? .max : inFlight[oldest].deadline }

    /// What the oldest batch has got so far.
    var repliesOfOldest: [RedisReply] { isIdle ? [] : inFlight[oldest].replies }

    /// Puts commands in the output buffer.
    ///
    /// `finish` is called in any case, at the latest by ``fail(_:)``.
    mutating func submit(
        _ commands: [RedisCommand],
        deadline: Nanoseconds,
        finish: @escaping (Result<[RedisReply], RedisError>) -> Void
    ) throws(LinkFailure) {
        inFlight.append(
            InFlight(commandCount: commands.count, start: link.appended, deadline: deadline, finish: finish)
        )
        for command in commands { try link.append(command) }
    }

    /// Sends what it can at once.
    func write() throws(LinkFailure) { try link.write() }

    /// Waits for the socket, a wake-up or a deadline, and deals with what came.
    mutating func turn(until limit: Nanoseconds) throws(LinkFailure) {
        let ready = waiter.wait(
            link.descriptor,
            reading: true,
            writing: link.unwritten > 0,
            until: min(limit, deadline)
        )
        if ready.readable { try receive() }
        if ready.writable { try link.write() }
        if monotonicNow() >= deadline { throw .timedOut }
    }

    private mutating func receive() throws(LinkFailure) {
        for _ in 0..<Self.readsMax {
            let count = try link.read()
            if count == 0 { return }
            heardAt = monotonicNow()
            received += count
            while let reply = try link.nextReply() { try accept(reply) }
            if isIdle, received > 0 { throw .protocolViolation("a reply to nothing") }
            if received > replyBytesMax { throw .protocolViolation("more than \(replyBytesMax) bytes of replies") }
            if heardAt >= deadline { return }
        }
    }

    private mutating func accept(_ reply: RedisReply) throws(LinkFailure) {
        if isIdle { throw .protocolViolation("a reply to nothing") }
        inFlight[oldest].replies.append(reply)
        let batch = inFlight[oldest]
        guard batch.replies.count == batch.commandCount else { return }
        oldest += 1
        if oldest == inFlight.count || oldest >= 64 {
            inFlight.removeFirst(oldest)
            oldest = 0
        }
        received = link.unread
        batch.finish(.success(batch.replies))
    }

    /// Gives everything that is on its way its outcome; the session is of no use then.
    mutating func fail(_ failure: LinkFailure) {
        let now = monotonicNow()
        let written = link.written
        let batches = inFlight[oldest...]
        inFlight = []
        oldest = 0
        for batch in batches {
            if batch.start >= written {
                batch.finish(.failure(failure.errorOfUnsent))
            } else if case .timedOut = failure, batch.deadline <= now {
                batch.finish(.failure(.timedOut))
            } else {
                batch.finish(.failure(failure.errorOfSent))
            }
        }
    }
}
