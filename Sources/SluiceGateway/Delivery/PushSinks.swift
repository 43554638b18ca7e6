import DeliveryRules
import EventBus
import NIOCore
import Webhooks

/// Makes the sinks of webhook subscriptions; one HTTP client for each event loop.
final class PushSinks: DeliverySinkFactory {
    private let configuration: WebhookClient.Configuration
    private let timeout: Duration
    private let clients: [(loop: EventLoopDelivery, client: NIOLoopBoundBox<WebhookClient?>)]

    /// - Parameter timeout: for one attempt, from its start to the end of the answer.
    init(_ loops: [EventLoopDelivery], _ configuration: WebhookClient.Configuration, timeout: Duration) {
        self.configuration = configuration
        self.timeout = timeout
        clients = loops.map { loop in
            (loop, NIOLoopBoundBox.makeEmptyBox(valueType: WebhookClient.self, eventLoop: loop.eventLoop))
        }
    }

    func makeSink(for plan: DeliveryPlan, on loop: any DeliveryLoop) -> any DeliverySink {
        guard let client = client(on: loop) else { return BrokenSink(reason: "no HTTP client on this event loop") }
        do {
            return try WebhookDelivery(plan, client: client, timeout: timeout)
        } catch {
            return BrokenSink(reason: "the sink cannot be sent to: \(error)")
        }
    }

    /// The loop's HTTP client; on the loop.
    private func client(on loop: any DeliveryLoop) -> WebhookClient? {
        guard let entry = clients.first(where: { $0.loop === loop }) else { return nil }
        if let client = entry.client.value { return client }
        let client = WebhookClient(eventLoop: entry.loop.eventLoop, configuration: configuration)
        entry.client.value = client
        return client
    }

    /// Sends a request outside of deliveries, such as a handshake, on any of the loops.
    func send(_ request: WebhookRequest) async -> Result<WebhookResponse, WebhookFailure> {
        let box = UncheckedRequest(request)
        guard let entry = clients.randomElement() else {
            return .failure(WebhookFailure(.cancelled, .notSent, "there is no event loop"))
        }
        return await withCheckedContinuation { continuation in
            entry.loop.eventLoop.execute {
                guard let client = self.client(on: entry.loop) else {
                    let failure = WebhookFailure(.cancelled, .notSent, "there is no HTTP client")
                    return continuation.resume(returning: .failure(failure))
                }
                client.send(box.request) { continuation.resume(returning: $0) }
            }
        }
    }

    /// Closes all connections.
    func shutdown() {
        for entry in clients { entry.loop.eventLoop.execute { entry.client.value?.shutdown() } }
    }
}

/// Carries a request to its event loop.
private struct UncheckedRequest: @unchecked Sendable {
    // Safe: made by one task and used, once, by the loop it is handed to.
    let request: WebhookRequest

    init(_ request: WebhookRequest) { self.request = request }
}

/// A sink that cannot be sent to: every attempt fails and says why.
private final class BrokenSink: DeliverySink {
    private let reason: String

    init(reason: String) { self.reason = reason }

    func deliver(_ delivery: Delivery, done: @escaping (AttemptReport) -> Void) {
        done(AttemptReport(.failed, error: reason))
    }

    func deliver(batch: [Delivery], done: @escaping (AttemptReport) -> Void) {
        done(AttemptReport(.failed, error: reason))
    }

    func close() {}
}
