import CloudEvents
import EventFilters
import JetStream

/// What a subscription makes of a message: whether it is an event, and whether it wants it.
struct EventIntake {
    /// What is to be done with a message.
    enum Judgement {
        case deliver(Decoded)
        /// Not wanted as far as this replica knows the filter.
        case skip
        /// Put back for another subscription.
        case othersOnly
        /// Wanted, and its `expirytime` has passed.
        case expired(Decoded)
        /// Not an event; the text says why.
        case undecodable(String)
    }

    /// An event, and how its message carries it.
    struct Decoded {
        let event: CloudEvent
        /// Whether the payload is the event's JSON.
        let isStructured: Bool
    }

    private let subscription: Subscription
    /// The name that a redriven event bears if it is meant for this subscription alone.
    private let name: SubscriptionName
    private let isFiltered: Bool

    /// - Parameter isFiltered: whether the subscription's filter counts; not for dead letters, which have passed it. It counts
    ///   also where the server decides by the subject: a producer that publishes natively may put another type below it.
    init(_ subscription: Subscription, isFiltered: Bool) {
        self.subscription = subscription
        self.isFiltered = isFiltered
        name = subscription.id
    }

    /// Judges a message, at `now` seconds of Unix time.
    func judge(_ message: DeliveredMessage, now: Int64) -> Judgement {
        let (target, contentType) = message.hasHeaders ? message.headers("Sluice-Target", "content-type") : (nil, nil)
        if let target, !target.utf8.elementsEqual(name.text.utf8) { return .othersOnly }
        let decoded: Decoded
        do throws(InvalidEvent) {
            decoded = try Self.decode(message, contentType)
        } catch {
            return .undecodable("not a CloudEvent: \(error.violations.first?.detail ?? "unreadable")")
        }
        // What was put back for this subscription is wanted, even if its filter has changed since.
        if isFiltered, target == nil, !subscription.matches(decoded.event) { return .skip }
        if Self.hasExpired(decoded.event, now) { return .expired(decoded) }
        return .deliver(decoded)
    }

    private static func decode(_ message: DeliveredMessage, _ contentType: String?) throws(InvalidEvent) -> Decoded {
        let payload = message.payload[...]
        // In this mode the content type alone counts.
        if let contentType, ContentMode(contentType: contentType) == .structured {
            return Decoded(event: try JSONFormat.decode(payload, contentType: contentType), isStructured: true)
        }
        let headers = message.hasHeaders ? message.headers : []
        return Decoded(event: try NATSBinding.decode(headers: headers, payload: payload), isStructured: false)
    }

    /// Whether the event's `expirytime` has passed (CloudEvents extension "expirytime"); one that is no timestamp never has.
    static func hasExpired(_ event: CloudEvent, _ now: Int64) -> Bool {
        guard !event.extensions.isEmpty, let value = event.extensions["expirytime"],
            let time = Timestamp(value.canonicalText)
        else {
            return false
        }
        return time.secondsSinceEpoch < now
    }
}
