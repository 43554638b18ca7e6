/// The id of a subscription: `[A-Za-z0-9][A-Za-z0-9_-]{0,62}`, so that it is a subject token and part of a consumer's name.
public struct SubscriptionName: Sendable, Hashable, CustomStringConvertible {
    /// The name itself.
    public let text: String

    /// Takes a name, or `nil` where it is not one.
    public init?(_ text: String) {
        let bytes = text.utf8
        guard let first = bytes.first, bytes.count <= 63, Self.isAlphanumeric(first),
            bytes.allSatisfy({ Self.isAlphanumeric($0) || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-") })
        else { return nil }
        self.text = text
    }

    private init(unchecked text: String) {
        self.text = text
    }

    /// A name that nobody else has: 26 characters of base 32, 130 random bits.
    public static func random() -> SubscriptionName {
        let digits = Array("0123456789abcdefghjkmnpqrstvwxyz".utf8)
        var generator = SystemRandomNumberGenerator()
        let bytes = (0..<26).map { _ in digits[Int.random(in: 0..<32, using: &generator)] }
        return SubscriptionName(unchecked: String(decoding: bytes, as: UTF8.self))
    }

    /// The name itself.
    public var description: String { text }

    /// What a name must look like, for error messages.
    public static let rule = "1 to 63 characters of A-Z, a-z, 0-9, '_' and '-', the first a letter or digit"

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }
}

/// What names a subscription everywhere: its tenant and its id.
public struct SubscriptionKey: Sendable, Hashable, CustomStringConvertible {
    /// Whose it is.
    public let tenant: TenantName
    /// Its id within the tenant.
    public let id: SubscriptionName

    /// Makes a key of its parts.
    public init(tenant: TenantName, id: SubscriptionName) {
        self.tenant = tenant
        self.id = id
    }

    /// `<tenant>/<id>`.
    public var description: String { "\(tenant)/\(id)" }

    /// The name of its consumer, `<tenant>_<id>`; one-to-one, since a tenant's name has no `_`.
    package var durableName: String { "\(tenant)_\(id)" }

    /// The key whose consumer has this name; `nil` if it is nobody's.
    package init?(durableName: String) {
        let parts = durableName.split(separator: "_", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let tenant = TenantName(String(parts[0])),
            let id = SubscriptionName(String(parts[1]))
        else { return nil }
        self.init(tenant: tenant, id: id)
    }
}
