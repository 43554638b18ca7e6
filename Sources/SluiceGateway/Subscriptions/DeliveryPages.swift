import EventBus
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Webhooks

/// Everything that HTTP shows of subscriptions, of pulling and of dead letters.
struct DeliveryPages: Sendable {
    private let subscriptions: SubscriptionPages
    private let pull: PullPages
    private let letters: DeadLetterPages
    private let eventGrid: EventGridPages
    private let consents: SinkConsents

    /// - Parameters:
    ///   - host: what delivers.
    ///   - sinks: sends the handshakes.
    ///   - configuration: the settings of the handshake.
    ///   - rules: where sinks may be.
    ///   - reader: reads definitions, with the same rules.
    ///   - resolver: finds the addresses of sinks when a subscription is made.
    init(
        host: DeliveryHost,
        sinks: PushSinks,
        configuration: GatewayConfiguration,
        rules: SinkAddressRules,
        reader: SubscriptionReader,
        logger: Logger,
        resolver: any SinkResolver = SystemResolver(threads: 2)
    ) {
        consents = SinkConsents(
            registry: host.registry,
            sinks: sinks,
            settings: SinkConsents.Settings(configuration),
            logger: logger
        )
        subscriptions = SubscriptionPages(
            registry: host.registry,
            engine: host.engine,
            reader: reader,
            screening: SinkScreening(rules: rules, resolver: resolver),
            consents: consents,
            stream: configuration.streamName
        )
        pull = PullPages(engine: host.engine)
        letters = DeadLetterPages(host: host, configuration: configuration)
        eventGrid = EventGridPages(pull: pull)
    }

    /// Asks sinks that have not consented again, until the task is cancelled.
    func run() async { await consents.run() }

    /// Answers a request whose method the target knows.
    func respond(
        to request: Request,
        _ target: DeliveryTarget,
        on channel: any Channel
    ) async throws(Problem) -> Response {
        switch target {
        case .subscriptions:
            return request.method == .post
                ? try await subscriptions.create(request, on: channel) : try subscriptions.list(request)
        case .subscription(let id):
            switch request.method {
            case .put: return try await subscriptions.replace(id, request, on: channel)
            case .delete: return try await subscriptions.delete(id, request)
            default: return try subscriptions.one(id, request)
            }
        case .status(let id): return try await subscriptions.status(id, request)
        case .change(let id, let verb): return try await subscriptions.change(id, verb, request)
        case .pull(let id, let verb): return try await pull.respond(id, verb, request, on: channel)
        case .consent(let token): return try await consents.redeem(token, request)
        case .deadLetters: return try await letters.list(request)
        case .deadLetter(let sequence):
            return request.method == .delete
                ? try await letters.delete(sequence, request) : try await letters.one(sequence, request)
        case .redrive: return try await letters.redrive(request, on: channel)
        case .topic: throw Problem(kind: .notFound, detail: "events are published here with POST")
        case .topicPull(let topic, let name, let verb):
            return try await eventGrid.respond(topic, name, verb, request, on: channel)
        }
    }
}
