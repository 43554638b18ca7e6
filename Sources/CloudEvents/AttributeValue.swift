/// A value of one of the seven attribute types of the CloudEvents type system.
///
/// The wire rarely tells all seven apart: a JSON text yields ``boolean(_:)``, ``integer(_:)`` and ``string(_:)``,
/// header fields yield only ``string(_:)``. The other cases are for producers; they are written as their canonical
/// text.
///
/// Source: CloudEvents 1.0, "Type System". Equality and hashing go by code units, never by canonical equivalence.
public enum AttributeValue: Sendable {
    /// `true` or `false`.
    case boolean(Bool)
    /// A whole number in the range of 32 bits with sign.
    case integer(Int32)
    /// A Unicode text without control characters and noncharacters.
    case string(String)
    /// Bytes; canonical text is base64 (RFC 4648 section 4).
    case binary([UInt8])
    /// An absolute URI (RFC 3986 section 4.3).
    case uri(String)
    /// A URI-reference (RFC 3986 section 4.1).
    case uriReference(String)
    /// A point in time (RFC 3339).
    case timestamp(Timestamp)

    /// The canonical text that stands for the value wherever only text can travel.
    public var canonicalText: String {
        switch self {
        case .boolean(let value): value ? "true" : "false"
        case .integer(let value): String(value)
        case .string(let text), .uri(let text), .uriReference(let text): text
        case .binary(let bytes): Base64.encode(bytes[...])
        case .timestamp(let time): time.text
        }
    }

    private var kind: UInt8 {
        switch self {
        case .boolean: 0
        case .integer: 1
        case .string: 2
        case .binary: 3
        case .uri: 4
        case .uriReference: 5
        case .timestamp: 6
        }
    }
}

extension AttributeValue: Hashable {
    /// Tells whether type and canonical text are the same.
    public static func == (left: AttributeValue, right: AttributeValue) -> Bool {
        switch (left, right) {
        case (.boolean(let left), .boolean(let right)): left == right
        case (.integer(let left), .integer(let right)): left == right
        case (.binary(let left), .binary(let right)): left == right
        default: left.kind == right.kind && sameBytes(left.canonicalText, right.canonicalText)
        }
    }

    /// Feeds type and canonical text to the hasher.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(kind)
        hashBytes(canonicalText, into: &hasher)
    }
}

extension AttributeValue: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral {
    /// A string value.
    public init(stringLiteral value: String) { self = .string(value) }
    /// A boolean value.
    public init(booleanLiteral value: Bool) { self = .boolean(value) }
    /// An integer value.
    public init(integerLiteral value: Int32) { self = .integer(value) }
}
