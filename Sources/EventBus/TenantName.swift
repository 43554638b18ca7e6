/// The name of a tenant: `[a-z0-9][a-z0-9-]{0,62}`, so that it is a subject token, a file name and a label as it stands.
public struct TenantName: Sendable, Hashable, CustomStringConvertible {
    /// The name itself.
    public let text: String

    /// The tenant of a request that names none.
    public static let `default` = TenantName(unchecked: "default")

    /// Takes a name, or `nil` where it is not one.
    public init?(_ text: String) {
        guard Self.isValid(text.utf8) else { return nil }
        self.text = text
    }

    private init(unchecked text: String) {
        self.text = text
    }

    /// The name itself.
    public var description: String { text }

    /// What a name must look like, for error messages.
    public static let rule = "1 to 63 characters of a-z, 0-9 and '-', the first not '-'"

    private static func isValid(_ bytes: String.UTF8View) -> Bool {
        guard let first = bytes.first, first != UInt8(ascii: "-"), bytes.count <= 63 else { return false }
        return bytes.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"): true
            default: false
            }
        }
    }
}
