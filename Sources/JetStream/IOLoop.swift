import CNATS
import Glibc
import WorkerThreads

/// The I/O thread: the only one that touches an established cnats connection.
///
/// One turn sends what waits (many messages, one `send`), waits in `poll`, reads what came, and sees to deadlines.
/// libuv's and libevent's adapters race because several threads add and remove events (C-22); here the callbacks only set
/// fields that this same thread reads.
struct IOLoop {
    let core: ClientCore
    let connector: Connector
    private var link: NATSLink?
    private var linkedAt: Nanoseconds = 0
    private var queue = BatchQueue()
    private var lanes: LaneQueue
    /// Which change of the services the link has seen.
    private var servicesSeen: UInt64 = 0
    private var liveness: Liveness
    private var failureLogged = false
    private var stallAnnounced = false
    private var missingRightTold = false
    /// What `poll` watches: the wake-up, and the link if there is one.
    private var entries: [pollfd]

    /// Stop filling cnats' buffer here: what stays in our queue is certain not to have left (503, not 504).
    private static let unwrittenMax: UInt64 = 256 << 10
    /// At most so many messages between two looks at the socket.
    private static let turnMax = 512

    init(core: ClientCore, connector: Connector) {
        self.core = core
        self.connector = connector
        liveness = Liveness(configuration: core.configuration)
        lanes = LaneQueue(core: core)
        entries = [
            pollfd(fd: core.wake.descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: -1, events: Int16(POLLIN), revents: 0),
        ]
    }

    mutating func run() {
        connector.start()
        connector.requestConnection(lived: nil)
        while true {
            acceptArrivals()
            send()
            if isFinished() { break }
            wait()
            seeToDeadlines()
        }
        finish()
    }

    // MARK: Sending

    private mutating func send() {
        takeQueued()
        guard let link else { return lanes.endPullsWithoutLink() }
        offerServices(link)
        resend(link)
        var count = 0
        var cost = 0
        while count < Self.turnMax, canSend(link), let (batch, index) = queue.first {
            let item = batch.items[index]
            let offset = link.given
            let token = core.slots.withLock { slots -> SlotTable.Token? in
                slots.roomWanted = !slots.hasRoom(for: item.cost)
                return slots.roomWanted ? nil : slots.insert(batch: batch, index: index, offset: offset)
            }
            guard let token else { break }
            queue.removeFirst()
            count += 1
            cost += item.cost
            hand(item, token, to: link)
        }
        if count > 0 { core.inbox.withLock { $0.release(count: count, cost: cost) } }
        let stalled = liveness.isStalled
        lanes.send(to: link) { !stalled && link.unwritten < Self.unwrittenMax }
        flush(link)
    }

    private mutating func takeQueued() {
        core.inbox.withLock { inbox in
            inbox.take(into: &queue)
            inbox.take(into: &lanes)
        }
    }

    private mutating func offerServices(_ link: NATSLink) {
        let (services, version) = core.services.withLock { ($0.services, $0.version) }
        guard version != servicesSeen else { return }
        servicesSeen = version
        link.offer(services)
    }

    private func canSend(_ link: NATSLink) -> Bool {
        link.unwritten < Self.unwrittenMax && !liveness.isStalled
    }

    private func hand(_ item: Batch.Item, _ token: SlotTable.Token, to link: NATSLink) {
        let status = link.publish(item, token: token)
        if status == NATS_OK { return }
        guard let entry = core.slots.withLock({ $0.remove(token) }) else { return }
        entry.batch.complete(entry.index, entry.refusedOutcome(ofFirstSend: Self.outcome(ofRefusal: status)))
    }

    /// What a refused first send means: cnats refuses before it appends anything, so nothing has left.
    private static func outcome(ofRefusal status: natsStatus) -> PublishOutcome {
        switch status {
        case NATS_MAX_PAYLOAD:
            .rejected(Rejection(kind: .tooLarge, code: 0, description: "larger than the server's max_payload"))
        case NATS_NO_SERVER_SUPPORT:
            .rejected(Rejection(kind: .misconfigured, code: 0, description: "the server does not support headers"))
        default: .notSent(.disconnected)
        }
    }

    private func resend(_ link: NATSLink) {
        let now = monotonicNow()
        guard canSend(link) else { return }
        for due in core.slots.withLock({ $0.takeRetries(now: now, offset: link.given) }) {
            hand(due.batch.items[due.index], due.token, to: link)
        }
    }

    private mutating func flush(_ link: NATSLink) {
        guard link.wantsWrite else { return }
        let before = link.written
        link.write()
        liveness.noteWrite(progressed: link.written != before, unwritten: link.unwritten, now: monotonicNow())
        if link.isClosed { loseLink("the connection failed while writing") }
    }

    // MARK: Waiting and reading

    private mutating func wait() {
        let blocked = link?.wantsWrite ?? false
        entries[1].fd = link?.descriptor ?? -1
        entries[1].events = Int16(blocked ? POLLIN | POLLOUT : POLLIN)
        let mayWork = core.inbox.withLock { !$0.sleepIfEmpty() } || canContinue()
        let timeout = mayWork ? 0 : milliseconds(until: nextDeadline())
        guard poll(&entries, nfds_t(entries.count), timeout) > 0 else { return }
        if entries[0].revents != 0 { core.wake.clear() }
        guard let link, entries[1].revents != 0 else { return }
        let ready = Int32(entries[1].revents)
        if ready & (POLLIN | POLLHUP | POLLERR) != 0 {
            link.read()
            liveness.noteHeard(now: monotonicNow())
        }
        if link.isClosed { loseLink("the server ended the connection") }
    }

    /// True if the last turn stopped only to look at the socket.
    private func canContinue() -> Bool {
        guard let link, canSend(link) else { return false }
        if lanes.canContinue { return true }
        if queue.isEmpty { return false }
        return core.slots.withLock { !$0.roomWanted }
    }

    private func milliseconds(until time: Nanoseconds) -> Int32 {
        if time == .max { return 60_000 }
        let left = time - monotonicNow()
        return left <= 0 ? 0 : Int32(clamping: min(left / 1_000_000 + 1, 60_000))
    }

    private func nextDeadline() -> Nanoseconds {
        var next = min(queue.firstDeadline, connector.watchdog.nextCheck)
        next = min(next, lanes.nextDeadline(now: monotonicNow()))
        let (expiry, retry) = core.slots.withLock { ($0.earliestDeadline, $0.earliestRetry) }
        next = min(next, expiry)
        if let link {
            next = min(next, liveness.nextCheck)
            if canSend(link) { next = min(next, retry) }
        }
        return min(next, core.closing.withLock { $0.deadline } ?? .max)
    }

    // MARK: Deadlines

    private mutating func seeToDeadlines() {
        let now = monotonicNow()
        if link == nil { connector.watchdog.check(now: now) }
        let expired = core.slots.withLock { $0.removeExpired(now: now) }
        for entry in expired {
            entry.batch.complete(entry.index, entry.abandonedOutcome(written: .max, reason: .timeout))
        }
        if now >= queue.firstDeadline { failQueued(.expired) { $0.deadline <= now } }
        lanes.seeToDeadlines(now: now)
        guard let link, let info = link.info else { return }
        switch liveness.check(now: now) {
        case .fine: break
        case .probe:
            if link.lacksEcho { tellOfMissingRight(info) }
            link.publishProbe()
            flush(link)
        case .stalled:
            stallAnnounced = true
            core.setState(.stalled(info))
            core.log(LogEvent(.warning, "NATS does not answer", [("server", info.address)]))
        case .dead: loseLink("NATS has not answered in time")
        }
        if stallAnnounced, self.link != nil, !liveness.isStalled {
            stallAnnounced = false
            core.setState(.connected(info))
        }
    }

    /// Once: the server answers, and does not give back what we send to ourselves.
    private mutating func tellOfMissingRight(_ info: ServerInfo) {
        if missingRightTold { return }
        missingRightTold = true
        let metadata = [("server", info.address), ("right", "publish to \(ReplyInbox.root)>")]
        core.log(LogEvent(.warning, "NATS does not let this user write to its own inboxes", metadata))
    }

    private mutating func failQueued(_ reason: NotSentReason, where isDue: (Batch) -> Bool) {
        var count = 0
        var cost = 0
        let removed = queue.removeAll(where: isDue)
        for (batch, start) in removed {
            count += batch.items.count - start
            cost += batch.items[start...].reduce(0) { $0 + $1.cost }
        }
        core.inbox.withLock { $0.release(count: count, cost: cost) }
        for (batch, start) in removed { batch.complete(from: start, .notSent(reason)) }
    }

    // MARK: Links

    private mutating func acceptArrivals() {
        let arrivals = core.arrivals.withLock { arrivals in
            defer { arrivals = arrivals.map { _ in [] } }
            return arrivals
        }
        for arrival in arrivals ?? [] {
            switch arrival {
            case .success(let new): accept(new)
            case .failure(let failure):
                core.setState(.connecting(lastFailure: "\(failure.server): \(failure.text)"))
                let level: LogEvent.Level = failureLogged ? .debug : .warning
                failureLogged = true
                let metadata = [("server", failure.server.description), ("reason", failure.text)]
                core.log(LogEvent(level, "cannot connect to NATS", metadata))
            }
        }
    }

    private mutating func accept(_ new: NATSLink) {
        guard let info = new.info, link == nil else { return new.close() }
        let now = monotonicNow()
        link = new
        linkedAt = now
        servicesSeen = 0
        failureLogged = false
        stallAnnounced = false
        liveness.start(now: now)
        core.inbox.withLock { $0.setRefusal(nil) }
        core.setState(.connected(info))
        let metadata = [("server", info.address), ("version", info.version), ("name", info.serverName)]
        core.log(LogEvent(.info, "connected to NATS", metadata))
    }

    /// The end of a connection: everything that was on its way gets its outcome, and a new one is asked for.
    private mutating func loseLink(_ reason: String) {
        guard let link else { return }
        self.link = nil
        core.inbox.withLock { inbox in
            inbox.setRefusal(.disconnected)
            inbox.take(into: &queue)
            inbox.take(into: &lanes)
        }
        link.close()
        core.setState(.connecting(lastFailure: reason))
        let written = link.written
        for entry in core.slots.withLock({ $0.removeAll() }) {
            entry.batch.complete(entry.index, entry.abandonedOutcome(written: written, reason: .connectionLost))
        }
        failQueued(.disconnected) { _ in true }
        lanes.endAll(.connectionLost, unsent: .notSent)
        core.log(LogEvent(.warning, "lost the connection to NATS", [("reason", reason)]))
        connector.requestConnection(lived: monotonicNow() - linkedAt)
    }

    // MARK: Closing

    /// True when closing was asked for and nothing is worth waiting for any more.
    private func isFinished() -> Bool {
        guard let deadline = core.closing.withLock({ $0.deadline }) else { return false }
        if link == nil || monotonicNow() >= deadline { return true }
        return queue.isEmpty && lanes.isEmpty && core.slots.withLock { $0.isEmpty }
            && core.settlements.withLock { $0.count } == 0
    }

    private mutating func finish() {
        connector.stop()
        acceptArrivals()
        core.arrivals.withLock { $0 = nil }
        takeQueued()
        failQueued(.closing) { _ in true }
        link?.close()
        let written = link?.written ?? 0
        for entry in core.slots.withLock({ $0.close() }) {
            entry.batch.complete(entry.index, entry.abandonedOutcome(written: written, reason: .connectionLost))
        }
        lanes.endAll(.closing, unsent: .closing)
        link = nil
        core.setState(.closed)
        let waiters = core.closing.withLock { closing in
            closing.finished = true
            defer { closing.waiters = [] }
            return closing.waiters
        }
        for resume in waiters { resume() }
        core.reachPullsEnd()
    }
}
