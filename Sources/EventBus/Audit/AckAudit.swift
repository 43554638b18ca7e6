package import JetStream
package import Logging

/// Remembers in a stream of its own what was acknowledged, so that ``AuditVerifier`` can tell later whether it is still
/// there: a broker may lose what it acknowledged, and only somebody who wrote it down can know.
///
/// About once a second a record of sequences and digests goes to `audit.acks.<replica>`. Nothing waits for it, and no
/// publish fails because of it: while it cannot be stored, entries wait, at most ``waitingMax``; beyond that they are
/// dropped, and the next record says how many. A process that is killed leaves its last second or so unrecorded.
/// All methods may be called from any thread or task.
package final class AckAudit: Sendable {
    /// Most entries that wait for their record, 16 bytes each.
    package static let waitingMax = 1_000_000
    /// Most entries of one record; so many that wait are recorded before the second is over.
    package static let recordEntriesMax = 16_384

    /// A record on its way: sent unchanged until it is stored.
    private struct Outgoing {
        let record: AuditRecord
        let message: OutboundMessage
    }

    private struct State {
        var backlog = AuditBacklog(countMax: AckAudit.waitingMax)
        var outgoing: Outgoing?
        var busy = false
        var ended = false
        var nextNumber: UInt64 = 1
        var previousTime: UInt64 = 0
        var entriesMax = AckAudit.recordEntriesMax
        var failuresInARow = 0
        var status = AckAuditStatus()
    }

    /// What became of an attempt to record.
    private enum Attempt {
        case stored(isLast: Bool)
        case nothingToDo
        case failed

        var isStored: Bool {
            if case .stored = self { true } else { false }
        }
    }

    private let client: JetStreamClient
    private let stream: StreamName
    private let events: StreamName
    private let replica: String
    private let promise: AuditRecord.Promise
    private let logger: Logger
    private let state = Locked(State())

    /// Makes an audit; nothing is sent before ``run()``.
    ///
    /// - Parameters:
    ///   - client: the connection, which somebody else starts and closes.
    ///   - stream: the audit stream.
    ///   - events: the stream that the sequences are of.
    ///   - replica: this process's name, unlike that of any other process that ever writes to the stream.
    ///   - promise: what the configuration promises about the events.
    package init(
        client: JetStreamClient,
        stream: StreamName,
        events: StreamName,
        replica: String,
        promise: AuditRecord.Promise,
        logger: Logger
    ) {
        self.client = client
        self.stream = stream
        self.events = events
        self.replica = replica
        self.promise = promise
        self.logger = logger
    }

    /// The audit of a bus, or `nil` where its plan has none.
    package convenience init?(bus: EventBus) {
        let plan = bus.configuration.streams
        guard let stream = plan.audit?.name else { return nil }
        self.init(
            client: bus.client,
            stream: stream,
            events: plan.events.name,
            replica: bus.replica,
            promise: plan.auditPromise,
            logger: bus.logger
        )
    }

    /// What is waiting and what was recorded, behind a short lock.
    package var status: AckAuditStatus {
        state.withLock { state in
            var status = state.status
            status.pending = state.backlog.count + (state.outgoing?.record.entries.count ?? 0)
            return status
        }
    }

    /// Takes entries over; never waits.
    package func fold(_ entries: [AuditEntry]) {
        guard !entries.isEmpty else { return }
        let now = WallClock.milliseconds
        let (dropped, isFirst) = state.withLock { state in
            let isFirst = state.status.droppedInARow == 0
            let dropped = state.backlog.add(entries, time: now)
            state.status.dropped += UInt64(dropped)
            state.status.droppedInARow += UInt64(dropped)
            return (dropped, isFirst)
        }
        if dropped > 0, isFirst { AuditLog.dropping(stream, logger) }
    }

    /// Records about once a second until the task is cancelled.
    package func run() async {
        let clock = ContinuousClock()
        var due = clock.now + .seconds(1)
        while !Task.isCancelled {
            try? await clock.sleep(for: .milliseconds(250))
            guard clock.now >= due || state.withLock({ $0.backlog.count >= $0.entriesMax }) else { continue }
            if !client.state.isConnected { continue }
            var attempt: Attempt
            repeat {
                attempt = await record(closing: false)
            } while attempt.isStored && state.withLock { $0.backlog.count >= $0.entriesMax }
            due = clock.now + pause
        }
    }

    /// Records what still waits, and that this is the end; for a process that stops in good order, after ``run()``
    /// and after the last ``fold(_:)``, before the client is closed.
    ///
    /// - Parameter limit: how long to try; what is not recorded by then stays unaudited.
    package func flush(within limit: Duration) async {
        let clock = ContinuousClock()
        let deadline = clock.now + limit
        // A publish cannot be cancelled and may outlast the limit: it is left behind then.
        let work = Task { await self.finish() }
        while !state.withLock({ $0.ended }), clock.now < deadline {
            try? await clock.sleep(for: .milliseconds(5))
        }
        work.cancel()
    }

    private func finish() async {
        while !Task.isCancelled {
            switch await record(closing: true) {
            case .nothingToDo, .stored(isLast: true): return state.withLock { $0.ended = true }
            case .stored: continue
            case .failed: try? await ContinuousClock().sleep(for: .milliseconds(50))
            }
        }
    }

    /// A second, and longer after failures, so that a stream that refuses is not hammered.
    private var pause: Duration {
        .seconds(1 << min(state.withLock { $0.failuresInARow }, 4))
    }

    /// Sends the record under way, or else the next one, and waits for its outcome.
    private func record(closing: Bool) async -> Attempt {
        let isBusy = state.withLock { state in
            defer { state.busy = true }
            return state.busy
        }
        if isBusy { return .failed }
        defer { state.withLock { $0.busy = false } }
        guard let outgoing = nextOutgoing(closing: closing) else { return .nothingToDo }
        let outcome = await client.publish(outgoing.message)
        guard case .stored = outcome else {
            failed(outgoing, outcome)
            return .failed
        }
        stored(outgoing)
        return .stored(isLast: outgoing.record.isLast)
    }

    /// The record to send now; encoding happens outside of the lock, which `busy` makes safe.
    private func nextOutgoing(closing: Bool) -> Outgoing? {
        let room = ((client.serverInfo?.maxPayload ?? 1 << 20) - 1024 - AuditRecord.frameBytesMax)
        let roomEntries = max(1, room / AuditRecord.entryBytesMax)
        let now = WallClock.milliseconds
        var outgoing: Outgoing?
        let record: AuditRecord? = state.withLock { state in
            outgoing = state.outgoing
            guard outgoing == nil, !state.backlog.isEmpty || (closing && state.nextNumber > 1) else { return nil }
            let taken = state.backlog.take(atMost: min(state.entriesMax, roomEntries))
            return AuditRecord(
                number: state.nextNumber,
                previousTime: state.previousTime,
                earliestTime: taken?.earliestTime ?? now,
                time: now,
                dropped: state.backlog.takeDropped(),
                promise: promise,
                isLast: closing && state.backlog.isEmpty,
                stream: events.description,
                entries: taken?.entries ?? []
            )
        }
        guard let record else { return outgoing }
        let made = Outgoing(record: record, message: message(of: record))
        state.withLock { $0.outgoing = made }
        return made
    }

    private func message(of record: AuditRecord) -> OutboundMessage {
        OutboundMessage(
            subject: Subject(prefix: .literal("audit"), tokens: ["acks", replica]),
            expectedStream: stream,
            headers: MessageHeaders(messageID: HeaderValue("\(replica)-\(record.number)-\(record.time)")),
            payload: record.encoded[...]
        )
    }

    private func stored(_ outgoing: Outgoing) {
        let failures = state.withLock { state in
            defer { state.failuresInARow = 0 }
            state.outgoing = nil
            state.nextNumber += 1
            state.previousTime = outgoing.record.time
            state.status.recorded += UInt64(outgoing.record.entries.count)
            state.status.records += 1
            state.status.droppedInARow = 0
            state.status.lastRecord = .now
            return state.failuresInARow
        }
        if failures > 0 { AuditLog.recovered(stream, logger) }
    }

    private func failed(_ outgoing: Outgoing, _ outcome: PublishOutcome) {
        let isFirst = state.withLock { state in
            state.failuresInARow += 1
            state.status.failures += 1
            if case .rejected(let rejection) = outcome, rejection.kind == .tooLarge, outgoing.record.entries.count > 1 {
                // Certainly not stored: the same number is used for a smaller record.
                state.outgoing = nil
                state.entriesMax = outgoing.record.entries.count / 2
                state.backlog.putBack(
                    outgoing.record.entries,
                    time: outgoing.record.earliestTime,
                    dropped: outgoing.record.dropped
                )
            }
            return state.failuresInARow == 1
        }
        if isFirst { AuditLog.failing(stream, outcome, logger) }
    }
}

/// What an ``AckAudit`` has done so far.
package struct AckAuditStatus: Sendable {
    /// Entries that wait for their record to be stored.
    package internal(set) var pending = 0
    /// Entries in stored records.
    package internal(set) var recorded: UInt64 = 0
    /// Stored records.
    package internal(set) var records: UInt64 = 0
    /// Entries that found no room and will never be recorded.
    package internal(set) var dropped: UInt64 = 0
    /// Attempts that failed; each was or will be repeated.
    package internal(set) var failures: UInt64 = 0
    /// When the last record was stored.
    package internal(set) var lastRecord: ContinuousClock.Instant?
    /// Entries dropped since the last stored record.
    var droppedInARow: UInt64 = 0
}

/// The audit's log lines: once when a trouble begins, once when it ends.
enum AuditLog {
    static func failing(_ stream: StreamName, _ outcome: PublishOutcome, _ logger: Logger) {
        let reason =
            switch outcome.receipt(stream: stream) {
            case .success: ""
            case .failure(let error): error.description
            }
        logger.warning(
            "audit records cannot be stored; they are kept and tried again",
            metadata: ["stream": "\(stream)", "reason": "\(reason)"]
        )
    }

    static func recovered(_ stream: StreamName, _ logger: Logger) {
        logger.info("audit records are stored again", metadata: ["stream": "\(stream)"])
    }

    static func dropping(_ stream: StreamName, _ logger: Logger) {
        logger.warning(
            "too many acknowledged events wait for their audit record; further ones are not audited",
            metadata: ["stream": "\(stream)", "waiting": "\(AckAudit.waitingMax)"]
        )
    }
}
