public import CloudEvents
import JetStream

/// Publishes what a service emits, and nothing else: a payload of another emitter does not compile.
///
/// Made by ``ServiceEvents``. The one that a handler gets belongs to the event that is being handled: what it publishes is
/// of the same tenant, story and trace, and has an id derived from that event. A handler that is run again, because it
/// failed halfway or because its program died, therefore publishes the same events again, and those that are stored already
/// are not stored twice within the duplicate window; beyond it they have the same source and id. May be used from any task.
public struct ServicePublisher<Emitter: EventService>: Sendable {
    private let bus: EventBus
    /// The tenant, the story and the trace of what is published.
    public let context: EventContext
    private let cause: PublishingCause?

    init(bus: EventBus, context: EventContext, cause: PublishingCause? = nil) {
        self.bus = bus
        self.context = context
        self.cause = cause
    }

    /// Publishes a payload of this service's and waits for its PubAck.
    ///
    /// - Parameters:
    ///   - subject: what it is about within the service.
    ///   - id: what names it within the service. Unless given it is derived, in a handler, from the handled event, type,
    ///     subject and how many of these the handler has published before, and else random. A handler that publishes
    ///     several of one type and subject side by side gives ids itself: their order is not the same twice.
    ///   - time: when it happened.
    /// - Returns: the stream and the sequence.
    /// - Throws: ``PublishError``; after ``PublishError/outcomeUnknown(_:)`` a retry with the same id is safe. Thrown on by a
    ///   handler it has the event delivered again.
    @discardableResult
    public func publish<Payload: EventPayload>(
        _ payload: Payload,
        subject: String? = nil,
        id: String? = nil,
        time: Timestamp? = .now()
    ) async throws(PublishError) -> Receipt where Payload.Emitter == Emitter {
        try await send(payload, subject, id, time)
    }

    /// Publishes a payload that every service may emit; all else is as for one of the service's own.
    @discardableResult
    public func publish<Payload: EventPayload>(
        _ payload: Payload,
        subject: String? = nil,
        id: String? = nil,
        time: Timestamp? = .now()
    ) async throws(PublishError) -> Receipt where Payload.Emitter == AnyService {
        try await send(payload, subject, id, time)
    }

    private func send<Payload: EventPayload>(
        _ payload: Payload,
        _ subject: String?,
        _ id: String?,
        _ time: Timestamp?
    ) async throws(PublishError) -> Receipt {
        try await bus.publish(
            payload,
            source: Emitter.source,
            subject: subject,
            id: id ?? cause?.nextID(type: Payload.eventType.text, subject: subject),
            time: time,
            context: context
        )
    }
}

/// The handled event that events are published because of, for one run of its handler.
final class PublishingCause: Sendable {
    private let service: String
    private let event: CloudEvent
    private let counts = Locked<[String: Int]>([:])

    init(service: String, event: CloudEvent) {
        self.service = service
        self.event = event
    }

    /// The id of the next event of a type and subject: the same in every run of the handler.
    func nextID(type: String, subject: String?) -> String {
        let kind = Self.joined([type, subject.map { "=" + $0 } ?? ""])
        let number = counts.withLock { counts in
            counts[kind, default: 0] += 1
            return counts[kind] ?? 1
        }
        return SHA256Digest(Self.joined([service, event.source, event.id, kind, "\(number)"])).shortText
    }

    /// The parts in one text that no other parts have.
    private static func joined(_ parts: [String]) -> String {
        parts.map { "\($0.utf8.count):\($0)" }.joined()
    }
}
