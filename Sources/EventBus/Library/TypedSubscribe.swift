public import CloudEvents
import EventFilters

/// An event with its payload decoded, as a handler gets it.
public struct TypedEvent<Payload: EventPayload>: Sendable {
    /// What the event says.
    public let payload: Payload
    /// The event itself, with id, source, subject, time and extensions.
    public let event: CloudEvent
    /// Whose it is, which attempt this is, which story and trace it belongs to.
    public let context: EventContext
}

/// Handlers of several types of payload, which share one subscription.
///
/// Each gets exactly its type and version. An event whose data does not decode is rejected: a dead letter with the type,
/// the place and the reason, without further attempts. What a handler returns or throws settles the event as
/// ``EventHandler`` says.
public struct EventHandlers: Sendable {
    private struct Entry: Sendable {
        let type: EventType
        let handle: EventHandler
    }

    private var entries: [Entry] = []

    /// No handlers yet.
    public init() {}

    /// These and one more; the last one given for a type is asked, and a second one is refused by subscribing.
    ///
    /// - Parameter handler: called for every event of the type, on Swift's cooperative pool, for several events at a time.
    public func on<Payload: EventPayload>(
        _: Payload.Type,
        _ handler: @escaping @Sendable (TypedEvent<Payload>) async throws -> Void
    ) -> EventHandlers {
        var result = self
        result.entries.append(
            Entry(type: Payload.eventType) { event, context in
                let payload: Payload
                do throws(PayloadError) {
                    payload = try event.payload()
                } catch {
                    throw EventRejection(error.description)
                }
                try await handler(TypedEvent(payload: payload, event: event, context: context))
            }
        )
        return result
    }

    /// The types that there are handlers for, in the order in which they were given.
    public var types: [EventType] { entries.map(\.type) }

    /// Whether there is none.
    public var isEmpty: Bool { entries.isEmpty }

    /// What is wrong with the types.
    var violations: [Violation] {
        entries.enumerated().compactMap { index, entry in
            var fault = entry.type.fault
            if entries[..<index].contains(where: { CodeUnits.equal($0.type.text, entry.type.text) }) {
                fault = "there are two handlers for \(entry.type)"
            }
            return fault.map { Violation(pointer: "/types/\(index)", rule: "SUB-02", detail: $0) }
        }
    }

    /// One handler for all of them.
    var handler: EventHandler {
        let entries = entries
        return { event, context in
            guard let entry = entries.first(where: { CodeUnits.equal($0.type.text, event.type) }) else {
                throw UnknownType(type: event.type)
            }
            try await entry.handle(event, context)
        }
    }
}

/// An event of a type that this program has no handler for.
///
/// It came because another program with the same durable subscribed to more, as happens while a new version replaces the
/// old one: tried again, it reaches the one that knows it.
private struct UnknownType: Error, CustomStringConvertible {
    let type: String

    var description: String { "this program has no handler for \(type.debugDescription)" }
}

extension EventBus {
    /// Has handlers called for every event of their types, at least once; they share one subscription.
    ///
    /// - Parameters:
    ///   - queueGroup: a name that programs share who are to share the events.
    ///   - durableName: a name under which the position is kept; see ``Subscription/init(types:queueGroup:durableName:tenant:config:)``.
    /// - Returns: what ends the subscription.
    /// - Throws: ``SubscriptionError``: `invalid` for no handlers, for types that cannot be and for two handlers of one
    ///   type; `unavailable` if NATS cannot be reached within ten seconds.
    @discardableResult
    public func subscribe(
        _ handlers: EventHandlers,
        queueGroup: String? = nil,
        durableName: String? = nil,
        tenant: TenantName = .default,
        config: SubscriptionConfig = SubscriptionConfig()
    ) async throws(SubscriptionError) -> HandlerSubscription {
        var violations = handlers.violations
        if handlers.isEmpty {
            violations.append(Violation(pointer: "/types", rule: "SUB-02", detail: "there are no handlers"))
        }
        guard violations.isEmpty else { throw .invalid(violations) }
        let subscription = try Subscription(
            types: handlers.types.map(\.text),
            queueGroup: queueGroup,
            durableName: durableName,
            tenant: tenant,
            config: config
        )
        return try await subscribe(subscription, handler: handlers.handler)
    }

    /// Has a handler called for every event that carries this payload, exact type and version, at least once.
    ///
    /// - Returns: what ends the subscription.
    /// - Throws: ``SubscriptionError``, as ``subscribe(_:queueGroup:durableName:tenant:config:)`` does.
    @discardableResult
    public func subscribe<Payload: EventPayload>(
        to type: Payload.Type,
        queueGroup: String? = nil,
        durableName: String? = nil,
        tenant: TenantName = .default,
        config: SubscriptionConfig = SubscriptionConfig(),
        handler: @escaping @Sendable (TypedEvent<Payload>) async throws -> Void
    ) async throws(SubscriptionError) -> HandlerSubscription {
        try await subscribe(
            EventHandlers().on(type, handler),
            queueGroup: queueGroup,
            durableName: durableName,
            tenant: tenant,
            config: config
        )
    }

    /// Publishes a payload and waits for its PubAck.
    ///
    /// - Parameters:
    ///   - source: where it happened, a URI-reference.
    ///   - subject: what it is about within the source.
    ///   - id: what names it within the source, random unless given; with a given one a retry is safe.
    ///   - time: when it happened.
    ///   - context: whose it is and which story and trace it belongs to.
    /// - Returns: the stream and the sequence.
    /// - Throws: ``PublishError``: `invalid` also for a payload that does not encode.
    @discardableResult
    public func publish<Payload: EventPayload>(
        _ payload: Payload,
        source: String,
        subject: String? = nil,
        id: String? = nil,
        time: Timestamp? = .now(),
        context: EventContext = EventContext()
    ) async throws(PublishError) -> Receipt {
        let event: CloudEvent
        do {
            event = try CloudEvent(payload, source: source, subject: subject, id: id, time: time)
        } catch {
            throw .invalid(error)
        }
        return try await publish(event, context: context)
    }
}
