public import CloudEvents

/// What a sink is shown to let us in; `sinkcredential` of the Subscriptions API.
///
/// The secret part is write-only: it is stored, sent to the one sink it is for (S-11), and never shown again.
public enum SinkCredential: Sendable {
    /// `PLAIN`: a user and a password, sent as HTTP Basic (RFC 7617).
    case plain(identifier: String, secret: String)
    /// `ACCESSTOKEN`: sent as `Authorization: Bearer` (RFC 6750).
    case accessToken(String, expires: Timestamp?)
    /// `HEADER`: any header field, such as `X-API-Key`.
    case header(name: String, value: String)

    /// The header field that carries it.
    public var field: (name: String, value: String) {
        switch self {
        case .plain(let identifier, let secret):
            ("Authorization", "Basic " + Base64.encode(Array("\(identifier):\(secret)".utf8)[...]))
        case .accessToken(let token, _): ("Authorization", "Bearer \(token)")
        case .header(let name, let value): (name, value)
        }
    }
}

/// The syntax of header fields that subscriptions may add to requests.
enum HeaderSyntax {
    /// Whether a text is a token (RFC 9110 §5.6.2) of at most 128 bytes.
    static func isName(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 128
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
                }
            }
    }

    /// Whether a text is printable ASCII and blanks, with no blank at either end, and at most `bytesMax` long.
    static func isValue(_ text: String, bytesMax: Int = SubscriptionConfig.Limits.textBytes) -> Bool {
        let bytes = text.utf8
        guard let first = bytes.first, let last = bytes.last else { return false }
        return bytes.count <= bytesMax && first > 0x20 && last > 0x20
            && bytes.allSatisfy { (0x20...0x7E).contains($0) || $0 == 0x09 }
    }

    /// Why a field of this name is not for a subscription to set; `nil` if it is.
    static func objection(to name: String) -> String? {
        let name = name.lowercased()
        if hopByHop.contains(name) { return "belongs to the connection" }
        if name.utf8.starts(with: "content-".utf8) { return "describes the content, which the event decides" }
        if name.utf8.starts(with: "ce-".utf8) { return "is an attribute of the event" }
        if name.utf8.starts(with: "webhook-".utf8) { return "belongs to the webhook protocol" }
        if name == "traceparent" || name == "tracestate" { return "carries the trace of the delivery" }
        return nil
    }

    private static let hopByHop: Set<String> = [
        "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "trailer",
        "transfer-encoding", "upgrade", "http2-settings", "host", "expect",
    ]
}
