public import CloudEvents
import EventFilters
import JetStream

extension Subscription {
    /// A subscription of a program that has the event bus as a library.
    ///
    /// With a durable name or a queue group its position is kept at the server: programs that use the same names share the
    /// events, and whoever comes back goes on where all of them stopped. Without either it begins with the next event and
    /// ends with ``HandlerSubscription/unsubscribe()``; a program that dies first leaves it behind, to be removed by its id.
    ///
    /// - Parameters:
    ///   - types: exact types and patterns (design §4: `*` one segment, `#` zero or more, `>` one or more at the end); none
    ///     is every type.
    ///   - queueGroup: a name that the programs share who are to share the events.
    ///   - durableName: a name under which the position is kept.
    /// - Throws: ``SubscriptionError/invalid(_:)`` for a type or a name that cannot be one.
    public init(
        types: [String],
        queueGroup: String? = nil,
        durableName: String? = nil,
        tenant: TenantName = .default,
        config: SubscriptionConfig = SubscriptionConfig()
    ) throws(SubscriptionError) {
        var violations: [Violation] = []
        var patterns: [TypePattern] = []
        for (index, type) in types.enumerated() {
            do {
                patterns.append(try TypePattern(type))
            } catch {
                violations.append(Violation(pointer: "/types/\(index)", rule: "SUB-02", detail: "\(error)"))
            }
        }
        let names = [durableName, queueGroup].compactMap { $0 }
        var id = SubscriptionName.random()
        if !names.isEmpty {
            if let name = SubscriptionName(names.joined(separator: "-")) {
                id = name
            } else {
                let detail = "the durable name and the queue group together are \(SubscriptionName.rule)"
                violations.append(Violation(pointer: "/durableName", rule: "SUB-02", detail: detail))
            }
        }
        guard violations.isEmpty else { throw .invalid(violations) }
        self.init(id: id, tenant: tenant, types: patterns, deliveryProtocol: .handler, config: config)
        isTransient = names.isEmpty
    }
}

/// A handler that gets events, until it is unsubscribed or the bus ends.
public struct HandlerSubscription: Sendable {
    /// What it subscribed to.
    public let subscription: Subscription
    let library: LibraryDelivery
    let place: UInt64

    /// Lets running handlers finish, gives back what waits, and takes no more events.
    ///
    /// The position of a durable subscription stays at the server; ``EventBus/removeSubscription(_:tenant:)`` ends that.
    public func unsubscribe() async { await library.unsubscribe(place, subscription) }
}

extension EventBus {
    /// Has a handler called for every event that a subscription wants, at least once (design §1.3).
    ///
    /// Events are retried and become dead letters as for every other subscription. Several handlers may be subscribed,
    /// also to one durable: then they share its events. The bus must be running.
    ///
    /// - Returns: what ends the subscription.
    /// - Throws: ``SubscriptionError``; `unavailable` if NATS cannot be reached within ten seconds.
    @discardableResult
    public func subscribe(
        _ subscription: Subscription,
        handler: @escaping EventHandler
    ) async throws(SubscriptionError) -> HandlerSubscription {
        var subscription = subscription
        subscription.deliveryProtocol = .handler
        subscription.config.batch = nil
        let library = libraryDelivery()
        return try await library.subscribe(subscription, handler)
    }

    /// Removes a durable subscription with its position; handlers of it get nothing more.
    ///
    /// - Throws: ``SubscriptionError``.
    public func removeSubscription(
        _ id: SubscriptionName,
        tenant: TenantName = .default
    ) async throws(SubscriptionError) {
        try await libraryDelivery().remove(SubscriptionKey(tenant: tenant, id: id))
    }

    /// Publishes events and waits for all of their PubAcks; the results are in the order of the events.
    ///
    /// Each is stored or not for itself; after ``PublishError/outcomeUnknown(_:)`` a retry of that event is safe.
    public func publish(
        batch events: [CloudEvent],
        tenant: TenantName = .default
    ) async -> [Result<Receipt, PublishError>] {
        await withTaskGroup(of: Indexed.self) { group in
            var results = [Result<Receipt, PublishError>?](repeating: nil, count: events.count)
            var running = 0
            for (index, event) in events.enumerated() {
                if running == Self.batchWidth, let done = await group.next() {
                    results[done.index] = done.result
                    running -= 1
                }
                group.addTask { Indexed(index: index, result: await self.outcome(of: event, tenant)) }
                running += 1
            }
            for await done in group { results[done.index] = done.result }
            return results.compactMap { $0 }
        }
    }

    /// Events of a batch that wait for their PubAcks at a time.
    private static let batchWidth = 512

    /// What became of one event of a batch.
    private struct Indexed: Sendable {
        let index: Int
        let result: Result<Receipt, PublishError>
    }

    private func outcome(of event: CloudEvent, _ tenant: TenantName) async -> Result<Receipt, PublishError> {
        do throws(PublishError) {
            return .success(try await publish(event, tenant: tenant))
        } catch {
            return .failure(error)
        }
    }

    /// Publishes an event as part of a story: with the context's tenant and trace, and with `correlationid` and
    /// `causationid` where the event does not have them already.
    ///
    /// - Throws: ``PublishError``.
    public func publish(_ event: CloudEvent, context: EventContext) async throws(PublishError) -> Receipt {
        var event = event
        for (name, value) in [("correlationid", context.correlationID), ("causationid", context.causationID)] {
            guard let value, event.extensions[name] == nil else { continue }
            // A text that no attribute can hold, such as a control character, is left out.
            try? event.setExtension(.string(value), for: name)
        }
        let trace = TraceContext(parent: context.traceParent, state: context.traceState)
        return try await publish(event, tenant: context.tenant, trace: trace)
    }
}
