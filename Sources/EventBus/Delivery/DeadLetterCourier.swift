import JetStream
import Logging

/// Takes subscriptions' dead letters to sinks of their own.
///
/// Each such subscription has a consumer of the dead letter stream, and a worker as for events. A letter stays in its
/// stream, whether its sink takes it or not.
struct DeadLetterCourier: Sendable {
    private let client: JetStreamClient
    private let stream: StreamName
    private let logger: Logger

    /// Attempts with a letter before the sink is left without it.
    private static let maxAttempts = 20

    init(client: JetStreamClient, stream: StreamName, logger: Logger) {
        self.client = client
        self.stream = stream
        self.logger = logger
    }

    /// What a worker for a subscription's dead letters does; nil if it has no sink for them.
    ///
    /// The sink is another one than the events': it gets neither their credential nor their header fields (S-11).
    static func plan(_ record: SubscriptionRecord, _ services: DeliveryServices) -> DeliveryPlan? {
        guard let sink = record.subscription.config.deadLetterSink, let consumer = consumer(record.key) else {
            return nil
        }
        var subscription = record.subscription
        subscription.deliveryProtocol = .http
        subscription.sink = sink
        subscription.sinkCredential = nil
        subscription.settings = ProtocolSettings()
        subscription.config.batch = nil
        subscription.config.maxAttempts = maxAttempts
        // As its consumer has it.
        subscription.config.ackWait = .seconds(30)
        return DeliveryPlan(
            record: record,
            subscription: subscription,
            stream: services.deadLetters,
            consumer: consumer,
            isForDeadLetters: true,
            ratePerMinute: nil,
            consentedOrigin: record.consent.origin
        )
    }

    /// Makes the consumer where it is not there; it begins with the next letter.
    func restore(_ key: SubscriptionKey) async {
        var configuration = ConsumerConfiguration(name: Self.consumer(key))
        configuration.description = "Sluice dead letters"
        configuration.filterSubjects = [DeadLetterMessage.filter(tenant: key.tenant, subscription: key.id)]
        configuration.start = .new
        do throws(JetStreamError) {
            _ = try await client.createConsumer(configuration, in: stream)
        } catch {
            let metadata: Logger.Metadata = ["subscription": "\(key)", "reason": "\(error)"]
            logger.warning("the consumer of dead letters cannot be made yet", metadata: metadata)
        }
    }

    /// Deletes the consumer, when the subscription is gone or has no such sink any more.
    func end(_ key: SubscriptionKey) async {
        guard let name = Self.consumer(key) else { return }
        _ = try? await client.deleteConsumer(name, in: stream)
    }

    private static func consumer(_ key: SubscriptionKey) -> ConsumerName? { ConsumerName(key.durableName) }
}
