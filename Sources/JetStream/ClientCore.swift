import WorkerThreads

/// What the client's threads share.
///
/// Producers call ``enqueue(_:)``; the I/O thread (``IOLoop``) moves batches into cnats; cnats' delivery thread settles
/// them through ``settle(_:_:)``; the connector thread delivers links. Locks are never nested.
final class ClientCore: Sendable {
    let configuration: JetStreamConfiguration
    let inbox: Locked<Inbox>
    let slots: Locked<SlotTable>
    let pulls: Locked<PullTable>
    let settlements: Locked<SettlementTable>
    let services = Locked(ServiceTable())
    let wake = WakeSignal()
    /// Connection attempts' results on their way from the connector to the I/O thread; nil when that thread has ended.
    let arrivals = Locked<[Result<NATSLink, Connector.ConnectFailure>]?>([])
    let closing = Locked<Closing>(Closing())
    /// The end of all pulls, of which there is one at most.
    let pullsEnd = Locked<PullsEnd>(PullsEnd())
    private let connectionState = Locked<ConnectionState>(.connecting(lastFailure: nil))
    /// How many connections were made so far.
    let connects = Locked<UInt64>(0)
    private let onStateChange: @Sendable (ConnectionState) -> Void
    let log: @Sendable (LogEvent) -> Void

    /// How far closing has come.
    struct Closing: Sendable {
        var started = false
        var finished = false
        /// When to stop waiting for acknowledgements, once closing is asked for.
        var deadline: Nanoseconds?
        var waiters: [@Sendable () -> Void] = []
    }

    /// Who waits until nothing more comes of any pull.
    struct PullsEnd: Sendable {
        var isReached = false
        var waiters: [@Sendable () -> Void] = []
    }

    /// Pause before a message is sent again because the server asked for patience, and how often for no responders.
    static let retryPause: Nanoseconds = 250_000_000
    static let noRespondersRetriesMax = 2

    init(
        configuration: JetStreamConfiguration,
        onStateChange: @escaping @Sendable (ConnectionState) -> Void,
        log: @escaping @Sendable (LogEvent) -> Void
    ) {
        self.configuration = configuration
        self.onStateChange = onStateChange
        self.log = log
        inbox = Locked(Inbox(configuration: configuration))
        slots = Locked(SlotTable(countMax: configuration.inFlightMax, costMax: configuration.inFlightBytesMax))
        pulls = Locked(PullTable(countMax: configuration.pullsMax))
        settlements = Locked(SettlementTable(countMax: configuration.settlementsInFlightMax))
    }

    var state: ConnectionState { connectionState.withLock { $0 } }

    func setState(_ new: ConnectionState) {
        let changed = connectionState.withLock { state in
            guard state != new, state != .closed else { return false }
            if case .connecting = state, new.isConnected { connects.withLock { $0 += 1 } }
            state = new
            return true
        }
        if changed { onStateChange(new) }
    }

    func publishDeadline() -> Nanoseconds { monotonicNow() + configuration.publishTimeout.nanoseconds }

    /// Takes a batch, or gives all of it its outcome at once.
    func enqueue(_ batch: Batch) {
        switch inbox.withLock({ $0.add(batch) }) {
        case .accepted(let needsWake): if needsWake { wake.signal() }
        case .refused(let reason): batch.complete(from: 0, .notSent(reason))
        }
    }

    /// Takes what a lane asks for, or gives all of it its end at once.
    func enqueue(_ batch: LaneBatch, _ mailbox: LaneMailbox) {
        switch inbox.withLock({ $0.add(batch, mailbox) }) {
        case .accepted(let needsWake): if needsWake { wake.signal() }
        case .refused(let reason): batch.refuse(reason == .closing ? .closing : .notSent, mailbox)
        }
    }

    /// Takes the answer of a service; dropped without a connection, or if too many wait.
    func enqueue(_ answer: ServiceAnswer) {
        if case .accepted(true) = inbox.withLock({ $0.add(answer) }) { wake.signal() }
    }

    /// Asks for the end of all pulls; `resume` is called when nothing more comes of any, or at the deadline.
    func endPulls(by deadline: Nanoseconds, _ resume: @escaping @Sendable () -> Void) {
        let isReached = pullsEnd.withLock { end in
            if !end.isReached { end.waiters.append(resume) }
            return end.isReached
        }
        if isReached { return resume() }
        if inbox.withLock({ $0.endPulls(by: deadline) }) { wake.signal() }
    }

    /// Nothing more comes of any pull, from now on; on any thread.
    func reachPullsEnd() {
        let waiters = pullsEnd.withLock { end in
            end.isReached = true
            defer { end.waiters = [] }
            return end.waiters
        }
        for resume in waiters { resume() }
    }

    /// Takes the result of a connection attempt, on the connector thread.
    func deliver(_ result: Result<NATSLink, Connector.ConnectFailure>) {
        let taken = arrivals.withLock { arrivals in
            arrivals?.append(result)
            return arrivals != nil
        }
        if taken { wake.signal() } else if case .success(let link) = result { link.close() }
    }

    /// Handles one reply, on cnats' delivery thread.
    func settle(_ token: SlotTable.Token, _ reply: ReplySink.Reply) {
        guard let (entry, wakesSender) = take(token) else { return }
        if wakesSender { wake.signal() }
        let item = entry.batch.items[entry.index]
        switch reply {
        case .noResponders:
            if item.isQuestion {
                entry.batch.complete(entry.index, .rejected(.noResponders))
            } else if entry.asked == .duplicateInProcess {
                retry(entry, .duplicateInProcess)
            } else if entry.retries < Self.noRespondersRetriesMax {
                retry(entry, .noResponders)
            } else {
                entry.batch.complete(entry.index, .rejected(.noResponders))
            }
        case .payload(let bytes):
            guard let expected = item.expectedStream else {
                if case .requester(let resume) = entry.batch.owner { resume(.success(Array(bytes))) }
                return
            }
            switch PubAck(bytes, expected: expected) {
            case .stored(_, 0, true), .error(_, 10158, _): retry(entry, .duplicateInProcess)
            case .stored(false, _, _): entry.batch.complete(entry.index, .unknown(.wrongStream))
            case .stored(true, 0, false): entry.batch.complete(entry.index, .unknown(.sequenceZero))
            case .stored(true, let sequence, let duplicate):
                entry.batch.complete(entry.index, .stored(sequence: sequence, duplicate: duplicate))
            case .error(let code, let errorCode, let description):
                let rejection = Rejection(code: code, errorCode: errorCode, description: description)
                // Of a message whose earlier copy was being stored, a refusal says nothing about that copy.
                let mayBeStored = entry.asked == .duplicateInProcess
                entry.batch.complete(
                    entry.index,
                    mayBeStored ? .unknown(.duplicateInProcess) : .rejected(rejection)
                )
            case .unreadable: entry.batch.complete(entry.index, .unknown(.badAcknowledgement))
            }
        }
    }

    private func take(_ token: SlotTable.Token) -> (SlotTable.Entry, Bool)? {
        slots.withLock { slots in slots.remove(token).map { ($0, slots.takeRoomWanted()) } }
    }

    private func retry(_ entry: SlotTable.Entry, _ reason: SlotTable.RetryReason) {
        let time = monotonicNow() + Self.retryPause
        let outcome = slots.withLock { $0.insertForRetry(entry, reason: reason, at: time) }
        if let outcome { entry.batch.complete(entry.index, outcome) } else { wake.signal() }
    }
}
