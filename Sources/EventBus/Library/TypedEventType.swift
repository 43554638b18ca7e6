/// What an event is for, so that whoever subscribes or keeps records can tell: the `eventkind` extension.
///
/// The kind is a statement of the publisher's. Events are never told apart by it: the type alone says what the payload is,
/// and an event without the extension, such as one from a script, is as good as any.
public enum EventKind: String, Sendable, CaseIterable {
    /// Something happened and cannot be refused any more; any number of services may want to know.
    case fact
    /// Somebody wants something done; meant for the one service that does it, which may refuse.
    case command
    /// Something is to be found again by whoever looks back later; nobody acts upon it.
    case audit

    /// The name of the extension that carries the kind.
    public static let attribute = "eventkind"
}

/// What binds a payload to the events that carry it: a name, a version, a kind.
///
/// The CloudEvents `type` is made of name and version, `com.example.registry.service.registered.v1`, and stays the same for
/// ever. Members that are added to a payload and may be missing need no new version; whatever an existing reader would not
/// understand does, and both versions are types of their own, which a subscriber can take side by side.
public struct EventType: Sendable, CustomStringConvertible {
    /// The name without the version: words of `A-Z`, `a-z`, `0-9`, `_` and `-`, separated by dots, reverse domain first.
    public let name: String
    /// The version of the payload, from 1 on.
    public let version: Int
    /// What the events are for.
    public let kind: EventKind
    /// The `dataschema` of the events, an absolute URI; `nil` is none.
    public let schema: String?
    /// The CloudEvents `type`: name, `.v` and version.
    public let text: String

    /// A type of these parts.
    ///
    /// A name or version that cannot be one is refused where the type is used: by subscribing with
    /// ``SubscriptionError/invalid(_:)``, by publishing with ``PublishError/invalid(_:)``.
    public init(_ name: String, version: Int = 1, kind: EventKind = .fact, schema: String? = nil) {
        self.name = name
        self.version = version
        self.kind = kind
        self.schema = schema
        text = "\(name).v\(version)"
    }

    /// The CloudEvents `type`.
    public var description: String { text }

    /// Most bytes of a name: with its version it stays far below the 400 bytes at which a subject has only its digest.
    static let nameBytesMax = 300

    /// Why it cannot be a type; `nil` if it can.
    var fault: String? {
        if version < 1 { return "the version \(version) is not 1 or more" }
        let words = name.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard name.utf8.count <= Self.nameBytesMax, words.allSatisfy({ !$0.isEmpty && $0.allSatisfy(Self.isPart) })
        else {
            return "the name is not 1 to \(Self.nameBytesMax) characters of A-Z, a-z, 0-9, '_' and '-' in words "
                + "separated by dots"
        }
        return nil
    }

    private static func isPart(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}
