import CNATS
import WorkerThreads

/// Takes what comes for the lanes; used on the delivery thread of one link.
///
/// Events wait here until the link's queue is empty, so that a lane's owner is woken once for many.
final class LaneReceiver {
    private let core: ClientCore
    /// The connection this receiver belongs to.
    private let epoch: UInt64
    private var mailboxes: [LaneMailbox] = []
    private var staged: [[DeliveryLane.Event]] = []
    private var stagedCount = 0
    private var last = 0

    private static let stagedMax = 256

    init(core: ClientCore) {
        self.core = core
        epoch = core.pulls.withLock { $0.epoch }
    }

    var isEmpty: Bool { stagedCount == 0 }
    var isFull: Bool { stagedCount >= Self.stagedMax }

    /// Hands over what waits.
    func flush() {
        for index in mailboxes.indices { mailboxes[index].append(movingFrom: &staged[index]) }
        stagedCount = 0
        if mailboxes.count > 64 {
            mailboxes.removeAll()
            staged.removeAll()
        }
    }

    private func stage(_ event: DeliveryLane.Event, for mailbox: LaneMailbox) {
        stagedCount += 1
        if !mailboxes.indices.contains(last) || mailboxes[last] !== mailbox {
            if let index = mailboxes.firstIndex(where: { $0 === mailbox }) {
                last = index
            } else {
                last = mailboxes.count
                mailboxes.append(mailbox)
                staged.append([])
            }
        }
        staged[last].append(event)
    }

    /// A message of a stream; dropped if its acknowledgement subject is malformed or no pull asked for it.
    func deliver(_ message: MessageView) {
        guard let reply = message.reply, let ack = AckSubject(reply) else { return }
        let key = UnsafeRawBufferPointer(rebasing: reply[ack.consumer])
        guard let delivery = core.pulls.withLock({ $0.take(consumer: key, epoch: epoch) }) else { return }
        let payload = message.payload
        let envelope = message.withHeaders { headers in
            MessageEnvelope.make(
                subject: message.subject,
                ack: reply,
                headers: headers,
                payloadCount: payload.count,
                account: delivery.mailbox.account
            )
        }
        let delivered = DeliveredMessage(
            envelope: envelope,
            payload: Array(payload),
            sequence: ack.sequence,
            consumerSequence: ack.consumerSequence,
            deliveries: ack.deliveries,
            time: ack.time,
            pending: ack.pending
        )
        stage(.message(delivery.tag, delivered), for: delivery.mailbox)
        if delivery.isLast { stage(.pullEnded(delivery.tag, .complete), for: delivery.mailbox) }
    }

    /// A status message of a pull.
    func endPull(_ token: SlotTable.Token, _ message: MessageView) {
        let headers = message.withHeaders { Array($0 ?? UnsafeRawBufferPointer(start: nil, count: 0)) }
        guard let status = HeaderBlock.status(headers), status.code != 100 else { return }
        let undelivered = HeaderBlock.value(of: "Nats-Pending-Messages", in: headers).flatMap { Int($0) } ?? 0
        guard let end = core.pulls.withLock({ $0.end(token, undelivered: undelivered) }) else { return }
        stage(.pullEnded(end.tag, PullEnd(status.code, status.text, delivered: end.delivered)), for: end.mailbox)
    }

    /// The answer to a settlement.
    func confirm(_ token: SlotTable.Token, _ message: MessageView) {
        let (entry, wakes) = core.settlements.withLock { table in
            let entry = table.remove(token)
            return (entry, table.takeRoomWanted())
        }
        if wakes { core.wake.signal() }
        guard let entry else { return }
        // The server says nothing in words; a status is that of nobody listening.
        let confirmed = message.payload.isEmpty && message.withHeaders { $0 == nil }
        stage(.settled(entry.tag, confirmed: confirmed), for: entry.mailbox)
    }
}

extension PullEnd {
    /// What a status message means; the words are the server's (nats-server, consumer.go).
    init(_ code: Int, _ text: String, delivered: Int) {
        let words = text.lowercased()
        switch code {
        case 404: self = .noMessages
        case 408: self = .expired
        case 503: self = .consumerGone
        case 409 where words.contains("consumer deleted"): self = .consumerGone
        case 409 where words.contains("batch completed"): self = .complete
        case 409 where words.contains("exceeds maxbytes") && delivered > 0: self = .complete
        default: self = .refused(text.isEmpty ? "\(code)" : String(text.prefix(200)))
        }
    }
}
