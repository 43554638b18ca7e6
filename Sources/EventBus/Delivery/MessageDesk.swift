import CloudEvents
import DeliveryRules
import JetStream

/// What a worker holds of its subscription's messages, and what it does about them at the server.
///
/// Belongs to the shard's loop, as the worker does.
final class MessageDesk: @unchecked Sendable {
    // Safe: every function is called on the shard's loop; what comes from other threads goes through it.
    private unowned let shard: DeliveryShard
    private let services: DeliveryServices
    private let ledger: HandBackLedger
    let key: SubscriptionKey
    private let stream: StreamName
    private let consumer: ConsumerName
    private let isForDeadLetters: Bool
    private let worker: UInt32
    private let intake: EventIntake
    private let skips: SkipDesk
    private(set) var held = HeldMessages()
    private var waiting = WaitingHistories()
    private(set) var skipped: UInt64 = 0
    /// Tries to store a dead letter that failed.
    private(set) var lettersFailed: UInt64 = 0
    /// Questions to the ledger, and records in it, that no message in hand waits for.
    private var ledgerCalls = 0
    /// The pulls that have not ended yet.
    private var pulls: Set<UInt32> = []
    /// From then on no message comes for the pulls that were made so far.
    private(set) var quietAt = Instant.min
    /// How long after its end a message may still be on its way, in nanoseconds.
    private static let lingering: Int64 = 1_000_000_000

    init(_ shard: DeliveryShard, _ services: DeliveryServices, _ plan: DeliveryPlan, worker: UInt32) {
        self.shard = shard
        self.services = services
        self.worker = worker
        key = plan.subscription.key
        stream = plan.stream
        consumer = plan.consumer
        isForDeadLetters = plan.isForDeadLetters
        ledger = plan.isForDeadLetters ? services.ledger.forDeadLetters : services.ledger
        skips = SkipDesk(shard, services, plan)
        intake = EventIntake(plan.subscription, isFiltered: !plan.isForDeadLetters)
    }

    // MARK: Arriving

    /// What a message turned out to be.
    enum Arriving {
        /// Not wanted; it has been acknowledged.
        case skipped
        case taken(Arrival)
    }

    /// Looks at a message and keeps it if it is wanted; `then` is called on the loop, later if it has to be looked up how
    /// many of its deliveries had no attempt.
    func take(_ message: DeliveredMessage, pull: UInt32, then: @escaping @Sendable (Arriving) -> Void) {
        if let entry = held[sequence: message.sequence] {
            // Only the newest delivery's address settles it.
            entry.message = message
            return then(.taken(arrival(message, pull, 0, entry.event == nil ? .undecodable : .event)))
        }
        let entry: HeldMessages.Entry
        let kind: Arrival.Kind
        switch intake.judge(message, now: Int64(WallClock.milliseconds / 1000)) {
        case .skip:
            skipped += 1
            skips.add(message)
            return then(.skipped)
        case .othersOnly:
            skipped += 1
            shard.tell(message.ack, .acknowledge)
            return then(.skipped)
        case .deliver(let decoded):
            (entry, kind) = (HeldMessages.Entry(message, decoded), .event)
        case .expired(let decoded):
            (entry, kind) = (HeldMessages.Entry(message, decoded), .expired)
        case .undecodable(let reason):
            (entry, kind) = (HeldMessages.Entry(message, fault: reason), .undecodable)
        }
        guard message.deliveries > 1 else {
            held.add(entry)
            return then(.taken(arrival(message, pull, 0, kind)))
        }
        let loop = shard.loop
        ledgerCalls += 1
        ledger.lookUp(consumer, message.sequence) { total in
            loop.execute {
                self.ledgerCalls -= 1
                self.keep(entry, kind, pull, total, then)
            }
        }
    }

    /// Whether something is under way of which the machine does not know.
    var isBusy: Bool { ledgerCalls > 0 }

    private func keep(
        _ entry: HeldMessages.Entry,
        _ kind: Arrival.Kind,
        _ pull: UInt32,
        _ total: Int,
        _ then: (Arriving) -> Void
    ) {
        if let old = held[sequence: entry.sequence] {
            old.message = entry.message
        } else {
            entry.isRecorded = total > 0
            if let history = waiting.take(entry.sequence) { entry.history = history }
            held.add(entry)
        }
        then(.taken(arrival(entry.message, pull, total, kind)))
    }

    private func arrival(
        _ message: DeliveredMessage,
        _ pull: UInt32,
        _ unattempted: Int,
        _ kind: Arrival.Kind
    ) -> Arrival {
        Arrival(
            sequence: message.sequence,
            deliveries: message.deliveries,
            unattempted: unattempted,
            kind: kind,
            pull: pull
        )
    }

    // MARK: At the server

    /// Asks for messages.
    ///
    /// - Returns: False if the subscription holds its share of the lane's memory already; nothing is sent.
    func pull(_ request: PullRequest) -> Bool {
        guard held.bytes < Self.bytesMax else { return false }
        quietAt = max(quietAt, monotonicNow() + request.expires.nanosecondsBounded + Self.lingering)
        pulls.insert(request.id)
        shard.pull(consumer, stream, request, worker, isUrgent: held.count == 0)
        return true
    }

    /// To be called when a pull has ended.
    func pullEnded(_ id: UInt32) { pulls.remove(id) }

    /// Payload that one subscription may hold: an eighth of what its lane may, so that none stops the others.
    private static let bytesMax = 8 << 20

    func cancelPulls() {
        for id in pulls { shard.cancel(pull: id, worker) }
    }

    /// Drops a message; once nothing is held, the pulls go past what others hold.
    private func drop(_ sequence: UInt64) -> HeldMessages.Entry? {
        let entry = held.remove(sequence)
        if held.count == 0 { shard.hurry(pulls: pulls, worker) }
        return entry
    }

    /// Settles a message; the answer comes to the worker with the message's slot.
    ///
    /// - Returns: False if the message is not in hand: nothing is sent.
    func settle(_ sequence: UInt64, _ how: Settlement) -> Bool {
        guard let slot = held.slot(of: sequence), let entry = held[slot] else { return false }
        shard.settle(entry.message.ack, how, worker, slot: slot)
        return true
    }

    /// Tells the server that a message needs more time; the answer comes with the message's slot and the mark.
    ///
    /// - Returns: The slot, nil if the message is not in hand: nothing is sent.
    func renew(_ sequence: UInt64, mark: UInt32) -> UInt32? {
        guard let slot = held.slot(of: sequence), let entry = held[slot] else { return nil }
        shard.settle(entry.message.ack, .progress, worker, slot: slot | mark)
        return slot
    }

    /// Gives a message back; with `unattempted`, when that is recorded.
    func release(
        _ sequence: UInt64,
        _ delay: Duration,
        unattempted: Int?,
        failed: @escaping @Sendable () -> Void
    ) {
        if let entry = held[sequence: sequence] { waiting.keep(entry.history, of: sequence) }
        guard let unattempted else {
            if !settle(sequence, .release(delay: delay)) { failed() }
            return
        }
        let loop = shard.loop
        ledger.record(consumer, sequence, total: unattempted) {
            loop.execute {
                if !self.settle(sequence, .release(delay: delay)) { failed() }
            }
        }
    }

    func extend(_ sequence: UInt64) {
        guard let entry = held[sequence: sequence] else { return }
        shard.tell(entry.message.ack, .progress)
    }

    /// What becomes of a dead letter.
    enum Burial {
        /// It is being stored; the outcome comes to the worker with the message's slot.
        case begun
        /// It is stored already: a dead letter that its own sink does not take stays where it is.
        case done
        /// The message is not in hand.
        case impossible
    }

    func bury(_ sequence: UInt64, _ reason: DeadLetterReason, attempts: Int) -> Burial {
        guard let slot = held.slot(of: sequence), let entry = held[slot] else { return .impossible }
        if isForDeadLetters {
            let words = entry.history.lastError ?? entry.fault ?? reason.rawValue
            let text = "the dead letter sink did not take \(sequence), which is kept: \(words)"
            services.log(DeliveryLogLine(key: key, text: text, isWarning: true))
            return .done
        }
        entry.burial = (reason, attempts)
        publishLetter(slot)
        return .begun
    }

    /// - Parameter deleted: the sequence of an earlier letter of the event, which is not there any more.
    private func publishLetter(_ slot: UInt32, after deleted: UInt64? = nil) {
        guard let entry = held[slot], let burial = entry.burial else { return }
        let history = entry.history
        let letter = DeadLetterMessage.make(
            DeadLetterOrigin(entry.message, stream: stream),
            of: key,
            DeadLetterHistory(
                reason: burial.reason,
                attempts: burial.attempts,
                lastStatus: history.lastStatus,
                lastError: history.lastError ?? entry.fault,
                firstTime: history.first,
                lastTime: history.last
            ),
            stream: services.deadLetters,
            after: deleted,
            bytesMax: shard.payloadMax
        )
        shard.publishLetter(letter, worker, slot: slot)
    }

    /// Takes the outcome of storing a dead letter; `then` gets the event's sequence and whether its letter is there, on the
    /// loop, later if it has to be looked up.
    func letterPublished(
        _ slot: UInt32,
        _ outcome: PublishOutcome,
        then: @escaping @Sendable (UInt64, Bool) -> Void
    ) {
        guard let sequence = sequence(in: slot) else { return }
        switch outcome {
        case .stored(_, duplicate: false): then(sequence, true)
        case .stored(let letter, duplicate: true):
            // The stream knows its id, but somebody may have deleted the letter, or put it back, since.
            let (loop, services) = (shard.loop, services)
            Task {
                let isThere = await services.hasLetter(letter)
                loop.execute {
                    guard self.sequence(in: slot) == sequence else { return }
                    if isThere == false { return self.publishLetter(slot, after: letter) }
                    if isThere == nil { self.lettersFailed += 1 }
                    then(sequence, isThere == true)
                }
            }
        case .rejected, .notSent, .unknown:
            lettersFailed += 1
            let text = "dead letter of \(sequence) not stored: \(outcome)"
            services.log(DeliveryLogLine(key: key, text: text, isWarning: true))
            then(sequence, false)
        }
    }

    /// The delivery ran out while it waited here.
    func lapse(_ sequence: UInt64, unattempted: Int) {
        let loop = shard.loop
        ledgerCalls += 1
        ledger.record(consumer, sequence, total: unattempted) { loop.execute { self.ledgerCalls -= 1 } }
        if let entry = drop(sequence) { waiting.keep(entry.history, of: sequence) }
    }

    func forget(_ sequence: UInt64, settled: Bool) {
        guard let entry = drop(sequence) else { return }
        // It comes again, perhaps to this replica, and its history goes on.
        if !settled { waiting.keep(entry.history, of: sequence) }
        if settled, entry.isRecorded { ledger.forget(consumer, sequence) }
    }

    // MARK: In hand

    /// The sequence in a slot, nil if it is empty.
    func sequence(in slot: UInt32) -> UInt64? { held[slot]?.sequence }

    /// What goes to the sink; nil if the message is not in hand or is no event.
    func delivery(_ sequence: UInt64, attempt: Int) -> Delivery? {
        guard let entry = held[sequence: sequence], let event = entry.event else { return nil }
        return Delivery(
            event: event,
            text: entry.isStructured ? JSONScanner.withoutByteOrderMark(entry.message.payload[...]) : nil,
            sequence: sequence,
            attempt: attempt,
            message: entry.message,
            consumer: consumer
        )
    }

    /// Notes an attempt that ended at `time`, in milliseconds of Unix time.
    func note(_ report: AttemptReport, of sequence: UInt64, at time: UInt64) {
        held[sequence: sequence]?.history.note(report, at: time)
    }
}
