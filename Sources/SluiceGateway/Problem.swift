import CloudEvents
import EventBus
import NIOHTTP1

/// A problem detail (RFC 9457): why a request was not done, for a program (`type`) and for a person (`detail`).
struct Problem: Error, Sendable {
    /// The kind of problem; its URN, title and status go together.
    var kind: Kind
    /// What happened this time.
    var detail: String
    /// Everything that is wrong with the event or the batch, in the order found.
    var violations: [Violation] = []
    /// Violations that are not listed, because there are too many.
    var violationsOmitted = 0
    /// The limit that was exceeded, in bytes or events.
    var limit: Int?
    /// Further header fields of the answer.
    var fields: [(name: String, value: String)] = []
    /// Whether the connection ends with the answer.
    var closes = false

    enum Kind: String, Sendable {
        case invalidEvent = "invalid-event"
        case malformedJSON = "malformed-json"
        case malformedRequest = "malformed-request"
        case invalidParameter = "invalid-parameter"
        case invalidTenant = "invalid-tenant"
        case notFound = "not-found"
        case methodNotAllowed = "method-not-allowed"
        case requestTimeout = "request-timeout"
        case tooLarge = "too-large"
        case batchTooLarge = "batch-too-large"
        case uriTooLong = "uri-too-long"
        case unsupportedMediaType = "unsupported-media-type"
        case expectationFailed = "expectation-failed"
        case headerTooLarge = "header-too-large"
        case brokerUnavailable = "broker-unavailable"
        case misconfigured = "misconfigured"
        case outcomeUnknown = "outcome-unknown"
        case storeFull = "store-full"
        case internalError = "internal-error"
        case overloaded = "overloaded"
        case countersUnavailable = "counters-unavailable"
        case invalidSubscription = "invalid-subscription"
        case invalidRequest = "invalid-request"
        case conflict
        case wrongProtocol = "wrong-protocol"
        case tooManySubscriptions = "too-many-subscriptions"
        case tooManyConsumers = "too-many-consumers"
        case unavailable

        var status: HTTPResponseStatus {
            switch self {
            case .invalidEvent, .malformedJSON, .malformedRequest, .invalidParameter, .invalidTenant: .badRequest
            case .invalidSubscription, .invalidRequest: .badRequest
            case .notFound: .notFound
            case .methodNotAllowed: .methodNotAllowed
            case .conflict, .wrongProtocol: .conflict
            case .requestTimeout: .requestTimeout
            case .tooLarge, .batchTooLarge: .payloadTooLarge
            case .uriTooLong: .uriTooLong
            case .unsupportedMediaType: .unsupportedMediaType
            case .expectationFailed: .expectationFailed
            case .tooManySubscriptions: .tooManyRequests
            case .headerTooLarge: .requestHeaderFieldsTooLarge
            case .brokerUnavailable, .misconfigured: .serviceUnavailable
            case .outcomeUnknown: .gatewayTimeout
            // Not the caller's own limit, as with 429: the stream that all tenants share is full.
            case .storeFull, .tooManyConsumers: .insufficientStorage
            case .internalError: .internalServerError
            case .overloaded, .countersUnavailable, .unavailable: .serviceUnavailable
            }
        }

        var title: StaticString {
            switch self {
            case .invalidEvent: "The event violates the CloudEvents specification"
            case .malformedJSON: "The body is not the JSON it should be"
            case .malformedRequest: "The request is not well-formed HTTP"
            case .invalidParameter: "A parameter is not valid"
            case .invalidTenant: "The tenant is not valid"
            case .notFound: "There is nothing at this address"
            case .methodNotAllowed: "The method is not allowed here"
            case .requestTimeout: "The request took too long to arrive"
            case .tooLarge: "The request or the event is too large"
            case .batchTooLarge: "The batch has too many events"
            case .uriTooLong: "The request target is too long"
            case .unsupportedMediaType: "This content type is not taken here"
            case .expectationFailed: "The expectation cannot be met"
            case .headerTooLarge: "The header is too large"
            case .brokerUnavailable: "Certainly not stored: the event bus is not available"
            case .misconfigured: "Certainly not stored: a stream does not have its configured settings"
            case .outcomeUnknown: "The outcome is unknown: no acknowledgement came"
            case .storeFull: "Certainly not stored: the stream is full"
            case .internalError: "The gateway failed"
            case .overloaded: "Certainly not stored: the gateway has too much to do"
            case .countersUnavailable: "The counters cannot be read now"
            case .invalidSubscription: "The subscription is not valid"
            case .invalidRequest: "The request's body is not what it should be"
            case .conflict: "The thing is not in the state that the request expects"
            case .wrongProtocol: "The subscription has another protocol"
            case .tooManySubscriptions: "The tenant has as many subscriptions as it may have"
            case .tooManyConsumers: "Certainly not made: the event stream has as many consumers as it may have"
            case .unavailable: "This cannot be done now"
            }
        }

        /// Seconds after which a retry is worth while, for the kinds that pass by themselves.
        var retryAfterSeconds: Int? {
            switch self {
            case .brokerUnavailable, .outcomeUnknown, .overloaded, .countersUnavailable, .unavailable: 1
            case .misconfigured, .storeFull, .tooManyConsumers: 10
            case .tooManySubscriptions: 60
            default: nil
            }
        }
    }

    /// Writes the members of the problem object without the closing brace, so that the caller can add its own.
    func write(into body: inout [UInt8], requestID: String?) {
        body.appendJSON(raw: "{\"type\":")
        body.appendJSON(string: "urn:sluice:problem:" + kind.rawValue)
        body.appendJSON(raw: ",\"title\":\"")
        body.appendJSON(raw: kind.title)
        body.appendJSON(raw: "\",\"status\":")
        body.appendJSON(integer: UInt64(kind.status.code))
        body.appendJSON(raw: ",\"detail\":")
        body.appendJSON(string: detail)
        if let limit {
            body.appendJSON(raw: ",\"limit\":")
            body.appendJSON(integer: UInt64(max(limit, 0)))
        }
        if let requestID {
            body.appendJSON(raw: ",\"requestId\":")
            body.appendJSON(string: requestID)
        }
        if !violations.isEmpty { writeViolations(into: &body) }
    }

    private func writeViolations(into body: inout [UInt8]) {
        body.appendJSON(raw: ",\"violations\":[")
        for (index, violation) in violations.enumerated() {
            if index > 0 { body.append(UInt8(ascii: ",")) }
            body.appendJSON(raw: "{\"pointer\":")
            body.appendJSON(string: violation.pointer)
            if let attribute = violation.attribute {
                body.appendJSON(raw: ",\"attribute\":")
                body.appendJSON(string: attribute)
            }
            body.appendJSON(raw: ",\"rule\":")
            body.appendJSON(string: violation.rule)
            body.appendJSON(raw: ",\"detail\":")
            body.appendJSON(string: violation.detail)
            body.append(UInt8(ascii: "}"))
        }
        body.append(UInt8(ascii: "]"))
    }

    /// The whole answer.
    ///
    /// - Parameter extra: further members, complete with leading comma.
    func answer(requestID: String?, extra: [UInt8] = []) -> HTTPAnswer {
        var body: [UInt8] = []
        body.reserveCapacity(256 + extra.count + violations.count * 128)
        write(into: &body, requestID: requestID)
        body.append(contentsOf: extra)
        body.append(UInt8(ascii: "}"))
        var fields = fields
        if let seconds = kind.retryAfterSeconds { fields.append(("Retry-After", String(seconds))) }
        return HTTPAnswer(
            status: kind.status,
            body: body,
            contentType: HTTPAnswer.MediaType.problem,
            fields: fields,
            closes: closes
        )
    }
}

extension Problem {
    /// The problem of a publish that failed, in the words of design §4's status table.
    init(_ error: PublishError) {
        switch error {
        case .invalid(let invalid):
            self.init(invalid)
        case .tooLarge(_, let limit):
            self.init(kind: .tooLarge, detail: error.description, limit: limit)
        case .refusedForSize(let reason):
            self.init(kind: .tooLarge, detail: "JetStream refuses the event: \(reason)")
        case .refusedForHeaders(let reason):
            self.init(kind: .headerTooLarge, detail: "JetStream refuses the event's headers: \(reason)")
        case .storeFull(let reason):
            self.init(kind: .storeFull, detail: reason)
        case .unavailable(let reason):
            self.init(kind: .brokerUnavailable, detail: reason)
        case .misconfigured(let reason):
            self.init(kind: .misconfigured, detail: reason)
        case .outcomeUnknown(let reason):
            self.init(
                kind: .outcomeUnknown,
                detail: "\(reason); the event may or may not be stored: a retry with the same id is safe"
            )
        }
    }

    /// The problem of an event, or a text, that breaks the rules: everything at once.
    init(_ invalid: InvalidEvent) {
        let malformed = invalid.violations.contains { $0.rule == "JSON-02" }
        let count = invalid.violations.count + invalid.omitted
        self.init(
            kind: malformed ? .malformedJSON : .invalidEvent,
            detail: count == 1
                ? invalid.violations[0].detail
                : "\(count) rules are broken; violations lists them"
                    + (invalid.omitted > 0 ? ", the first \(invalid.violations.count) of them" : ""),
            violations: invalid.violations,
            violationsOmitted: invalid.omitted
        )
    }
}
