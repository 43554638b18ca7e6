public import CloudEvents
package import JetStream
public import Logging
import ServiceLifecycle

/// The event bus: publishes CloudEvents into JetStream and keeps watch over the streams.
///
/// One per process. `run()` connects, creates or verifies the streams and goes on watching until it is cancelled or asked to
/// shut down gracefully. All methods may be called from any thread or task.
public final class EventBus: Sendable {
    /// The settings it was made with.
    public let configuration: EventBusConfiguration
    package let client: JetStreamClient
    package let logger: Logger
    private let state: Locked<BusStatus>
    private let watch = Locked(PublishWatch())
    /// Delivers to handlers in this process, once there are some.
    private let library = Locked<LibraryDelivery?>(nil)
    /// Names this replica's canary subject.
    package let replica: String

    /// Makes a bus; nothing is connected before ``run()``.
    public init(configuration: EventBusConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
        var generator = SystemRandomNumberGenerator()
        self.replica = String(generator.next() as UInt64, radix: 36)
        self.state = Locked(
            BusStatus(
                connection: .connecting(lastFailure: nil),
                streamsVerified: false,
                faults: [],
                fill: nil,
                lastCanary: nil,
                draining: false
            )
        )
        var jetStream = JetStreamConfiguration(servers: configuration.servers, name: configuration.connectionName)
        jetStream.publishTimeout = configuration.publishTimeout
        jetStream.inFlightMax = configuration.inFlightMax
        self.client = JetStreamClient(configuration: jetStream, log: { BusLog.event($0, logger) })
    }

    /// What the bus knows of its health, at most a second old; the connection's state is of now.
    public var status: BusStatus {
        var status = state.withLock { $0 }
        status.connection = client.state
        let now = ContinuousClock.now
        (status.streamIsSilent, status.storeIsFull) = watch.withLock { ($0.isSilent(now: now), $0.isFull(now: now)) }
        return status
    }

    /// Most bytes of a stored event now: the configured limit, and never more than the connected server takes.
    public var eventBytesMax: Int {
        let serverLimit = (client.serverInfo?.maxPayload ?? 1 << 20) - EventBusConfiguration.headerRoomBytes
        return min(configuration.eventBytesMax ?? .max, max(serverLimit, 1024))
    }

    /// How long running handlers and publishes may take to end when the bus does.
    private static let closingTime = Duration.seconds(30)

    /// Runs the bus until the task is cancelled or the service is asked to shut down gracefully, and closes it.
    ///
    /// It never gives up: while NATS is away publishes fail at once with ``PublishError/unavailable(_:)``. At the end it
    /// takes no more events, lets running handlers finish (they may still publish), and waits for the PubAcks under way, at
    /// most 30 s long. A bus runs once.
    public func run() async {
        client.start()
        await cancelWhenGracefulShutdown {
            await BusSupervisor(bus: self).run()
        }
        // In a task of its own: in a cancelled one every wait would end at once.
        await Task { await self.close(within: Self.closingTime) }.value
    }

    /// Runs the bus until the task is cancelled, also while the service is shutting down: as long as anything is published,
    /// the streams are watched.
    package func runUntilCancelled() async {
        client.start()
        await BusSupervisor(bus: self).run()
    }

    /// Makes the bus not ready, while it goes on publishing: for whoever routes requests to it.
    public func startDraining() {
        update { $0.draining = true }
    }

    /// What delivers to handlers; made with the first of them.
    func libraryDelivery() -> LibraryDelivery {
        library.withLock { library in
            if let library { return library }
            let new = LibraryDelivery(bus: self)
            library = new
            return new
        }
    }

    /// Stops accepting, waits for the PubAcks under way and closes the connection.
    ///
    /// - Parameter deadline: how long to wait; publishes without an answer by then end as outcome unknown.
    public func close(within deadline: Duration) async {
        update { $0.draining = true }
        if let library = library.withLock({ $0 }) { await library.end(within: deadline) }
        await client.close(grace: deadline)
    }

    /// Publishes one event and waits for its PubAck.
    ///
    /// - Parameters:
    ///   - event: the event, valid by construction.
    ///   - tenant: whose event it is.
    /// - Returns: the stream and the sequence.
    /// - Throws: ``PublishError``; after ``PublishError/outcomeUnknown(_:)`` a retry with the same event is safe.
    public func publish(_ event: CloudEvent, tenant: TenantName = .default) async throws(PublishError) -> Receipt {
        try await publish(event, tenant: tenant, trace: .none)
    }

    func publish(
        _ event: CloudEvent,
        tenant: TenantName,
        trace: TraceContext
    ) async throws(PublishError) -> Receipt {
        if let refusal { throw refusal }
        let message = EventMessage.make(
            event,
            text: nil,
            tenant: tenant,
            stream: streamName,
            prefix: configuration.subjectPrefix,
            trace: trace
        )
        if message.payload.count > eventBytesMax {
            throw .tooLarge(bytes: message.payload.count, limit: eventBytesMax)
        }
        let result = await client.publish(message).receipt(stream: streamName)
        switch result {
        case .success: note(stored: 1, unknown: 0, full: 0)
        case .failure(.outcomeUnknown): note(stored: 0, unknown: 1, full: 0)
        case .failure(.storeFull): note(stored: 0, unknown: 0, full: 1)
        case .failure: break
        }
        return try result.get()
    }

    /// The stream of the events.
    package var streamName: StreamName { configuration.streams.events.name }

    /// Why no publish may be tried now although NATS may be there; `nil` when it may.
    ///
    /// A stream that differs from its plan would make a 202 a lie.
    package var refusal: PublishError? {
        state.withLock { status in
            if !status.faults.isEmpty {
                return .misconfigured("a stream differs from its configuration; see /health/ready")
            }
            if !status.streamsVerified { return .unavailable("the streams have not been verified yet") }
            return nil
        }
    }

    /// Takes note of what became of publishes that did not go through ``publish(_:tenant:)``, a few times a second.
    package func note(stored: UInt64, unknown: UInt64, full: UInt64) {
        let now = ContinuousClock.now
        watch.withLock { $0.note(stored: stored, unknown: unknown, full: full, now: now) }
    }

    func update(_ change: (inout BusStatus) -> Void) {
        state.withLock { change(&$0) }
    }
}
