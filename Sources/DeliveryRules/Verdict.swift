/// What came of one attempt to deliver an event.
package enum AttemptResult: Sendable, Equatable {
    /// The endpoint answered in full with this status; `retryAfter` is its `Retry-After`, as a span of time.
    case answered(status: Int, retryAfter: Duration?)
    /// No answer, half an answer, or too late.
    case failed
    /// A handler returned.
    case completed
    /// A handler threw: try again.
    case threw
    /// A handler said that it will never take the event.
    case rejected
    /// Nothing left this process: costs no attempt.
    case notTried
    /// Its `expirytime` passed while it waited; nothing was sent.
    case expired
    /// It cannot be sent in the form the subscription asks for; nothing was sent.
    case undeliverable
}

/// What is to be done with an event after an attempt (design §4, "What a sink's answer means").
package enum Verdict: Sendable, Equatable {
    /// The receiver has it.
    case delivered
    /// Again after the schedule's wait, and not before `after`.
    case retry(after: Duration?)
    /// Again soon, as the same attempt.
    case again
    /// No more attempts.
    case deadLetter(DeadLetterReason)
    /// 410: no more attempts for any event; this one is dead-lettered.
    case gone

    /// An endpoint that refuses our credentials is asked so often: key rotation makes brief 401s common.
    private static let attemptsWithoutAccess = 3

    /// Judges the result of attempt number `attempt`, counted from 1.
    package static func of(_ result: AttemptResult, attempt: Int, policy: DeliveryPolicy) -> Verdict {
        switch result {
        case .completed: .delivered
        case .rejected: .deadLetter(.rejected)
        case .notTried: .again
        case .expired: .deadLetter(.expired)
        case .undeliverable: .deadLetter(.undeliverable)
        case .failed, .threw: retry(attempt, nil, policy)
        case .answered(let status, let retryAfter): of(status: status, retryAfter, attempt, policy)
        }
    }

    private static func of(status: Int, _ retryAfter: Duration?, _ attempt: Int, _ policy: DeliveryPolicy) -> Verdict {
        switch status {
        case 200..<300: return .delivered
        case 404, 408, 409, 425, 429, 500..<600: return retry(attempt, retryAfter, policy)
        case 401, 403:
            if attempt >= attemptsWithoutAccess { return .deadLetter(.rejected) }
            return retry(attempt, retryAfter, policy)
        case 410: return .gone
        case 100..<500: return .deadLetter(.rejected)
        default: return retry(attempt, nil, policy)  // not a status at all
        }
    }

    private static func retry(_ attempt: Int, _ retryAfter: Duration?, _ policy: DeliveryPolicy) -> Verdict {
        if attempt >= policy.maxAttempts { return .deadLetter(.retriesExhausted) }
        return .retry(after: retryAfter.map { min(max($0, .zero), policy.retryAfterMax) })
    }
}

extension AttemptResult {
    /// What a result says about the endpoint as a whole.
    enum Health {
        /// It answered and knows what it does, even if it refused this event.
        case good
        /// It is away, overloaded, misconfigured, or does not know us.
        case bad
        /// Nothing was sent.
        case unknown
    }

    var health: Health {
        switch self {
        case .completed, .rejected: .good
        case .failed, .threw: .bad
        case .notTried, .expired, .undeliverable: .unknown
        case .answered(let status, _):
            switch status {
            case 200..<300: .good
            case 401, 403, 404, 408, 410, 429: .bad
            case 400..<500: .good
            default: .bad
            }
        }
    }

    /// How long the endpoint wants to be left alone, if it said so with 429 or 503.
    var pauseAsked: Duration? {
        guard case .answered(let status, let retryAfter?) = self, status == 429 || status == 503 else { return nil }
        return retryAfter
    }
}
