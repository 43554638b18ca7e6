/// The route of a request as metrics name it: a closed set, whatever paths are asked for (S-19).
enum RouteLabel: Int, CaseIterable, Sendable {
    case events, publish, health, metrics, stats, other

    /// The label's value.
    var text: String {
        switch self {
        case .events: "events"
        case .publish: "publish"
        case .health: "health"
        case .metrics: "metrics"
        case .stats: "stats"
        case .other: "other"
        }
    }

    /// The route of a request that the publishing path takes.
    init(_ route: PublishRequest.Route) {
        switch route {
        case .events, .eventGrid: self = .events
        case .shortForm: self = .publish
        }
    }

    /// The route of any other request, by its target.
    init(target: String) {
        let path = target.utf8.prefix { $0 != UInt8(ascii: "?") }
        if path.elementsEqual("/metrics".utf8) {
            self = .metrics
        } else if path.elementsEqual("/ready".utf8) || path.starts(with: "/health".utf8) {
            self = .health
        } else if path.elementsEqual("/v1/stats".utf8) || path.starts(with: "/v1/tenants/".utf8) {
            self = .stats
        } else {
            self = .other
        }
    }
}

/// The class of a status as metrics name it; the gateway answers with no other.
enum StatusClass: Int, CaseIterable, Sendable {
    case success, clientError, serverError

    /// The label's value.
    var text: String {
        switch self {
        case .success: "2xx"
        case .clientError: "4xx"
        case .serverError: "5xx"
        }
    }

    /// The class of a final status.
    init(_ status: UInt) {
        switch status {
        case ..<400: self = .success
        case ..<500: self = .clientError
        default: self = .serverError
        }
    }
}
