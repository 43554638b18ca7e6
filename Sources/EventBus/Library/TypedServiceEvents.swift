import JetStream
import Logging
public import ServiceLifecycle

/// The events of one service: publishes what it emits, and handles what it consumes under one durable subscription.
///
/// ```swift
/// let policy = ServiceEvents(Policy.self, on: bus)
///     .on(ServiceRegistered.self) { received, publisher in
///         guard received.payload.owner != nil else { throw EventRejection("a service needs an owner") }
///         try await publisher.publish(PolicyPassed(service: received.payload.service))
///     }
/// let group = ServiceGroup(services: [bus, policy], gracefulShutdownSignals: [.sigterm], logger: logger)
/// try await group.run()
/// ```
///
/// The subscription has the service's name. All programs that run the service share its events and go on where all of them
/// stopped: that is its queue group. Programs of one service should have the same handlers; while a new version replaces
/// an old one, an event that an old one has no handler for is tried again until a new one gets it.
///
/// A value; each ``run()`` subscribes anew. All functions may be called from any thread or task.
public struct ServiceEvents<Emitter: EventService>: Service {
    private let bus: EventBus
    private let tenant: TenantName
    private let config: SubscriptionConfig
    private var handlers = EventHandlers()

    /// The events of a service on a bus, without handlers yet.
    ///
    /// - Parameters:
    ///   - tenant: whose events it publishes and consumes.
    ///   - config: how delivery to its handlers behaves: attempts, pauses, how many at a time, and where it begins when the
    ///     service subscribes for the first time.
    public init(
        _: Emitter.Type = Emitter.self,
        on bus: EventBus,
        tenant: TenantName = .default,
        config: SubscriptionConfig = SubscriptionConfig()
    ) {
        self.bus = bus
        self.tenant = tenant
        self.config = config
    }

    /// This service with a handler for one more type of payload; one for each.
    ///
    /// Returning settles the event. Throwing ``EventRejection`` makes it a dead letter at once, throwing anything else has
    /// it delivered again; an event whose data does not decode is a dead letter and never comes to the handler.
    ///
    /// - Parameter handler: gets the event and a publisher for what follows from it; called on Swift's cooperative pool,
    ///   for at most `config.maxInFlight` events at a time.
    public func on<Payload: EventPayload>(
        _ type: Payload.Type,
        _ handler: @escaping @Sendable (TypedEvent<Payload>, ServicePublisher<Emitter>) async throws -> Void
    ) -> ServiceEvents {
        let bus = bus
        var result = self
        result.handlers = handlers.on(type) { received in
            let publisher = ServicePublisher<Emitter>(
                bus: bus,
                context: received.context.caused(by: received.event),
                cause: PublishingCause(service: Emitter.name, event: received.event)
            )
            try await handler(received, publisher)
        }
        return result
    }

    /// The types that it consumes, in the order in which their handlers were given.
    public var consumes: [EventType] { handlers.types }

    /// Publishes what begins a story; handlers get a publisher of their own.
    public var publisher: ServicePublisher<Emitter> { publisher(context: EventContext(tenant: tenant)) }

    /// Publishes as part of a story, such as that of an HTTP request with its trace; the tenant stays the service's.
    public func publisher(context: EventContext) -> ServicePublisher<Emitter> {
        var context = context
        context.tenant = tenant
        return ServicePublisher(bus: bus, context: context)
    }

    /// Subscribes the handlers; ``run()`` does it by itself.
    ///
    /// - Returns: what ends the subscription here; its position stays at the server.
    /// - Throws: ``SubscriptionError``: `invalid` for a name that cannot be one, no handlers, types that cannot be, or two
    ///   handlers of one type; `unavailable` if NATS cannot be reached within ten seconds.
    @discardableResult
    public func subscribe() async throws(SubscriptionError) -> HandlerSubscription {
        try await bus.subscribe(handlers, durableName: Emitter.name, tenant: tenant, config: config)
    }

    /// Handles events until the service is asked to shut down gracefully, or the task is cancelled.
    ///
    /// It waits for NATS as long as it takes. At the end it takes no more events, gives back what waits, and lets the running
    /// handlers finish, unless the task is cancelled, which waits for nobody. The bus has to run as long, so it stands before
    /// the service in a service group.
    ///
    /// - Throws: ``SubscriptionError`` for a service that cannot subscribe at all.
    public func run() async throws {
        var subscription: HandlerSubscription?
        if !handlers.isEmpty {
            subscription = try await cancelWhenGracefulShutdown { try await self.subscribePatiently() }
        }
        // Ends by an error when the task is cancelled, which is an end as good as any.
        try? await gracefulShutdown()
        await subscription?.unsubscribe()
    }

    /// Subscribes as soon as NATS and the streams are there; `nil` if the task is cancelled before.
    private func subscribePatiently() async throws(SubscriptionError) -> HandlerSubscription? {
        var hasWarned = false
        while !Task.isCancelled {
            let status = bus.status
            // Where a stream differs from its plan nothing can be published, and what is there can still be handled.
            guard status.streamsVerified || !status.faults.isEmpty else {
                try? await Task.sleep(for: .milliseconds(50))
                continue
            }
            do throws(SubscriptionError) {
                return try await subscribe()
            } catch {
                guard case .unavailable(let reason) = error else { throw error }
                if !hasWarned { warn(reason) }
                hasWarned = true
                try? await Task.sleep(for: .seconds(1))
            }
        }
        return nil
    }

    private func warn(_ reason: String) {
        let metadata: Logger.Metadata = ["service": "\(Emitter.name)", "reason": "\(reason)"]
        bus.logger.warning("cannot subscribe yet", metadata: metadata)
    }
}

extension ServiceEvents {
    /// What the service could not handle: its dead letters, the oldest first.
    ///
    /// - Parameters:
    ///   - limit: most of them, 1 to 1000.
    ///   - after: the sequence of the dead letter after which to begin.
    /// - Throws: ``SubscriptionError/unavailable(_:)`` if they cannot be read now.
    public func deadLetters(limit: Int = 100, after: UInt64 = 0) async throws(SubscriptionError) -> [DeadLetter] {
        guard let name = SubscriptionName(Emitter.name) else { return [] }
        let box = DeadLetterBox(client: bus.client, stream: bus.configuration.streams.deadLetters.name)
        do {
            return try await box.list(tenant, DeadLetterBox.Filter(subscription: name), limit: limit, after: after)
                .items
        } catch {
            throw .unavailable(error.description)
        }
    }
}
