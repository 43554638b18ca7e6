/// The way of one producing thread to the publisher, and of the outcomes back to it.
///
/// `submit`, `flush` and `drain` belong to the thread that owns the lane; only outcomes cross threads, behind a lock.
package final class PublishLane: @unchecked Sendable {
    // Safe: everything mutable is touched by the owner's thread only, as the contract says; `outbox` has its own lock.
    private let core: ClientCore
    private let outbox: Outbox
    private var items: [Batch.Item] = []
    private var cost = 0
    private var arrived: [Outbox.Entry] = []

    /// So many messages or bytes are handed over at once, so that an overload is refused in pieces.
    private static let itemsMax = 512
    private static let costMax = 4 << 20

    init(core: ClientCore, notify: @escaping @Sendable () -> Void) {
        self.core = core
        outbox = Outbox(notify: notify)
    }

    /// Takes a message; it goes out with the next ``flush()``.
    ///
    /// Its outcome comes through ``drain(_:)`` with the same tag.
    package func submit(_ message: OutboundMessage, tag: UInt64) {
        let item = Batch.Item(
            subject: message.subject.text,
            expectedStream: message.expectedStream,
            headers: message.headers,
            payload: message.payload,
            tag: tag
        )
        cost += item.cost
        items.append(item)
        if items.count >= Self.itemsMax || cost >= Self.costMax { flush() }
    }

    /// Hands over what was submitted: one lock, and one wake-up if the publisher sleeps.
    ///
    /// Never blocks.
    package func flush() {
        if items.isEmpty { return }
        let batch = Batch(owner: .lane(outbox), items: items, cost: cost, deadline: core.publishDeadline())
        items.removeAll(keepingCapacity: false)
        cost = 0
        core.enqueue(batch)
    }

    /// Calls `body` for every outcome that has come since the last call, with the time at which it came.
    package func drain(_ body: (_ tag: UInt64, _ outcome: PublishOutcome, _ time: Nanoseconds) -> Void) {
        outbox.take(into: &arrived)
        for entry in arrived { body(entry.tag, entry.outcome, entry.time) }
        arrived.removeAll(keepingCapacity: arrived.capacity <= 4096)
    }
}
