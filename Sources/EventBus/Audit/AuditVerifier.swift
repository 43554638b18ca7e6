package import JetStream

/// Compares what was acknowledged with what the stream holds.
///
/// Reads every record that ``AckAudit`` wrote and every event it names. It changes nothing and needs no consumer. Events
/// may be published meanwhile; what is recorded after the start is not looked for.
package struct AuditVerifier: Sendable {
    /// What is compared, and how patiently.
    package struct Settings: Sendable {
        /// The event stream.
        package var events: StreamName
        /// The audit stream.
        package var audit: StreamName
        /// What the configuration promises now; where a record promised less, that counts.
        package var promise: AuditRecord.Promise
        /// Only what was recorded at or after this time, milliseconds since 1970.
        package var since: UInt64?
        /// How much earlier than the entry's time its event may have been stored: clocks and a publish's moments.
        package var grace: Duration = .seconds(10)
        /// How long the broker may be away or silent.
        package var patience: Duration = .seconds(30)

        package init(events: StreamName, audit: StreamName, promise: AuditRecord.Promise) {
            self.events = events
            self.audit = audit
            self.promise = promise
        }
    }

    /// How far a run has come.
    package struct Progress: Sendable {
        /// Sequences of the audit stream done, of how many.
        package let records: UInt64, recordsInAll: UInt64
        /// Events looked for.
        package let events: UInt64
    }

    let settings: Settings
    let reader: AuditReader

    /// Makes a verifier on a connection that somebody else starts and closes.
    package init(client: JetStreamClient, settings: Settings) {
        self.settings = settings
        reader = AuditReader(client: client, patience: settings.patience)
    }

    /// Audit records that are fetched at a time; at most that many times 16,384 entries are in memory.
    private static let recordsAtATime: UInt64 = 32

    /// Runs the comparison.
    ///
    /// - Parameter progress: called from time to time, on any thread.
    /// - Throws: ``AuditVerificationError`` when it cannot be finished; nothing is known then.
    package func run(
        progress: @Sendable (Progress) -> Void = { _ in }
    ) async throws(AuditVerificationError) -> AuditReport {
        guard let info = try await reader.info(settings.audit) else { throw .noAudit(settings.audit.description) }
        let isReplicated = (try await reader.info(settings.events)?.configuration.replicas ?? 1) > 1
        var run = VerificationRun(settings: settings, audit: info, isReplicated: isReplicated)
        let first = max(1, info.state.firstSequence)
        var sequence = first
        let last = info.state.messages > 0 ? info.state.lastSequence : 0
        while sequence <= last, !Task.isCancelled {
            let end = min(last, sequence + (Self.recordsAtATime - 1))
            let found = try await records(from: sequence, through: end)
            let items = found.flatMap { run.take($0.sequence, $0.lookup) }
            try await check(items, &run)
            sequence = end + 1
            if found.isEmpty, sequence <= last {
                // A long gap, perhaps one that a damaged number of the server's own pretends: leap over it.
                guard case .found(let next) = try await reader.next(settings.audit, sequence) else { break }
                sequence = max(sequence, next.sequence)
            }
            progress(Progress(records: sequence - first, recordsInAll: last - first + 1, events: run.report.audited))
        }
        return run.finish(events: try await reader.info(settings.events))
    }

    /// The messages of the audit stream between two sequences, without those that are not there.
    private func records(
        from first: UInt64,
        through last: UInt64
    ) async throws(AuditVerificationError) -> [(sequence: UInt64, lookup: AuditReader.Lookup)] {
        typealias Found = Result<(sequence: UInt64, lookup: AuditReader.Lookup), AuditVerificationError>
        let results = await withTaskGroup(of: Found.self) { tasks in
            for sequence in first...last {
                tasks.addTask {
                    do throws(AuditVerificationError) {
                        return .success((sequence, try await reader.message(settings.audit, sequence)))
                    } catch {
                        return .failure(error)
                    }
                }
            }
            return await tasks.reduce(into: [Found]()) { $0.append($1) }
        }
        var found: [(sequence: UInt64, lookup: AuditReader.Lookup)] = []
        for result in results {
            let message = try result.get()
            if case .absent = message.lookup { continue }
            found.append(message)
        }
        return found.sorted { $0.sequence < $1.sequence }
    }

    /// Looks for the events of the items and notes what was found.
    private func check(
        _ items: [VerificationRun.Item],
        _ run: inout VerificationRun
    ) async throws(AuditVerificationError) {
        guard !items.isEmpty else { return }
        var doubts = run.note(items, try await compare(items))
        // Always a second look: nats-server 2.9 denies once what it reads first from a damaged block. In a cluster more of
        // them, with pauses: a leader that has just been elected may need a moment to know what it has.
        var looks = 1
        while !doubts.isEmpty, looks == 1 || run.mayLookAgain() {
            if looks > 1 { try? await ContinuousClock().sleep(for: .milliseconds(500)) }
            looks += 1
            let items = doubts.map(\.item)
            doubts = run.note(items, try await compare(items))
        }
        // The stream's state of now, not of the start: what aged out meanwhile is no loss.
        if !doubts.isEmpty { run.judge(doubts, try await reader.info(settings.events)) }
    }

    /// What the stream has in an item's place.
    enum Comparison: Sendable { case same, other, absent }

    private static let lookupsAtATime = 256

    /// Looks for every item, many at a time; the answers are in the items' order.
    private func compare(
        _ items: [VerificationRun.Item]
    ) async throws(AuditVerificationError) -> [Comparison] {
        typealias Part = Result<[(Int, Comparison)], AuditVerificationError>
        let parts = await withTaskGroup(of: Part.self) { tasks in
            for start in 0..<min(Self.lookupsAtATime, items.count) {
                tasks.addTask { await compare(items, from: start) }
            }
            return await tasks.reduce(into: [Part]()) { $0.append($1) }
        }
        var comparisons = [Comparison](repeating: .absent, count: items.count)
        for part in parts {
            for (index, comparison) in try part.get() { comparisons[index] = comparison }
        }
        return comparisons
    }

    private func compare(
        _ items: [VerificationRun.Item],
        from start: Int
    ) async -> Result<[(Int, Comparison)], AuditVerificationError> {
        var found: [(Int, Comparison)] = []
        do throws(AuditVerificationError) {
            for index in stride(from: start, to: items.count, by: Self.lookupsAtATime) {
                switch try await reader.message(settings.events, items[index].entry.sequence) {
                case .found(let message):
                    let isSame = PayloadDigest.of(message.payload[...]) == items[index].entry.digest
                    found.append((index, isSame ? .same : .other))
                case .absent, .unreadable: found.append((index, .absent))
                }
            }
        } catch {
            return .failure(error)
        }
        return .success(found)
    }
}
