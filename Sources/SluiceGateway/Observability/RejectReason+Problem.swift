import TenantMetrics

extension Problem.Kind {
    /// The class that a refused event is counted under.
    var rejectReason: RejectReason {
        switch self {
        case .invalidEvent: .invalid
        case .malformedJSON, .malformedRequest, .invalidParameter, .invalidTenant, .requestTimeout,
            .expectationFailed:
            .malformed
        case .tooLarge, .batchTooLarge, .uriTooLong, .headerTooLarge: .tooLarge
        case .unsupportedMediaType: .unsupported
        case .brokerUnavailable: .unavailable
        case .overloaded: .overloaded
        case .storeFull: .storeFull
        case .misconfigured: .misconfigured
        case .outcomeUnknown: .outcomeUnknown
        case .notFound, .methodNotAllowed, .internalError, .countersUnavailable, .invalidSubscription,
            .invalidRequest, .conflict, .wrongProtocol, .tooManySubscriptions, .tooManyConsumers,
            .unavailable:
            .other
        }
    }
}
