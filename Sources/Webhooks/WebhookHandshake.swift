/// The abuse protection of CloudEvents' HTTP webhooks 1.0 §4: a sink must consent before anything is delivered.
package enum WebhookHandshake {
    /// How often a sink may be called.
    package enum Rate: Sendable, Equatable {
        case perMinute(Int)
        case unlimited
    }

    /// What an answer to the request says.
    package enum Answer: Sendable, Equatable {
        /// `rate` is nil if the sink named none.
        case consent(Rate?)
        /// And why it is none.
        case noConsent(String)
    }

    package static let originField = "webhook-request-origin"
    static let callbackField = "webhook-request-callback"
    static let rateField = "webhook-request-rate"
    static let allowedOriginField = "webhook-allowed-origin"
    static let allowedRateField = "webhook-allowed-rate"

    /// The request that asks for consent.
    ///
    /// - Parameters:
    ///   - sink: laid out with the method `OPTIONS`, for the very URL of the deliveries.
    ///   - origin: the DNS name of the sending system.
    ///   - callback: an HTTPS URL with a ``CallbackToken``, where consent can be given later.
    ///   - ratePerMinute: the rate that is asked for.
    package static func request(
        _ sink: WebhookSink,
        origin: String,
        callback: String? = nil,
        ratePerMinute: Int? = nil,
        timeout: Duration = .seconds(30)
    ) -> WebhookRequest {
        var fields: [(name: String, value: String)] = [(originField, origin)]
        if let callback { fields.append((callbackField, callback)) }
        if let ratePerMinute, ratePerMinute > 0 { fields.append((rateField, String(ratePerMinute))) }
        return WebhookRequest(
            sink,
            fields: fields,
            timeout: timeout,
            wantedFields: [allowedOriginField, allowedRateField]
        )
    }

    /// Reads the answer: consent is one `WebHook-Allowed-Origin` with the very origin or `*`, whatever the status, and a
    /// rate that, if it is there, is a positive number or `*` (HOOK-22 to HOOK-26).
    package static func read(_ response: WebhookResponse, origin: String) -> Answer {
        let origins = response.fields.filter { $0.name == allowedOriginField }.map(\.value)
        guard let allowed = origins.first else {
            return .noConsent("the answer (status \(response.status)) has no WebHook-Allowed-Origin")
        }
        guard origins.count == 1, allowed == "*" || allowed.utf8.elementsEqual(origin.utf8) else {
            return .noConsent("the WebHook-Allowed-Origin of the answer is another one")
        }
        let rates = response.fields.filter { $0.name == allowedRateField }.map(\.value)
        guard let text = rates.first else { return .consent(nil) }
        guard rates.count == 1, let rate = rate(text) else {
            return .noConsent("the WebHook-Allowed-Rate of the answer is not a positive number or *")
        }
        return .consent(rate)
    }

    /// Reads a rate as the field or a callback has it: `*`, or a positive number of requests per minute.
    package static func rate(_ text: String) -> Rate? {
        if text == "*" { return .unlimited }
        guard (1...9).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let number = Int(text), number > 0
        else { return nil }
        return .perMinute(number)
    }
}

/// The secret in the URL by which a sink consents later; 256 random bits.
package struct CallbackToken: Sendable {
    /// For the URL: 43 characters of base64url.
    package let text: String

    package init() {
        var random = SystemRandomNumberGenerator()
        let bytes = (0..<32).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        text = Base64Text.encode(bytes, forURL: true)
    }

    /// What is kept of it.
    ///
    /// - Parameter expires: seconds since 1970.
    package func grant(expires: Int64) -> CallbackGrant {
        CallbackGrant(digest: LibCrypto.digest(Array(text.utf8)), expires: expires)
    }
}

/// What is kept of a ``CallbackToken``: enough to know it again once, not enough to make it.
package struct CallbackGrant: Sendable, Equatable {
    package enum Outcome: Sendable, Equatable {
        case accepted
        case wrong
        case expired
        case used
    }

    /// SHA-256 of the token's text.
    package let digest: [UInt8]
    /// Seconds since 1970.
    package let expires: Int64
    package private(set) var isUsed: Bool

    package init(digest: [UInt8], expires: Int64, isUsed: Bool = false) {
        self.digest = digest
        self.expires = expires
        self.isUsed = isUsed
    }

    /// Takes a token once; the caller stores the grant before it acts on `.accepted`.
    package mutating func redeem(_ token: String, now: Int64) -> Outcome {
        guard LibCrypto.isEqual(LibCrypto.digest(Array(token.utf8)), digest) else { return .wrong }
        guard !isUsed else { return .used }
        guard now < expires else { return .expired }
        isUsed = true
        return .accepted
    }
}
