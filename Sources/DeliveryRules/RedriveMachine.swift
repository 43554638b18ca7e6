/// Puts dead letters back into the event stream: each is published, and removed only after it was stored.
///
/// It may end at any moment and be started again: a dead letter keeps the message id of its next redrive until it is
/// removed, so within the stream's duplicate window a second run stores nothing twice.
package struct RedriveMachine: Sendable {
    /// What to do.
    package struct Plan: Sendable, Equatable {
        /// At most so many.
        package var limit: Int
        /// At most so many a second; nil is as fast as they are stored.
        package var ratePerSecond: Int?
        /// A dead letter that was redriven so often already stays where it is.
        package var maxRedrives: Int
        /// Only count.
        package var isDryRun: Bool

        package init(limit: Int = .max, ratePerSecond: Int? = nil, maxRedrives: Int = 10, isDryRun: Bool = false) {
            self.limit = max(0, limit)
            self.ratePerSecond = ratePerSecond.map { min(max($0, 1), 1_000_000) }
            self.maxRedrives = max(1, maxRedrives)
            self.isDryRun = isDryRun
        }
    }

    /// What was done.
    package struct Report: Sendable, Equatable {
        /// Selected, within the limit.
        package internal(set) var matched = 0
        /// Stored in the event stream and removed from the dead letters.
        package internal(set) var redriven = 0
        /// Still among the dead letters: redriven too often, not stored, or not removed.
        package internal(set) var failed = 0
    }

    /// What came of publishing.
    package enum Published: Sendable, Equatable {
        /// Stored, now or by an earlier run.
        case stored
        /// Refused: trying again is useless.
        case refused
        /// Not stored, or not known.
        case failed
    }

    package enum Input: Sendable, Equatable {
        /// Begin.
        case start
        /// A dead letter that was selected, and how often it was redriven before.
        case found(sequence: UInt64, redriveCount: Int)
        /// The page that was asked for ends; there may be another.
        case pageEnded(isLast: Bool)
        /// The one answer to `publish`.
        case published(sequence: UInt64, Published)
        /// The one answer to `remove`; true also if it was gone already.
        case removed(sequence: UInt64, Bool)
        /// Begin nothing more and finish what is under way.
        case stop
        /// The moment ``RedriveMachine/nextWake`` has come.
        case wake
    }

    package enum Command: Sendable, Equatable {
        /// Look for more dead letters; answered by `found`s and one `pageEnded`.
        case more
        /// Store in the event stream, with `redriveCount` beside it and the id of ``RedriveMachine/messageID``.
        case publish(sequence: UInt64, redriveCount: Int)
        /// Remove from the dead letters.
        case remove(UInt64)
        /// It is over; nothing comes after it.
        case finished(Report)
    }

    private struct Letter: Sendable {
        let sequence: UInt64
        let redriveCount: Int
        var isStored = false
        var tries = 0
        var due: Instant = .max
    }

    private static let window = 64
    private static let queueLow = 256
    private static let tries = 5

    private let plan: Plan
    package private(set) var report = Report()
    private var queue: ContiguousArray<Letter> = []
    private var head = 0
    private var underWay: [UInt64: Letter] = [:]
    private var resting: [Letter] = []
    private var mayFindMore = true
    private var isLooking = false
    private var isStopped = false
    private var isFinished = false
    private var nextPublishAt: Instant = .min
    private var clock: Instant = .min

    package init(_ plan: Plan) {
        self.plan = plan
    }

    /// The message id of one redrive of one dead letter: the same in every run.
    package static func messageID(stream: String, sequence: UInt64, redriveCount: Int) -> String {
        "redrive:\(stream):\(sequence):\(redriveCount)"
    }

    /// When to come back with `wake` at the latest; `.max` is never.
    package var nextWake: Instant {
        if isFinished { return .max }
        var wake = resting.reduce(Instant.max) { min($0, $1.due) }
        if head < queue.count, underWay.count < Self.window, !isStopped { wake = min(wake, nextPublishAt) }
        return wake
    }

    /// Takes one input at a moment and appends what is to be done.
    package mutating func handle(_ input: Input, now: Instant, into commands: inout [Command]) {
        clock = max(clock, now)
        if isFinished { return }
        switch input {
        case .start, .wake: break
        case .found(let sequence, let count): found(Letter(sequence: sequence, redriveCount: max(0, count)))
        case .pageEnded(let isLast):
            isLooking = false
            if isLast { mayFindMore = false }
        case .published(let sequence, let result): published(sequence, result, &commands)
        case .removed(let sequence, let isGone): removed(sequence, isGone)
        case .stop:
            isStopped = true
            report.failed += queue.count - head
            queue.removeAll()
            head = 0
        }
        advance(&commands)
    }

    private mutating func found(_ letter: Letter) {
        if isStopped || report.matched >= plan.limit { return }
        report.matched += 1
        if plan.isDryRun { return }
        if letter.redriveCount >= plan.maxRedrives {
            report.failed += 1
        } else {
            queue.append(letter)
        }
    }

    private mutating func published(_ sequence: UInt64, _ result: Published, _ commands: inout [Command]) {
        guard var letter = underWay[sequence], !letter.isStored else { return }
        switch result {
        case .stored:
            letter.isStored = true
            letter.tries = 0
            underWay[sequence] = letter
            commands.append(.remove(sequence))
        case .refused: fail(sequence)
        case .failed: rest(letter)
        }
    }

    private mutating func removed(_ sequence: UInt64, _ isGone: Bool) {
        guard let letter = underWay[sequence], letter.isStored else { return }
        if isGone {
            underWay[sequence] = nil
            report.redriven += 1
        } else {
            rest(letter)
        }
    }

    private mutating func fail(_ sequence: UInt64) {
        underWay[sequence] = nil
        report.failed += 1
    }

    /// Tries the same step again after a growing pause, a few times.
    private mutating func rest(_ letter: Letter) {
        var letter = letter
        letter.tries += 1
        if letter.tries >= Self.tries { return fail(letter.sequence) }
        letter.due = clock.adding(Nanoseconds.second << (letter.tries - 1))
        underWay[letter.sequence] = letter
        resting.append(letter)
    }

    private mutating func advance(_ commands: inout [Command]) {
        for letter in resting where clock >= letter.due {
            commands.append(
                letter.isStored
                    ? .remove(letter.sequence)
                    : .publish(sequence: letter.sequence, redriveCount: letter.redriveCount + 1)
            )
        }
        resting.removeAll { clock >= $0.due }
        while head < queue.count, underWay.count < Self.window, clock >= nextPublishAt {
            let letter = queue[head]
            head += 1
            if underWay[letter.sequence] != nil {
                report.matched -= 1  // found twice
                continue
            }
            underWay[letter.sequence] = letter
            commands.append(.publish(sequence: letter.sequence, redriveCount: letter.redriveCount + 1))
            if let rate = plan.ratePerSecond {
                nextPublishAt = max(nextPublishAt, clock).adding(Nanoseconds.second / Int64(rate))
            }
        }
        if head == queue.count || head > 1024 {
            queue.removeFirst(head)
            head = 0
        }
        let wantsMore = mayFindMore && !isStopped && report.matched < plan.limit
        if wantsMore, !isLooking, queue.count - head < Self.queueLow {
            isLooking = true
            commands.append(.more)
        }
        if !wantsMore, !isLooking, head == queue.count, underWay.isEmpty {
            isFinished = true
            commands.append(.finished(report))
        }
    }
}
