package import JetStream

/// One redrive: takes up dead letters one after the other, several at a time, within limit and rate.
struct RedriveRun: Sendable {
    /// Dead letters in work at a time.
    private static let width = 32
    /// Dead letters listed at a time.
    private static let pageSize = 256

    let step: RedriveStep
    let progress: @Sendable (RedriveReport) -> Void

    private var request: RedriveRequest { step.request }

    func run() async -> RedriveReport {
        var report = RedriveReport()
        var source = Source(run: self)
        var pace = Pace(perSecond: request.isDryRun ? nil : request.ratePerSecond)
        await withTaskGroup(of: (UInt64, RedriveStep.Outcome).self) { group in
            var running = 0
            func collect() async {
                guard let (sequence, outcome) = await group.next() else { return }
                running -= 1
                note(sequence, outcome, in: &report)
            }
            while report.stopped == nil {
                // One that is gone does not count: more may be taken up for it.
                while running > 0, running >= Self.width || report.matched + running >= request.limit {
                    await collect()
                }
                guard report.stopped == nil, report.matched + running < request.limit else { break }
                if Task.isCancelled {
                    report.stopped = "cancelled"
                    break
                }
                do throws(DeadLetterError) {
                    guard let candidate = try await source.next() else { break }
                    guard await pace.wait() else { continue }
                    group.addTask { (candidate.sequence, await work(candidate)) }
                    running += 1
                } catch {
                    report.stopped = error.description
                }
            }
            while running > 0 { await collect() }
        }
        return report
    }

    private func work(_ candidate: Candidate) async -> RedriveStep.Outcome {
        guard request.isDryRun else { return await step.run(candidate.sequence) }
        if let letter = candidate.letter { return await judge(letter) }
        do throws(DeadLetterError) {
            guard let letter = try await step.box.get(request.tenant, candidate.sequence) else { return .absent }
            return await judge(letter)
        } catch {
            return .hopeless(.unreadable(error.description))
        }
    }

    private func judge(_ letter: DeadLetter) async -> RedriveStep.Outcome {
        if let failure = await step.check(letter) { return .failed(failure) }
        return .possible
    }

    private func note(_ sequence: UInt64, _ outcome: RedriveStep.Outcome, in report: inout RedriveReport) {
        switch outcome {
        case .redriven:
            report.matched += 1
            report.redriven += 1
        case .possible: report.matched += 1
        case .absent:
            // In a list it is worth telling; what a filter found and another redrive took is not.
            guard case .sequences = request.selection else { return }
            report.note(sequence, .notFound)
        case .failed(let failure): report.note(sequence, failure)
        case .hopeless(let failure):
            report.note(sequence, failure)
            report.stopped = report.stopped ?? failure.description
        }
        progress(report)
    }

    /// One to take up.
    struct Candidate: Sendable {
        let sequence: UInt64
        /// Kept for a dry run only: whatever is put back is read again right before.
        let letter: DeadLetter?
    }

    /// Where the sequences come from.
    private struct Source {
        private let run: RedriveRun
        private var waiting: ArraySlice<Candidate> = []
        /// Where the next page begins; nil when there is none.
        private var after: UInt64?
        /// The newest dead letter when the redrive began: what comes back meanwhile is not sent round in circles.
        private var through: UInt64?

        init(run: RedriveRun) {
            self.run = run
            switch run.request.selection {
            case .sequences(let sequences):
                var seen = Set<UInt64>()
                waiting =
                    sequences.filter { seen.insert($0).inserted }.map { Candidate(sequence: $0, letter: nil) }[...]
            case .filter: after = 0
            }
        }

        /// The next one; nil at the end.
        mutating func next() async throws(DeadLetterError) -> Candidate? {
            while waiting.isEmpty {
                guard let after, case .filter(let filter) = run.request.selection else { return nil }
                let page = try await page(filter, after: after)
                waiting = page.items[...]
                self.after = page.next
            }
            return waiting.popFirst()
        }

        private mutating func page(
            _ filter: DeadLetterBox.Filter,
            after: UInt64
        ) async throws(DeadLetterError) -> DeadLetterScan.Page<Candidate> {
            let (box, request) = (run.step.box, run.request)
            var pause = RetryPause(patience: run.step.patience)
            while true {
                do throws(DeadLetterError) {
                    let through = try await end(box)
                    let scan = DeadLetterScan.Request(
                        filter: DeadLetterMessage.filter(tenant: request.tenant, subscription: filter.subscription),
                        after: after,
                        through: through,
                        limit: min(RedriveRun.pageSize, request.limit)
                    )
                    return try await box.scan(request.tenant, scan) { letter in
                        guard filter.accepts(letter) else { return nil }
                        return Candidate(sequence: letter.sequence, letter: request.isDryRun ? letter : nil)
                    }
                } catch {
                    guard error.isPassing, await pause.wait() else { throw error }
                }
            }
        }

        private mutating func end(_ box: DeadLetterBox) async throws(DeadLetterError) -> UInt64 {
            if let through { return through }
            do {
                let last = try await box.client.streamInfo(box.stream)?.state.lastSequence ?? 0
                through = last
                return last
            } catch {
                throw DeadLetterError(error)
            }
        }
    }

    /// Lets no more than so many through a second, evenly.
    private struct Pace {
        private let interval: Duration?
        private var next = ContinuousClock.now

        init(perSecond rate: Int?) {
            interval = rate.map { .seconds(1) / max($0, 1) }
        }

        /// False if the task was cancelled meanwhile.
        mutating func wait() async -> Bool {
            guard let interval else { return true }
            let now = ContinuousClock.now
            if next > now {
                do { try await Task.sleep(for: next - now) } catch { return false }
            }
            next = max(next, now) + interval
            return true
        }
    }
}

extension DeadLetterBox {
    /// Puts dead letters back into the event stream, each for its own subscription alone.
    ///
    /// Safe to be killed at any moment and run again, and to run twice at once: each one selected comes back at least once,
    /// and once within the event stream's duplicate window. What cannot be put back stays. It ends early, with
    /// ``RedriveReport/stopped``, when nothing more can succeed, or when the task is cancelled; what is in work then is
    /// brought to its end.
    ///
    /// - Parameters:
    ///   - request: which ones, and how.
    ///   - events: the stream of the events.
    ///   - prefix: the first tokens of the events' subjects.
    ///   - patience: how long NATS may be away or silent.
    ///   - refusal: why a dead letter cannot be put back, such as that its subscription is gone; nil if it can.
    ///   - progress: called after every dead letter, one call at a time.
    package func redrive(
        _ request: RedriveRequest,
        into events: StreamName,
        prefix: SubjectPrefix,
        patience: Duration = .seconds(10),
        refusal: @escaping @Sendable (DeadLetter) async -> String?,
        progress: @escaping @Sendable (RedriveReport) -> Void = { _ in }
    ) async -> RedriveReport {
        let step = RedriveStep(
            box: self,
            events: events,
            prefix: prefix,
            request: request,
            refusal: refusal,
            patience: patience
        )
        return await RedriveRun(step: step, progress: progress).run()
    }
}
