/// The way of one thread to JetStream's consumers: pull requests and settlements out, messages and outcomes in.
///
/// All calls belong to the thread that owns the lane; messages and outcomes cross threads many at a time, with one wake-up.
package final class DeliveryLane: @unchecked Sendable {
    // Safe: everything mutable is touched by the owner's thread only, as the contract says; `mailbox` has its own lock.
    /// Chosen by the owner for a pull or a settlement; comes back with what belongs to it.
    package typealias Tag = UInt64

    /// What comes in.
    package enum Event: Sendable {
        /// A message that the pull brought, or one that came late.
        ///
        /// JetStream does not say which of several pulls of one consumer a message answers: it counts for the oldest.
        case message(Tag, DeliveredMessage)
        /// The pull brings nothing more, but for messages that are on their way.
        case pullEnded(Tag, PullEnd)
        /// Whether the server has confirmed the settlement; if not, it may have had its effect all the same.
        case settled(Tag, confirmed: Bool)
    }

    private let core: ClientCore
    private let mailbox: LaneMailbox
    private var batch = LaneBatch()
    private var arrived: [Event] = []

    /// So many settlements are handed over at once.
    private static let settlementsMax = 1024

    init(core: ClientCore, notify: @escaping @Sendable () -> Void) {
        self.core = core
        mailbox = LaneMailbox(notify: notify)
    }

    /// Asks a consumer for messages; the request goes out with the next ``flush()``.
    ///
    /// Never blocks.
    ///
    /// It ends with exactly one ``Event/pullEnded(_:_:)``: soon after `expires` at the latest, a few seconds later if the
    /// server says nothing and is asked for the consumer then. A pull waits for its
    /// turn, within `expires`, while the lane holds more than ``JetStreamConfiguration/deliveryBytesMax``.
    ///
    /// - Parameters:
    ///   - batch: Messages wanted, 1 or more.
    ///   - bytesMax: Bytes wanted, with headers and subjects; nil for the configuration's
    ///     ``JetStreamConfiguration/pullBytesMax``, which is also the most. A next message larger than this ends the pull
    ///     as refused.
    ///   - expires: How long the server may wait for messages; 1 ms or more.
    ///   - noWait: Whether only messages that are there now are wanted.
    ///   - isUrgent: Whether one message is worth going over the lane's bound on memory.
    package func pull(
        _ consumer: ConsumerName,
        in stream: StreamName,
        batch count: Int,
        bytesMax: Int? = nil,
        expires: Duration,
        noWait: Bool = false,
        isUrgent: Bool = false,
        tag: Tag
    ) {
        let pull = LaneBatch.Pull(
            consumer: consumer,
            stream: stream,
            count: max(count, 1),
            bytesMax: bytesMax.map { max($0, 1) },
            expires: max(expires.nanoseconds, 1_000_000),
            noWait: noWait,
            isUrgent: isUrgent,
            tag: tag,
            asked: monotonicNow()
        )
        batch.pulls.append(pull)
    }

    /// Ends a pull on our side with ``PullEnd/closing``; messages that still come are handed over all the same.
    package func cancel(pull tag: Tag) { batch.cancelled.append(tag) }

    /// Makes a pull urgent that may be waiting for memory; nothing changes for one that has been sent.
    package func hurry(pull tag: Tag) { batch.hurried.append(tag) }

    /// Settles a message and asks for a confirmation, which comes as ``Event/settled(_:confirmed:)``.
    package func settle(_ ack: AckAddress, _ how: Settlement, tag: Tag) {
        add(LaneBatch.Order(envelope: ack.envelope, how: how, tag: tag, isConfirmed: true))
    }

    /// Settles a message and asks for nothing.
    package func tell(_ ack: AckAddress, _ how: Settlement) {
        add(LaneBatch.Order(envelope: ack.envelope, how: how, tag: 0, isConfirmed: false))
    }

    private func add(_ order: LaneBatch.Order) {
        batch.orders.append(order)
        if batch.orders.count >= Self.settlementsMax { flush() }
    }

    /// Hands over what was asked for: one lock, and one wake-up if the client's thread sleeps.
    ///
    /// Never blocks.
    package func flush() {
        if batch.isEmpty { return }
        var full = LaneBatch()
        swap(&full, &batch)
        core.enqueue(full, mailbox)
    }

    /// Calls `body` for everything that has come since the last call, in order.
    package func drain(_ body: (Event) -> Void) {
        mailbox.take(into: &arrived)
        for event in arrived { body(event) }
        arrived.removeAll(keepingCapacity: arrived.capacity <= 4096)
    }

    /// Bytes of delivered messages that the lane and its owner hold.
    package var bytesHeld: Int { mailbox.account.held }

    /// Whether that is as much as it may be: pulls wait, but for urgent ones.
    package var isFull: Bool { bytesHeld >= core.configuration.deliveryBytesMax }
}

extension JetStreamClient {
    /// A lane for one thread.
    ///
    /// `notify` is called, on any thread, when something waits, once until the next `drain`; also from within the lane's
    /// own `flush`. It must return at once and must not call the lane.
    package func makeDeliveryLane(notify: @escaping @Sendable () -> Void) -> DeliveryLane {
        DeliveryLane(core: core, notify: notify)
    }
}
