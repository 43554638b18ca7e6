import EventBus
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOHTTP1

/// All routes but publishing: health, the answers to other methods, and 404 with a reason.
struct Routes: HTTPResponder {
    typealias Context = BasicRequestContext

    private let router: any HTTPResponder<BasicRequestContext>
    private let logger: Logger

    /// Which methods each path knows; another method is 405 with `Allow` (RFC 9110 §15.5.6).
    private static let allowed: [String: String] = [
        "/": "OPTIONS, POST", "/v1/events": "OPTIONS, POST", "/events/publish": "OPTIONS, POST",
        "/health": "GET, HEAD", "/health/live": "GET, HEAD", "/health/ready": "GET, HEAD", "/ready": "GET, HEAD",
    ]

    init(health: Health, logger: Logger) {
        self.logger = logger
        let router = Router(context: BasicRequestContext.self)
        for path in ["/", "/v1/events", "/events/publish"] as [RouterPath] {
            router.on(path, method: .options) { request, _ in PublishOptions.answer(request) }
        }
        for method in [HTTPRequest.Method.get, .head] {
            router.on("/health", method: method) { _, _ in health.overall() }
            router.on("/health/live", method: method) { _, _ in health.live() }
            router.on("/health/ready", method: method) { _, _ in health.ready() }
            router.on("/ready", method: method) { _, _ in health.ready() }
        }
        self.router = router.buildResponder()
    }

    func respond(to request: Request, context: BasicRequestContext) async throws -> Response {
        let path = request.uri.path
        let requestID = request.headers[.requestID].flatMap(RequestID.echo)
        var response: Response
        if request.method == .options && path == "*" {
            // Of the server as a whole (RFC 9110 §9.3.7).
            response = Response(status: .ok, headers: [.allow: "GET, HEAD, OPTIONS, POST"])
        } else if let problem = Self.refusal(request.method, path) {
            let id = requestID ?? RequestID.make()
            PublishLog.refused(problem, requestID: id, request: request, logger)
            response = problem.response(id)
        } else {
            response = try await router.respond(to: request, context: context)
            if let requestID { response.headers[.requestID] = requestID }
        }
        return request.method == .head ? response.createHeadResponse() : response
    }
}

extension Routes {
    /// Why there is no route: no such path, or the path does not know the method.
    private static func refusal(_ method: HTTPRequest.Method, _ path: String) -> Problem? {
        guard let methods = allowed[path] else {
            return Problem(kind: .notFound, detail: "there is nothing at \(path.quotedForDetail)")
        }
        if methods.split(separator: ", ").contains(where: { $0.utf8.elementsEqual(method.rawValue.utf8) }) {
            return nil
        }
        return Problem(
            kind: .methodNotAllowed,
            detail: "\(method.rawValue.quotedForDetail) is not allowed on \(path); allowed: \(methods)",
            fields: [("Allow", methods)]
        )
    }
}

extension HTTPField.Name {
    fileprivate static let requestID = HTTPField.Name.literal("X-Request-Id")

    fileprivate static func literal(_ name: String) -> HTTPField.Name {
        guard let name = HTTPField.Name(name) else { preconditionFailure("\(name) is no field name") }
        return name
    }
}

extension Problem {
    /// The problem as a Hummingbird response.
    func response(_ requestID: String) -> Response {
        let answer = answer(requestID: requestID)
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
