import CloudEvents
import EventFilters
import JetStream

/// What a subscription makes of a message: whether it is an event, and whether it wants it.
struct EventIntake {
    /// What is to be done with a message.
    enum Judgement {
        case deliver(CloudEvent)
        /// Not wanted as far as this replica knows the filter.
        case skip
        /// Put back for another subscription.
        case othersOnly
        /// Wanted, and its `expirytime` has passed.
        case expired(CloudEvent)
        /// Not an event; the text says why.
        case undecodable(String)
    }

    private let subscription: Subscription
    /// The name that a redriven event bears if it is meant for this subscription alone.
    private let name: SubscriptionName
    private let isDecidedByServer: Bool

    /// - Parameter isDecidedByServer: whether everything that the consumer lets through is wanted.
    init(_ subscription: Subscription, isDecidedByServer: Bool) {
        self.subscription = subscription
        self.isDecidedByServer = isDecidedByServer
        name = subscription.id
    }

    /// Judges a message, at `now` seconds of Unix time.
    func judge(_ message: DeliveredMessage, now: Int64) -> Judgement {
        var headers: [(name: String, value: String)] = []
        var isMeantForUs = false
        if message.hasHeaders {
            if let target = message.header("Sluice-Target") {
                guard target.utf8.elementsEqual(name.text.utf8) else { return .othersOnly }
                isMeantForUs = true
            }
            headers = message.headers
        }
        let event: CloudEvent
        do {
            event = try NATSBinding.decode(headers: headers, payload: message.payload[...])
        } catch {
            return .undecodable("not a CloudEvent: \(error.violations.first?.detail ?? "unreadable")")
        }
        // What was put back for this subscription is wanted, even if its filter has changed since.
        if !isDecidedByServer, !isMeantForUs, !subscription.matches(event) { return .skip }
        if Self.hasExpired(event, now) { return .expired(event) }
        return .deliver(event)
    }

    /// Whether the event's `expirytime` has passed (CloudEvents extension "expirytime"); one that is no timestamp never has.
    static func hasExpired(_ event: CloudEvent, _ now: Int64) -> Bool {
        guard let value = event.extensions["expirytime"], let time = Timestamp(value.canonicalText) else {
            return false
        }
        return time.secondsSinceEpoch < now
    }
}
