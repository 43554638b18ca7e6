import CloudEvents
import EventBus
import HTTPTypes
import Hummingbird
import NIOCore
import NIOHTTP1

/// Errors in the shape that Event Grid's clients expect: `{"error":{"code","message","details"}}` and `x-ms-error-code`.
enum EventGridError {
    private static let codeField = "x-ms-error-code"

    /// The answer to a request with this problem.
    static func answer(_ problem: Problem, requestID: String) -> HTTPAnswer {
        let code = code(of: problem.kind.status)
        var body: [UInt8] = []
        body.appendJSON(raw: "{\"error\":{\"code\":")
        body.appendJSON(string: code)
        body.appendJSON(raw: ",\"message\":")
        body.appendJSON(string: problem.detail)
        body.appendJSON(raw: ",\"details\":[")
        for (index, violation) in problem.violations.enumerated() {
            if index > 0 { body.append(UInt8(ascii: ",")) }
            body.appendJSON(raw: "{\"code\":")
            body.appendJSON(string: violation.rule)
            body.appendJSON(raw: ",\"message\":")
            body.appendJSON(string: violation.detail)
            body.appendJSON(raw: ",\"target\":")
            body.appendJSON(string: violation.pointer)
            body.append(UInt8(ascii: "}"))
        }
        body.appendJSON(raw: "],\"innererror\":{\"code\":")
        body.appendJSON(string: problem.kind.rawValue)
        body.appendJSON(raw: ",\"requestId\":")
        body.appendJSON(string: requestID)
        body.appendJSON(raw: "}}}")
        var answer = problem.answer(requestID: requestID)
        answer.body = body
        answer.contentType = HTTPAnswer.MediaType.json
        answer.fields.append((codeField, code))
        return answer
    }

    /// The answer to a publish that was stored as a whole.
    static let stored = HTTPAnswer(status: .ok, body: Array("{}".utf8))

    private static func code(of status: HTTPResponseStatus) -> String {
        switch status.code {
        case 400: "BadRequest"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "ResourceNotFound"
        case 405: "MethodNotAllowed"
        case 408: "RequestTimeout"
        case 409: "Conflict"
        case 413: "RequestEntityTooLarge"
        case 415: "UnsupportedMediaType"
        case 429: "TooManyRequests"
        case 503: "ServiceUnavailable"
        case 504: "GatewayTimeout"
        case 507: "InsufficientStorage"
        case 400..<500: "BadRequest"
        default: "InternalServerError"
        }
    }
}
