import EventBus
import Hummingbird
import NIOCore

/// Pull and settle on the paths of Event Grid's namespaces, so that its published clients work (market d.1).
///
/// The topic is the tenant, the event subscription a subscription of the protocol PULL. Publishing on these paths belongs to
/// the publishing path.
struct EventGridPages: Sendable {
    let pull: PullPages

    func respond(
        _ topic: String,
        _ name: String,
        _ verb: DeliveryTarget.PullVerb,
        _ request: Request,
        on channel: any Channel
    ) async throws(Problem) -> Response {
        guard let tenant = TenantName(topic), let id = SubscriptionName(name) else {
            throw Problem(kind: .notFound, detail: "there is no such subscription")
        }
        return try await pull.respond(
            SubscriptionKey(tenant: tenant, id: id),
            verb,
            request,
            ignoring: ["api-version"],
            on: channel
        )
    }
}
