/// What is to be put back for delivery, and how.
package struct RedriveRequest: Sendable {
    /// Which dead letters.
    package enum Selection: Sendable {
        /// These, each once.
        case sequences([UInt64])
        /// All that the filter accepts and that were there when the redrive began, the oldest first.
        case filter(DeadLetterBox.Filter)
    }

    package var tenant: TenantName
    package var selection: Selection
    /// Says what would be done, and does nothing.
    package var isDryRun = false
    /// Takes up so many at most.
    package var limit = Int.max
    /// Publishes no more than so many events a second; nil for as many as go.
    package var ratePerSecond: Int?
    /// An event that was put back so often is refused: its subscription will not take it this time either.
    package var redriveCountMax = 10
    /// Does without that guard.
    package var isForced = false

    package init(tenant: TenantName, selection: Selection) {
        self.tenant = tenant
        self.selection = selection
    }
}

/// Why a dead letter was not put back; it stays where it is.
package enum RedriveFailure: Sendable, Equatable, CustomStringConvertible {
    /// The tenant has no dead letter with this sequence.
    case notFound
    /// Its subscription is gone, or cannot take it, in the words of whoever knows.
    case refused(String)
    /// It was put back so often already.
    case loop(count: Int)
    /// Its original subject is not recorded, or is no event's of this tenant.
    case subject
    /// It is larger than the event stream or the server takes.
    case tooLarge(String)
    /// The event stream did not take it.
    case notStored(String)
    /// Whether the event stream took it is not known; trying again soon puts it back once.
    case unknown(String)
    /// The event stream took it, but it could not be removed here; trying again soon puts it back no second time.
    case notRemoved(String)
    /// It could not be read.
    case unreadable(String)

    /// One line for people.
    package var description: String {
        switch self {
        case .notFound: "there is no such dead letter"
        case .refused(let words): words
        case .loop(let count): "it has been put back \(count) times already"
        case .subject: "its original subject is not recorded, or cannot be published to"
        case .tooLarge(let words), .notStored(let words), .unreadable(let words): words
        case .unknown(let words): "it is not known whether it was stored: \(words)"
        case .notRemoved(let words): "put back, but still among the dead letters: \(words)"
        }
    }
}

/// What has become of a redrive.
package struct RedriveReport: Sendable {
    /// One that was not put back.
    package struct Failed: Sendable, Equatable {
        package let sequence: UInt64
        package let failure: RedriveFailure

        package init(sequence: UInt64, failure: RedriveFailure) {
            self.sequence = sequence
            self.failure = failure
        }
    }

    /// Most failures told one by one.
    package static let failuresMax = 1000

    /// Dead letters taken up: those put back (or that would be) and those that failed.
    package internal(set) var matched = 0
    /// Stored in the event stream and removed here; none in a dry run.
    package internal(set) var redriven = 0
    /// Left where they are.
    package internal(set) var failed = 0
    /// The first ``failuresMax`` of them.
    package internal(set) var failures: [Failed] = []
    /// Why it ended before everything selected was tried; nil if it did not.
    package internal(set) var stopped: String?

    mutating func note(_ sequence: UInt64, _ failure: RedriveFailure) {
        matched += 1
        failed += 1
        if failures.count < Self.failuresMax { failures.append(Failed(sequence: sequence, failure: failure)) }
    }
}
