import CloudEvents
import EventBus
import ServiceLifecycle

/// Registers three services, of which one is good, one has no owner and one is no registration at all, and waits for what
/// the platform makes of them.
struct Story: Service {
    let bus: EventBus
    let platform: Platform
    let tenant: TenantName
    let journal: Journal

    struct Incomplete: Error, CustomStringConvertible {
        let description: String
    }

    private static let cast = ["policy", "orchestrator", "approvals", "registry"]
    private static let patience = Duration.seconds(60)

    func run() async throws {
        // Told to stop early, it is incomplete.
        try await cancelWhenGracefulShutdown { try await tell() }
    }

    private func tell() async throws {
        try await wait(for: "NATS and the streams") { bus.status.isReady }

        let context = EventContext(correlationID: SubscriptionName.random().text)
        let registry = platform.registry.publisher(context: context)
        let good = ServiceRegistered(service: "checkout", replicas: 2, owner: "payments")
        let stored = try await registry.publish(good, subject: "checkout")
        print(Journal.line("registry", "checkout is registered, sequence \(stored.sequence) of \(stored.stream)"))
        // try await platform.policy.publisher.publish(good) does not compile: policy does not emit registrations.

        let ownerless = SubscriptionName.random().text
        let shadow = ServiceRegistered(service: "shadow", replicas: 1, owner: nil)
        try await registry.publish(shadow, subject: "shadow", id: ownerless)

        // What a script with a mistake sends: the right type, and data that is no registration.
        let broken = try CloudEvent(
            id: SubscriptionName.random().text,
            source: "/scripts/register",
            type: ServiceRegistered.eventType.text,
            data: .json(Array(#"{"service": "legacy", "replicas": "two"}"#.utf8)[...])
        )
        _ = try await bus.publish(broken, tenant: tenant)

        let story = context.correlationID ?? ""
        try await wait(for: "all services") { journal.services(of: story) == Self.cast }
        try await wait(for: "two dead letters") { try await letters([ownerless, broken.id]).count == 2 }
        for letter in try await letters([ownerless, broken.id]) {
            let event = try letter.decodeEvent()
            print(Journal.line("dead letter", "\(event.source): \(letter.reason): \(letter.lastError ?? "")"))
        }
        print("the story is complete")
    }

    private func letters(_ ids: [String]) async throws -> [DeadLetter] {
        try await platform.policy.deadLetters(limit: 1000).filter { letter in
            (try? letter.decodeEvent()).map { ids.contains($0.id) } ?? false
        }
    }

    private func wait(for what: String, _ condition: () async throws -> Bool) async throws {
        let clock = ContinuousClock()
        let end = clock.now + Self.patience
        while try await !condition() {
            guard clock.now < end else { throw Incomplete(description: "waited for \(what) in vain") }
            try await clock.sleep(for: .milliseconds(20))
        }
    }
}
