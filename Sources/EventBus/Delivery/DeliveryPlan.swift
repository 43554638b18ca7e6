import DeliveryRules
package import JetStream

/// A subscription as a worker delivers to it.
package struct DeliveryPlan: Sendable {
    /// What it was made of.
    let record: SubscriptionRecord
    package let subscription: Subscription
    /// The stream it reads, and its consumer there.
    package let stream: StreamName
    package let consumer: ConsumerName
    /// Whether it takes the subscription's dead letters to their sink; they stay in their stream, whatever becomes of that.
    package let isForDeadLetters: Bool
    /// Requests a minute that the endpoint has consented to, nil for any number.
    package let ratePerMinute: Int?
    /// The origin that the endpoint has consented to; nil without a handshake.
    package let consentedOrigin: String?

    /// Events that clients may hold under locks where the subscription does not say how many: `maxInFlight` has its default
    /// for deliveries that keep an endpoint busy, which locks do not.
    private static let locksMax = 10_000

    private var maxInFlight: Int {
        let configured = subscription.config.maxInFlight
        let isDefault = configured == SubscriptionConfig().maxInFlight
        return subscription.deliveryProtocol == .pull && isDefault ? Self.locksMax : configured
    }

    var policy: DeliveryPolicy {
        let config = subscription.config
        return DeliveryPolicy(
            maxAttempts: config.maxAttempts,
            schedule: RetrySchedule(steps: config.backoff),
            ackWait: config.ackWait,
            maxInFlight: maxInFlight,
            ratePerMinute: ratePerMinute,
            breaker: subscription.deliveryProtocol == .http ? CircuitBreaker.Policy() : nil,
            disableAfter: subscription.deliveryProtocol == .http ? .seconds(5 * 86_400) : nil
        )
    }
}
