import EventBus

// The services of the platform and what they tell each other. A team would keep this file in a package that all of its
// services depend on: the compiler then sees to it that each publishes only what is its own.

enum Registry: EventService {
    static let name = "registry"
    static let source = "/platform/registry"
}

enum Policy: EventService {
    static let name = "policy"
    static let source = "/platform/policy"
}

enum Orchestrator: EventService {
    static let name = "orchestrator"
    static let source = "/platform/orchestrator"
}

enum Approvals: EventService {
    static let name = "approvals"
    static let source = "/platform/approvals"
}

/// A team has registered a service.
struct ServiceRegistered: EventPayload {
    typealias Emitter = Registry
    static let eventType = EventType("com.example.registry.service.registered", version: 1, kind: .fact)

    var service: String
    var replicas: Int
    var owner: String?
}

/// A service may run.
struct ServiceActivated: EventPayload {
    typealias Emitter = Registry
    static let eventType = EventType("com.example.registry.service.activated", version: 1, kind: .fact)

    var service: String
    var approver: String
}

/// A registration keeps all rules.
struct PolicyPassed: EventPayload {
    typealias Emitter = Policy
    static let eventType = EventType("com.example.policy.check.passed", version: 1, kind: .fact)

    var service: String
    var replicas: Int
}

/// Approvals are to decide about a plan.
struct ApprovePlan: EventPayload {
    typealias Emitter = Orchestrator
    static let eventType = EventType("com.example.approvals.plan.approve", version: 1, kind: .command)

    var service: String
    var steps: [String]
}

/// A plan was approved.
struct PlanApproved: EventPayload {
    typealias Emitter = Approvals
    static let eventType = EventType("com.example.approvals.plan.approved", version: 1, kind: .fact)

    var service: String
    var approver: String
}
