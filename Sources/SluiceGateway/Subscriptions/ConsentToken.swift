import EventBus
import HTTPTypes
import Hummingbird
import Webhooks

/// What stands behind `/v1/consents/` in a callback: the subscription, and a secret of 256 random bits.
struct ConsentToken: Sendable {
    let key: SubscriptionKey
    let secret: String

    /// A token for this subscription.
    init(_ key: SubscriptionKey, _ secret: String) {
        self.key = key
        self.secret = secret
    }

    /// Takes a token apart; nil for anything else.
    init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let tenant = TenantName(String(parts[0])), let id = SubscriptionName(String(parts[1])),
            (32...128).contains(parts[2].utf8.count)
        else { return nil }
        self.init(SubscriptionKey(tenant: tenant, id: id), String(parts[2]))
    }

    /// The token as text: characters that stand for themselves in a URL.
    var text: String { "\(key.tenant).\(key.id).\(secret)" }

    /// What is kept of a secret: its SHA-256 in hexadecimal.
    static func digest(_ secret: String) -> String {
        let digits = Array("0123456789abcdef".utf8)
        let bytes = SHA256Digest(secret).bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Compares digests in a time that does not tell where they differ.
    static func isEqual(_ left: String, _ right: String) -> Bool {
        let (left, right) = (Array(left.utf8), Array(right.utf8))
        guard left.count == right.count else { return false }
        return zip(left, right).reduce(UInt8(0)) { $0 | $1.0 ^ $1.1 } == 0
    }

    /// The rate that a callback grants, in the header or the query; nil if it names none.
    static func rate(_ request: Request) throws(Problem) -> WebhookHandshake.Rate? {
        let query = try QueryParameters(request.uri.description, allowed: ["rate"])
        let rates = request.headers[values: .webhookAllowedRate]
        guard let text = rates.first ?? query["rate"] else { return nil }
        guard rates.count <= 1, let rate = WebhookHandshake.rate(text) else {
            throw Problem(
                kind: .invalidParameter,
                detail: "the rate is a positive number of requests per minute, or '*'; nothing was consented to"
            )
        }
        return rate
    }
}

extension HTTPField.Name {
    static let webhookAllowedRate = HTTPField.Name.literal("WebHook-Allowed-Rate")
}
