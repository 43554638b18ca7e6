import CNATS

/// The I/O thread's own queue of what lanes and services ask for.
struct LaneQueue {
    private struct Group {
        let mailbox: LaneMailbox
        let orders: [LaneBatch.Order]
        let deadline: Nanoseconds
    }

    private struct WaitingPull {
        let mailbox: LaneMailbox
        var pull: LaneBatch.Pull
        var end: Nanoseconds { pull.asked + pull.expires }
    }

    /// How far the end of all pulls has come.
    private struct PullsEnd {
        let asked: Nanoseconds
        /// Until when it is waited for.
        let deadline: Nanoseconds
        /// When a message to ourselves was sent, to see whether this user may.
        var echoSent: Nanoseconds?
        /// What could still come at the last look, and when the next is.
        var coming: Int?
        var nextLook: Nanoseconds
        /// Whether the server has been told.
        var isSent = false
        var isReached = false

        var nextDeadline: Nanoseconds { isReached ? .max : isSent ? deadline : min(nextLook, deadline) }
    }

    private let core: ClientCore
    private var groups: [Group] = []
    private var head = 0
    private var next = 0
    private var pulls: [WaitingPull] = []
    private var cancelled: [(LaneMailbox, DeliveryLane.Tag)] = []
    /// Nil while pulls are sent.
    private var pullsEnd: PullsEnd?
    var answers: [ServiceAnswer] = []
    /// Whether settlements wait for others to be confirmed.
    private var isFull = false

    /// At most so many settlements between two looks at the socket.
    private static let turnMax = 1024
    /// So many are appended between two looks at how much waits to be written.
    private static let pieceMax = 64
    /// How often a pull that waits for memory is looked at.
    private static let memoryCheck: Nanoseconds = 20_000_000

    init(core: ClientCore) {
        self.core = core
    }

    private var hasOrders: Bool { head < groups.count }
    var isEmpty: Bool { !hasOrders && answers.isEmpty }
    /// Whether there is something that only the socket or the turn's limit has stopped.
    var canContinue: Bool { hasOrders && !isFull || !answers.isEmpty }

    /// When to call ``seeToDeadlines(now:)``.
    func nextDeadline(now: Nanoseconds) -> Nanoseconds {
        let order = hasOrders ? groups[head].deadline : .max
        let memory = pulls.isEmpty ? .max : now + Self.memoryCheck
        let tables = min(core.pulls.withLock { $0.earliestDeadline }, core.settlements.withLock { $0.earliestDeadline })
        return min(order, memory, tables, pullsEnd?.nextDeadline ?? .max)
    }

    mutating func append(contentsOf batches: [(mailbox: LaneMailbox, batch: LaneBatch)]) {
        let deadline = monotonicNow() + core.configuration.settlementTimeout.nanoseconds
        for (mailbox, batch) in batches {
            pulls += batch.pulls.map { WaitingPull(mailbox: mailbox, pull: $0) }
            cancelled += batch.cancelled.map { (mailbox, $0) }
            for tag in batch.hurried { hurry(tag, of: mailbox) }
            if !batch.orders.isEmpty {
                groups.append(Group(mailbox: mailbox, orders: batch.orders, deadline: deadline))
            }
        }
    }

    private mutating func hurry(_ tag: DeliveryLane.Tag, of mailbox: LaneMailbox) {
        guard let index = pulls.firstIndex(where: { $0.mailbox === mailbox && $0.pull.tag == tag }) else { return }
        pulls[index].pull.isUrgent = true
    }

    // MARK: Sending

    /// Hands to cnats what the link takes now.
    mutating func send(to link: NATSLink, while canSend: () -> Bool) {
        cancel()
        if pullsEnd != nil {
            endPulls(on: link)
        } else if canSend() {
            sendPulls(to: link)
        }
        sendOrders(to: link, while: canSend)
        while !answers.isEmpty, canSend() {
            let piece = answers.prefix(Self.pieceMax)
            for answer in piece { _ = link.publish(answer) }
            answers.removeFirst(piece.count)
        }
    }

    private mutating func cancel() {
        for (mailbox, tag) in cancelled {
            if let index = pulls.firstIndex(where: { $0.mailbox === mailbox && $0.pull.tag == tag }) {
                pulls.remove(at: index)
                mailbox.append(.pullEnded(tag, .closing))
            } else if core.pulls.withLock({ $0.cancel(tag, of: mailbox) }) {
                mailbox.append(.pullEnded(tag, .closing))
            }
        }
        cancelled.removeAll(keepingCapacity: true)
    }

    private mutating func sendPulls(to link: NATSLink) {
        if pulls.isEmpty { return }
        link.subscribeToPulls { ReplySink(core: core) }
        let now = monotonicNow()
        let configuration = core.configuration
        var kept: [WaitingPull] = []
        // A message of the server's largest size fits, unless the lane's owner wants less.
        let largest = (link.info?.maxPayload ?? 1 << 20) + 8192
        // Servers before 2.9.16 say nothing when a pull has expired (N-04); others are given time to say it.
        let grace: Nanoseconds = link.info?.isAtLeast(2, 9, 16) ?? false ? 1_000_000_000 : 100_000_000
        for waiting in pulls {
            let mailbox = waiting.mailbox
            var pull = waiting.pull
            if mailbox.account.held >= configuration.deliveryBytesMax {
                guard pull.isUrgent else {
                    kept.append(waiting)
                    continue
                }
                pull.count = 1
            }
            let deadline = now + pull.expires + grace
            let token = core.pulls.withLock { $0.insert(pull, mailbox, deadline: deadline, now: now) }
            guard let token else {
                mailbox.append(.pullEnded(pull.tag, .notSent))
                continue
            }
            let bytes = min(pull.bytesMax ?? .max, max(configuration.pullBytesMax, largest))
            guard link.publish(pull, bytesMax: bytes, token: token) != NATS_OK else { continue }
            if let end = core.pulls.withLock({ $0.remove(token) }) { end.mailbox.append(.pullEnded(end.tag, .notSent)) }
        }
        pulls = kept
    }

    private mutating func sendOrders(to link: NATSLink, while canSend: () -> Bool) {
        isFull = false
        var left = Self.turnMax
        while left > 0, hasOrders, !isFull, canSend() {
            left -= sendPiece(to: link)
            link.countGiven()
        }
        if left < Self.turnMax { core.inbox.withLock { $0.release(orders: Self.turnMax - left) } }
    }

    /// Sends some settlements of the first group, with one lock for their slots; returns how many.
    private mutating func sendPiece(to link: NATSLink) -> Int {
        let group = groups[head]
        let piece = group.orders[next..<min(next + Self.pieceMax, group.orders.count)]
        let tokens = core.settlements.withLock { table in
            var tokens: [SlotTable.Token?] = []
            tokens.reserveCapacity(piece.count)
            for order in piece {
                if order.isConfirmed {
                    let entry = SettlementTable.Entry(mailbox: group.mailbox, tag: order.tag, deadline: group.deadline)
                    guard let token = table.insert(entry) else { break }
                    tokens.append(token)
                } else {
                    tokens.append(nil)
                }
            }
            return tokens
        }
        isFull = tokens.count < piece.count
        for (order, token) in zip(piece, tokens) {
            guard link.publish(order.how, to: order.envelope, token: token) != NATS_OK, let token else { continue }
            if let entry = core.settlements.withLock({ $0.remove(token) }) {
                entry.mailbox.append(.settled(entry.tag, confirmed: false))
            }
        }
        advance(tokens.count)
        return tokens.count
    }

    private mutating func advance(_ count: Int) {
        next += count
        guard next == groups[head].orders.count else { return }
        next = 0
        head += 1
        if head == groups.count {
            groups.removeAll(keepingCapacity: groups.capacity <= 1024)
            head = 0
        } else if head >= 64 {
            groups.removeSubrange(..<head)
            head = 0
        }
    }

    // MARK: Ends

    /// Ends what is past its deadline, sent or not.
    mutating func seeToDeadlines(now: Nanoseconds) {
        if let pullsEnd, pullsEnd.deadline <= now { reachPullsEnd() }
        for end in core.pulls.withLock({ $0.removeExpired(now: now) }) { core.endSilentPull(end) }
        refuse(core.settlements.withLock { $0.removeExpired(now: now) })
        while hasOrders, groups[head].deadline <= now { refuseGroup() }
        if pulls.isEmpty { return }
        for waiting in pulls where waiting.end <= now {
            waiting.mailbox.append(.pullEnded(waiting.pull.tag, .notSent))
        }
        pulls.removeAll { $0.end <= now }
    }

    /// Ends everything: the connection is gone, or the client is closing.
    mutating func endAll(_ sent: PullEnd, unsent: PullEnd) {
        endPullsWithoutLink()
        for end in core.pulls.withLock({ $0.removeAll() }) { end.mailbox.append(.pullEnded(end.tag, sent)) }
        refuse(core.settlements.withLock { $0.removeAll() })
        while hasOrders { refuseGroup() }
        for waiting in pulls { waiting.mailbox.append(.pullEnded(waiting.pull.tag, unsent)) }
        pulls.removeAll()
        cancelled.removeAll()
        answers.removeAll()
    }

    // MARK: The end of all pulls

    /// So many messages more may be on their way than outstanding pulls may bring: those of pulls that we have given up.
    private static let lateMax = 1024
    /// A full pull comes in one go: its end is waited for, as nothing comes for this long, or at most for the longer time.
    private static let quietTime: Nanoseconds = 50_000_000
    private static let quietMax: Nanoseconds = 5_000_000_000
    /// How long a message to ourselves is waited for: much may come before it, but not after it has been refused.
    private static let echoMax: Nanoseconds = 10_000_000_000
    private static let echoMaxWhenRefused: Nanoseconds = 500_000_000
    /// How often it is looked for.
    private static let echoCheck: Nanoseconds = 2_000_000

    /// Sends no pull from now on, and ends those that are at the server as soon as little is on its way.
    mutating func endPulls(by deadline: Nanoseconds) {
        let now = monotonicNow()
        if pullsEnd == nil { pullsEnd = PullsEnd(asked: now, deadline: deadline, nextLook: now) }
    }

    /// Messages that come now would be no harm here, but within a cluster they may be lost on their way between two servers,
    /// and servers before 2.9.22 count what they could not send.
    private mutating func endPulls(on link: NATSLink) {
        let now = monotonicNow()
        guard var end = pullsEnd, !end.isSent, !end.isReached, now >= end.nextLook else { return }
        let coming = core.pulls.withLock { $0.coming }
        if coming > 0, coming != end.coming, now - end.asked < Self.quietMax {
            end.coming = coming
            end.nextLook = now + Self.quietTime
            pullsEnd = end
            return
        }
        guard link.hasPulled else { return reachPullsEnd() }
        guard let echoSent = end.echoSent else {
            link.sendEcho()
            end.echoSent = now
            end.nextLook = now + Self.echoCheck
            pullsEnd = end
            return
        }
        guard link.hasEcho else {
            if now - echoSent >= (link.hasBeenRefused ? Self.echoMaxWhenRefused : Self.echoMax) {
                // Not allowed: then what is on its way at this moment is lost to us, and comes to others later.
                link.dropPulls()
                return reachPullsEnd()
            }
            end.nextLook = now + Self.echoCheck
            pullsEnd = end
            return
        }
        end.isSent = true
        pullsEnd = end
        let core = core
        if !link.endPulls(coming: coming + Self.lateMax, whenOver: { core.reachPullsEnd() }) { reachPullsEnd() }
    }

    /// Without a connection nothing comes of any pull.
    mutating func endPullsWithoutLink() { if pullsEnd != nil { reachPullsEnd() } }

    private mutating func reachPullsEnd() {
        if pullsEnd?.isReached == true { return }
        pullsEnd?.isReached = true
        core.reachPullsEnd()
    }

    private func refuse(_ entries: [SettlementTable.Entry]) {
        for entry in entries { entry.mailbox.append(.settled(entry.tag, confirmed: false)) }
    }

    private mutating func refuseGroup() {
        let group = groups[head]
        let rest = group.orders[next...]
        var events: [DeliveryLane.Event] = []
        for order in rest where order.isConfirmed { events.append(.settled(order.tag, confirmed: false)) }
        core.inbox.withLock { $0.release(orders: rest.count) }
        group.mailbox.append(movingFrom: &events)
        advance(rest.count)
    }
}
