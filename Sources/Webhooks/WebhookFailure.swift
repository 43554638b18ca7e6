/// Why a request to a sink has no answer.
package struct WebhookFailure: Error, Sendable, Equatable {
    /// What went wrong.
    package enum Kind: String, Sendable, CaseIterable {
        /// The sink's name leads to an address that is not allowed (S-05); nothing was connected.
        case addressForbidden = "address-forbidden"
        case resolveFailed = "resolve-failed"
        case connectFailed = "connect-failed"
        case tlsFailed = "tls-failed"
        /// The deadline of the whole request passed.
        case timeout
        /// The connection, or the HTTP/2 stream, ended before the answer was complete.
        case reset
        /// The answer's head, or what came before it, is over its limit.
        case responseTooLarge = "response-too-large"
        case badResponse = "bad-response"
        /// Too many requests wait for this sink already.
        case busy
        case cancelled
        /// A field of the request cannot be sent as it is.
        case badRequest = "bad-request"
    }

    /// How far the request came.
    package enum Progress: Sendable, Equatable {
        /// Certainly nothing of it was processed.
        case notSent
        /// It may have been processed.
        ///
        /// `closedUnused` tells that a connection which had served before ended without a byte of an answer: most likely the
        /// sink closed it as idle just then, and the request may be sent again (RFC 9112 §9.3.1).
        case noAnswer(closedUnused: Bool)
    }

    package let kind: Kind
    package let progress: Progress
    /// A short text for people; holds no part of the target, of the fields or of the body of the request.
    package let text: String

    package init(_ kind: Kind, _ progress: Progress, _ text: String) {
        self.kind = kind
        self.progress = progress
        self.text = text
    }
}
