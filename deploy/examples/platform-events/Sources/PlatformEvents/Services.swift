import EventBus
import ServiceLifecycle

/// The four services on one bus.
///
/// Here they share a program; each would run just so in one of its own.
struct Platform {
    let registry: ServiceEvents<Registry>
    let policy: ServiceEvents<Policy>
    let orchestrator: ServiceEvents<Orchestrator>
    let approvals: ServiceEvents<Approvals>

    var services: [any Service] { [registry, policy, orchestrator, approvals] }

    init(bus: EventBus, tenant: TenantName, journal: Journal) {
        var config = SubscriptionConfig()
        // Whoever comes late, or for the first time, takes what the others have published before.
        config.startAt = .earliest

        registry = ServiceEvents(Registry.self, on: bus, tenant: tenant, config: config)
            .on(PlanApproved.self) { received, publisher in
                let plan = received.payload
                try await publisher.publish(
                    ServiceActivated(service: plan.service, approver: plan.approver),
                    subject: plan.service
                )
                journal.note("registry", "\(plan.service) is active, approved by \(plan.approver)", received.context)
            }

        policy = ServiceEvents(Policy.self, on: bus, tenant: tenant, config: config)
            .on(ServiceRegistered.self) { received, publisher in
                let registration = received.payload
                // Never to be handled: a dead letter with this reason. Any other error would be tried again.
                guard let owner = registration.owner else { throw EventRejection("a service needs an owner") }
                journal.note("policy", "\(registration.service) of \(owner) keeps the rules", received.context)
                try await publisher.publish(
                    PolicyPassed(service: registration.service, replicas: registration.replicas),
                    subject: registration.service
                )
            }

        orchestrator = ServiceEvents(Orchestrator.self, on: bus, tenant: tenant, config: config)
            .on(PolicyPassed.self) { received, publisher in
                let passed = received.payload
                let steps = (1...max(passed.replicas, 1)).map { "start replica \($0)" } + ["route traffic"]
                journal.note("orchestrator", "\(passed.service) needs \(steps.count) steps", received.context)
                try await publisher.publish(ApprovePlan(service: passed.service, steps: steps), subject: passed.service)
            }

        approvals = ServiceEvents(Approvals.self, on: bus, tenant: tenant, config: config)
            .on(ApprovePlan.self) { received, publisher in
                let plan = received.payload
                journal.note("approvals", "\(plan.service): \(plan.steps.joined(separator: ", "))", received.context)
                try await publisher.publish(
                    PlanApproved(service: plan.service, approver: "on-call"),
                    subject: plan.service
                )
            }
    }
}
