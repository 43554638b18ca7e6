import EventBus
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOHTTP1
import PrometheusMetrics

/// What the routes show.
struct Pages: Sendable {
    let health: Health
    let reports: TenantReports
    let metrics: MetricsPage
    /// What delivers; nil where nothing does.
    var deliveries: DeliveryPages?
}

/// A request's context: the router's own, and the connection that the request came on.
struct GatewayContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        channel = source.channel
    }
}

/// `GET /metrics`.
struct MetricsPage: Sendable {
    let observation: Observation
    let loops: PublishLoops
    let connections: ConnectionCounts
    let deliveries: DeliveryHost

    /// Everything counted until now, whatever event loop counted it.
    func answer() async throws(Problem) -> Response {
        guard let metrics = observation.metrics else {
            throw Problem(kind: .notFound, detail: "there are no metrics: METRICS is false")
        }
        let state = observation.state(await loops.settle(), connections)
        let body = metrics.page(state, await DeliveryState(deliveries))
        return Response(
            status: .ok,
            headers: [.contentType: PrometheusRegistry.contentType],
            body: .init(byteBuffer: ByteBuffer(bytes: body))
        )
    }
}

/// All routes but publishing: health, the answers to other methods, and 404 with a reason.
struct Routes: HTTPResponder {
    typealias Context = GatewayContext

    private let router: any HTTPResponder<GatewayContext>
    private let deliveries: DeliveryPages?
    private let logger: Logger

    /// Which methods each path knows; another method is 405 with `Allow` (RFC 9110 §15.5.6).
    private static let allowed: [String: String] = [
        "/": "OPTIONS, POST", "/v1/events": "OPTIONS, POST", "/events/publish": "OPTIONS, POST",
        "/metrics": "GET, HEAD", "/v1/stats": "GET, HEAD", "/health": "GET, HEAD", "/health/live": "GET, HEAD",
        "/health/ready": "GET, HEAD", "/ready": "GET, HEAD",
    ]

    init(pages: Pages, logger: Logger) {
        self.logger = logger
        deliveries = pages.deliveries
        let health = pages.health
        let router = Router(context: GatewayContext.self)
        for path in ["/", "/v1/events", "/events/publish"] as [RouterPath] {
            router.on(path, method: .options) { request, _ in PublishOptions.answer(request) }
        }
        for method in [HTTPRequest.Method.get, .head] {
            router.on("/health", method: method) { _, _ in health.overall() }
            router.on("/health/live", method: method) { _, _ in health.live() }
            router.on("/health/ready", method: method) { _, _ in health.ready() }
            router.on("/ready", method: method) { _, _ in health.ready() }
            router.on("/metrics", method: method) { _, _ in try await pages.metrics.answer() }
            router.on("/v1/stats", method: method) { request, _ in
                try await pages.reports.page(target: request.uri.description)
            }
            router.on("/v1/tenants/{id}/metrics", method: method) { _, context in
                try await pages.reports.one(context.parameters.get("id") ?? "")
            }
        }
        self.router = router.buildResponder()
    }

    func respond(to request: Request, context: GatewayContext) async throws -> Response {
        let path = request.uri.path
        let requestID = request.headers[.requestID].flatMap(RequestID.echo)
        let target = deliveries.flatMap { _ in DeliveryTarget(path: path) }
        var response: Response
        do {
            response = try await answer(request, path, target, context)
            if let requestID { response.headers[.requestID] = requestID }
        } catch let problem as Problem {
            let id = requestID ?? RequestID.make()
            PublishLog.refused(problem, requestID: id, request: request, logger)
            response = target?.isEventGrid == true ? problem.eventGridResponse(id) : problem.response(id)
        }
        return request.method == .head ? response.createHeadResponse() : response
    }

    private func answer(
        _ request: Request,
        _ path: String,
        _ target: DeliveryTarget?,
        _ context: GatewayContext
    ) async throws -> Response {
        if request.method == .options && path == "*" {
            // Of the server as a whole (RFC 9110 §9.3.7).
            return Response(status: .ok, headers: [.allow: "DELETE, GET, HEAD, OPTIONS, POST, PUT"])
        }
        let methods = target?.methods ?? Self.allowed[path] ?? (Self.isTenantMetrics(path) ? "GET, HEAD" : nil)
        if let problem = Self.refusal(request.method, path, methods) { throw problem }
        if let deliveries, let target { return try await deliveries.respond(to: request, target, on: context.channel) }
        return try await router.respond(to: request, context: context)
    }
}

extension Routes {
    /// Why there is no route: no such path, or the path does not know the method.
    private static func refusal(_ method: HTTPRequest.Method, _ path: String, _ methods: String?) -> Problem? {
        guard let methods else {
            return Problem(kind: .notFound, detail: "there is nothing at \(path.quotedForDetail)")
        }
        if methods.split(separator: ", ").contains(where: { $0.utf8.elementsEqual(method.rawValue.utf8) }) {
            return nil
        }
        return Problem(
            kind: .methodNotAllowed,
            detail: "\(method.rawValue.quotedForDetail) is not allowed on \(path.quotedForDetail); allowed: \(methods)",
            fields: [("Allow", methods)]
        )
    }
}

extension Routes {
    /// `/v1/tenants/{id}/metrics`.
    private static func isTenantMetrics(_ path: String) -> Bool {
        let parts = path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        return parts.count == 5 && path.utf8.starts(with: "/v1/tenants/".utf8) && !parts[3].isEmpty
            && parts[4].elementsEqual("metrics".utf8)
    }
}

extension HTTPField.Name {
    fileprivate static let requestID = HTTPField.Name.literal("X-Request-Id")

    /// A name that is known to be one.
    static func literal(_ name: String) -> HTTPField.Name {
        guard let name = HTTPField.Name(name) else { preconditionFailure("\(name) is no field name") }
        return name
    }
}

extension Problem {
    /// The problem as a Hummingbird response.
    func response(_ requestID: String) -> Response { Self.response(answer(requestID: requestID), requestID) }

    /// The problem in the shape of Event Grid.
    func eventGridResponse(_ requestID: String) -> Response {
        Self.response(EventGridError.answer(self, requestID: requestID), requestID)
    }

    private static func response(_ answer: HTTPAnswer, _ requestID: String) -> Response {
        var headers = HTTPFields()
        headers[.requestID] = requestID
        headers[.contentType] = answer.contentType
        for field in answer.fields {
            if let name = HTTPField.Name(field.name) { headers[name] = field.value }
        }
        return Response(
            status: .init(code: Int(answer.status.code), reasonPhrase: answer.status.reasonPhrase),
            headers: headers,
            body: .init(byteBuffer: ByteBuffer(bytes: answer.body))
        )
    }
}

/// `OPTIONS` on a publishing path: what may be sent, and consent to CloudEvents webhooks.
enum PublishOptions {
    private static let origin = HTTPField.Name.literal("WebHook-Request-Origin")
    private static let allowedOrigin = HTTPField.Name.literal("WebHook-Allowed-Origin")
    private static let allowedRate = HTTPField.Name.literal("WebHook-Allowed-Rate")
    private static let acceptPost = HTTPField.Name.literal("Accept-Post")

    /// Consents to every origin at any rate (CloudEvents webhook specification §4.2): a sender's identity is proved by
    /// credentials, not by this handshake, and the limits answer with 429 when they come.
    static func answer(_ request: Request) -> Response {
        var headers = HTTPFields()
        headers[.allow] = "OPTIONS, POST"
        headers[acceptPost] = "application/cloudevents+json, application/cloudevents-batch+json, */*"
        if let origin = request.headers[origin], !origin.isEmpty {
            headers[allowedOrigin] = origin
            headers[allowedRate] = "*"
        }
        return Response(status: .ok, headers: headers)
    }
}
