import JetStream

/// Puts one dead letter back: publish, PubAck, remove, in this order.
///
/// Killed between any two steps it can be done again: the message id names the dead letter and the try, so that within the
/// event stream's duplicate window it is stored once.
struct RedriveStep: Sendable {
    /// What became of it.
    enum Outcome: Sendable {
        case redriven
        /// It would be put back.
        case possible
        /// It is not there: removed since it was listed.
        case absent
        case failed(RedriveFailure)
        /// The same would become of every other.
        case hopeless(RedriveFailure)
    }

    let box: DeadLetterBox
    let events: StreamName
    let prefix: SubjectPrefix
    let request: RedriveRequest
    /// Why a dead letter cannot be put back, in words; nil if it can.
    let refusal: @Sendable (DeadLetter) async -> String?
    /// How long NATS may be away or silent before a step gives up.
    let patience: Duration

    private var client: JetStreamClient { box.client }

    /// Does it all.
    func run(_ sequence: UInt64) async -> Outcome {
        let letter: DeadLetter
        do throws(DeadLetterError) {
            let found = try await insisting({ $0.isPassing }) { () async throws(DeadLetterError) in
                try await box.get(request.tenant, sequence)
            }
            guard let found else { return .absent }
            letter = found
        } catch {
            return .hopeless(.unreadable(error.description))
        }
        if let failure = await check(letter) { return .failed(failure) }
        guard let message = message(of: letter) else { return .failed(.subject) }
        switch await publish(message) {
        case .stored(let stored, duplicate: true):
            guard await isSame(message, stored, letter) else {
                return .failed(.unknown("another message has its id"))
            }
            return await remove(letter)
        case .stored: return await remove(letter)
        case .rejected(let rejection): return Self.outcome(rejection)
        case .notSent(let reason): return .hopeless(.notStored("not sent: \(reason.rawValue)"))
        case .unknown(let reason): return .hopeless(.unknown(reason.rawValue))
        }
    }

    /// Why it cannot be put back; nil if nothing is known that speaks against it.
    func check(_ letter: DeadLetter) async -> RedriveFailure? {
        if letter.redriveCount >= request.redriveCountMax, !request.isForced {
            return .loop(count: letter.redriveCount)
        }
        if let words = await refusal(letter) { return .refused(words) }
        return message(of: letter) == nil ? .subject : nil
    }

    private func message(of letter: DeadLetter) -> OutboundMessage? {
        let count = letter.redriveCount + 1
        guard let original = letter.originalSubject,
            let subject = OriginalSubject.rebuild(original, prefix: prefix, tenant: letter.subscription.tenant),
            let target = HeaderValue(letter.subscription.id.text), let number = HeaderValue("\(count)")
        else { return nil }
        let carried = CarriedHeaders(letter.headers)
        var headers = MessageHeaders(
            messageID: HeaderValue("redrive:\(letter.sequence):\(count)"),
            contentType: carried.contentType,
            traceparent: letter.trace.parent,
            tracestate: letter.trace.state
        )
        headers.event = carried.event
        headers.own = [(.target, target), (.redriveCount, number)]
        return OutboundMessage(
            subject: subject,
            expectedStream: events,
            headers: headers,
            payload: letter.payload[...]
        )
    }

    /// Publishes until the stream answers for certain; the message id makes every further try safe.
    private func publish(_ message: OutboundMessage) async -> PublishOutcome {
        var pause = RetryPause(patience: patience)
        while true {
            let outcome = await client.publish(message)
            let isPassing =
                switch outcome {
                case .stored: false
                case .rejected(let rejection): rejection.kind == .unavailable || rejection.kind == .noResponders
                case .notSent(let reason): reason != .closing
                case .unknown(let reason): reason != .wrongStream
                }
            guard isPassing, await pause.wait() else { return outcome }
        }
    }

    /// Whether the message that was stored under our message id is ours: a stream of dead letters that was made anew counts
    /// from 1 again.
    private func isSame(_ message: OutboundMessage, _ sequence: UInt64, _ letter: DeadLetter) async -> Bool {
        let found = try? await insisting({ (error: DeadLetterError) in error.isPassing }) {
            () async throws(DeadLetterError) -> StoredMessage? in
            do throws(JetStreamError) {
                return try await client.message(in: events, sequence: sequence)
            } catch {
                throw DeadLetterError(error)
            }
        }
        guard let found = found.flatMap({ $0 }), found.subject.utf8.elementsEqual(message.subject.description.utf8),
            let target = CarriedHeaders.first(OwnHeader.target.text, in: found.headers)
        else { return false }
        return target.utf8.elementsEqual(letter.subscription.id.text.utf8) && found.payload == letter.payload
    }

    private func remove(_ letter: DeadLetter) async -> Outcome {
        do throws(DeadLetterError) {
            // False if somebody else has removed it meanwhile: as good.
            _ = try await insisting({ $0.isPassing }) { () async throws(DeadLetterError) in
                do throws(JetStreamError) {
                    return try await client.deleteMessage(in: box.stream, sequence: letter.sequence)
                } catch {
                    throw DeadLetterError(error)
                }
            }
            return .redriven
        } catch {
            return .hopeless(.notRemoved(error.description))
        }
    }

    private static func outcome(_ rejection: Rejection) -> Outcome {
        switch rejection.kind {
        case .tooLarge, .headersTooLarge: .failed(.tooLarge(rejection.description))
        case .storeFull, .noResponders, .unavailable, .misconfigured: .hopeless(.notStored(rejection.description))
        }
    }

    /// Tries again while the broker is away.
    private func insisting<Value: Sendable, Failure: Error>(
        _ isPassing: (Failure) -> Bool,
        _ body: () async throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        var pause = RetryPause(patience: patience)
        while true {
            do throws(Failure) {
                return try await body()
            } catch {
                guard isPassing(error), await pause.wait() else { throw error }
            }
        }
    }
}

/// The pauses between tries, until patience is at its end.
struct RetryPause {
    private let deadline: ContinuousClock.Instant
    private var next: Duration = .milliseconds(50)

    init(patience: Duration) { deadline = .now + patience }

    /// Waits a little longer each time; false if the time is over or the task cancelled.
    mutating func wait() async -> Bool {
        let now = ContinuousClock.now
        guard now < deadline else { return false }
        let pause = min(next, deadline - now)
        next = min(next * 2, .seconds(1))
        do {
            try await Task.sleep(for: pause)
            return true
        } catch {
            return false
        }
    }
}
