import CloudEvents
import EventBus

/// The problems of subscriptions in the words of the API.
extension Problem {
    init(_ error: SubscriptionError) {
        switch error {
        case .notFound:
            // The same words whether it never was or is another tenant's (S-04).
            self.init(kind: .notFound, detail: "there is no such subscription")
        case .exists: self.init(kind: .conflict, detail: "there is a subscription of this name already")
        case .conflict:
            self.init(kind: .conflict, detail: "the subscription is being changed by others; nothing was changed")
        case .invalid(let violations): self.init(.invalidSubscription, violations)
        case .wrongProtocol(let actual):
            self.init(
                kind: .wrongProtocol,
                detail: "this is for subscriptions of the protocol PULL; the subscription has \(actual.rawValue)"
            )
        case .tooMany(let limit):
            self.init(
                kind: .tooManySubscriptions,
                detail: "the tenant has \(limit) subscriptions, which is the limit (MAX_SUBSCRIPTIONS)",
                limit: limit
            )
        case .tooManyConsumers(_, let count):
            self.init(kind: .tooManyConsumers, detail: error.description, limit: count)
        case .unavailable(let reason): self.init(kind: .unavailable, detail: reason)
        }
    }

    /// The problem of a definition: everything at once.
    init(_ invalid: InvalidSubscription) {
        let isMalformed = invalid.violations.contains { $0.rule == "JSON-02" && $0.pointer.isEmpty }
        self.init(isMalformed ? .malformedJSON : .invalidSubscription, invalid.violations)
    }
}
