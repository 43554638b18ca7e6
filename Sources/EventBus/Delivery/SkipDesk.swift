import JetStream

/// Acknowledges events that a subscription does not want, once it is certain that it still does not want them.
///
/// A replica knows of a change of the filter only a moment later than whoever made it. An event that is stored after the
/// change and judged by the old filter would be lost to the subscription. So the record is read again from the bucket's
/// leader after the events have come, for many of them at a time: if it is the same, they are older than any change.
///
/// Belongs to the shard's loop.
final class SkipDesk: @unchecked Sendable {
    // Safe: every function is called on the shard's loop; what comes from other threads goes through it.
    private struct Skip: Sendable {
        let ack: AckAddress
        let sequence: UInt64
        let deliveries: Int
    }

    private let shard: DeliveryShard
    private let services: DeliveryServices
    private let record: SubscriptionRecord
    private let consumer: ConsumerName
    private var waiting: [Skip] = []
    private var isAsking = false

    /// How long to wait where the record cannot be read.
    private static let pause = Duration.milliseconds(500)

    init(_ shard: DeliveryShard, _ services: DeliveryServices, _ plan: DeliveryPlan) {
        self.shard = shard
        self.services = services
        record = plan.record
        consumer = plan.consumer
    }

    /// Takes an event that the filter does not want.
    func add(_ message: DeliveredMessage) {
        waiting.append(Skip(ack: message.ack, sequence: message.sequence, deliveries: message.deliveries))
        ask()
    }

    private func ask() {
        guard !isAsking, !waiting.isEmpty else { return }
        isAsking = true
        let asked = waiting
        waiting.removeAll()
        let (loop, services, record) = (shard.loop, services, record)
        Task {
            let isCurrent = await services.isCurrent(record)
            loop.execute { self.conclude(asked, isCurrent) }
        }
    }

    private func conclude(_ asked: [Skip], _ isCurrent: Bool?) {
        switch isCurrent {
        case true?:
            for skip in asked { shard.tell(skip.ack, .acknowledge) }
        case false?:
            for skip in asked { giveBack(skip) }
        case nil:
            waiting = asked + waiting
            let loop = shard.loop
            return loop.execute(after: Self.pause) {
                self.isAsking = false
                self.ask()
            }
        }
        isAsking = false
        ask()
    }

    /// Whoever knows the new filter judges it; this delivery was no attempt.
    private func giveBack(_ skip: Skip) {
        let (loop, shard) = (shard.loop, shard)
        services.ledger.record(consumer, skip.sequence, total: skip.deliveries) {
            loop.execute { shard.tell(skip.ack, .release(delay: .seconds(1))) }
        }
    }
}
