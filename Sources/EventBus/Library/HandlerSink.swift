public import CloudEvents
import DeliveryRules

/// What a subscription's handler does with an event.
///
/// Returning settles the event. Throwing ``EventRejection`` makes it a dead letter at once; throwing anything else has it
/// delivered again after the subscription's pauses, and makes it a dead letter when all attempts are used up.
public typealias EventHandler = @Sendable (_ event: CloudEvent, _ context: EventContext) async throws -> Void

/// Thrown by a handler for an event that it will never take: a dead letter without further attempts.
public struct EventRejection: Error, Sendable, CustomStringConvertible {
    /// Why, for whoever reads the dead letter; no secrets.
    public let reason: String

    /// A rejection for this reason.
    public init(_ reason: String) {
        self.reason = reason
    }

    /// The reason.
    public var description: String { reason }
}

/// Gives events to a handler, each in a task of its own; how many at a time the subscription's `maxInFlight` says.
final class HandlerSink: DeliverySink {
    private let tenant: TenantName
    private let handler: EventHandler
    private let loop: any DeliveryLoop

    init(tenant: TenantName, loop: any DeliveryLoop, handler: @escaping EventHandler) {
        self.tenant = tenant
        self.loop = loop
        self.handler = handler
    }

    func deliver(_ delivery: Delivery, done: @escaping (AttemptReport) -> Void) {
        let completion = LoopBoundCompletion(done)
        let (loop, handler) = (loop, handler)
        let context = EventContext(delivery, tenant: tenant)
        Task {
            let report: AttemptReport
            do {
                try await handler(delivery.event, context)
                report = AttemptReport(.completed)
            } catch let rejection as EventRejection {
                report = AttemptReport(.rejected, error: rejection.reason)
            } catch {
                report = AttemptReport(.threw, error: "the handler threw \(error)")
            }
            loop.execute { completion.done(report) }
        }
    }

    func deliver(batch: [Delivery], done: @escaping (AttemptReport) -> Void) {
        // Handlers take one event at a time: subscriptions of theirs have no batches.
        done(AttemptReport(.undeliverable, error: "a handler takes no batches"))
    }

    func close() {}
}

/// Carries a loop's closure through a task back to the loop.
private struct LoopBoundCompletion: @unchecked Sendable {
    // Safe: made on the loop, and called once, on the loop.
    let done: (AttemptReport) -> Void

    init(_ done: @escaping (AttemptReport) -> Void) { self.done = done }
}
