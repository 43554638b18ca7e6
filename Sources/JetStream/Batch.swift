/// Messages handed over together, with one deadline.
package final class Batch: Sendable {
    /// Who waits for the outcome.
    package enum Owner: Sendable {
        case lane(Outbox)
        case publisher(@Sendable (PublishOutcome) -> Void)
        case requester(@Sendable (Result<[UInt8], JetStreamError>) -> Void)
    }

    /// What goes out: a message for a stream, or a request whose answer is returned as it is.
    package struct Item: Sendable {
        let subject: String
        let expectedStream: StreamName?
        let headers: MessageHeaders
        let payload: ArraySlice<UInt8>
        let tag: UInt64
        /// Whether nobody listening is an answer, given at once; else it is tried again (C-18).
        let isQuestion: Bool

        package init(
            subject: String,
            expectedStream: StreamName?,
            headers: MessageHeaders,
            payload: ArraySlice<UInt8>,
            tag: UInt64,
            isQuestion: Bool = false
        ) {
            self.subject = subject
            self.expectedStream = expectedStream
            self.headers = headers
            self.payload = payload
            self.tag = tag
            self.isQuestion = isQuestion
        }

        /// What the message weighs in our queues.
        var cost: Int { payload.count + 256 }
    }

    let owner: Owner
    let items: [Item]
    let cost: Int
    let deadline: Nanoseconds

    package init(owner: Owner, items: [Item], cost: Int, deadline: Nanoseconds) {
        self.owner = owner
        self.items = items
        self.cost = cost
        self.deadline = deadline
    }

    /// Gives one item its outcome; to be called without a lock held.
    func complete(_ index: Int, _ outcome: PublishOutcome) {
        switch owner {
        case .lane(let outbox): outbox.append(tag: items[index].tag, outcome)
        case .publisher(let resume): resume(outcome)
        case .requester(let resume): resume(.failure(Self.requestError(outcome)))
        }
    }

    /// Gives every item from `start` on the same outcome.
    func complete(from start: Int, _ outcome: PublishOutcome) {
        for index in start..<items.count { complete(index, outcome) }
    }

    private static func requestError(_ outcome: PublishOutcome) -> JetStreamError {
        switch outcome {
        case .stored: .badResponse("an acknowledgement instead of an answer")
        case .rejected(let rejection) where rejection.kind == .noResponders: .noResponders
        case .rejected(let rejection): .badResponse(rejection.description)
        case .notSent(.disconnected): .notConnected
        case .notSent(.overloaded): .overloaded
        case .notSent(.expired): .timeout
        case .notSent(.closing): .closed
        case .unknown(.connectionLost): .connectionLost
        case .unknown: .timeout
        }
    }
}

/// Outcomes on their way back to a lane's owner.
package final class Outbox: Sendable {
    struct Entry: Sendable {
        let tag: UInt64
        let outcome: PublishOutcome
        let time: Nanoseconds
    }

    private struct State {
        var entries: [Entry] = []
        var notified = false
    }

    private let state = Locked(State())
    private let notify: @Sendable () -> Void

    init(notify: @escaping @Sendable () -> Void) {
        self.notify = notify
    }

    func append(tag: UInt64, _ outcome: PublishOutcome) {
        let time = monotonicNow()
        let first = state.withLock { state in
            state.entries.append(Entry(tag: tag, outcome: outcome, time: time))
            defer { state.notified = true }
            return !state.notified
        }
        if first { notify() }
    }

    /// Exchanges the waiting entries for `empty`, whose storage is used for the next ones.
    func take(into empty: inout [Entry]) {
        state.withLock { state in
            swap(&state.entries, &empty)
            state.notified = false
        }
    }
}
