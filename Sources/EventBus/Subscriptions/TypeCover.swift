import EventFilters
import JetStream

/// A set of types as one NATS subject below `<prefix>.<tenant>.<lane>.` can name it.
///
/// A type of more than ``EventRoute/typeBytesMax`` encoded bytes is one token there, its digest: `*` names it, and no
/// wildcard behind a literal does.
struct TypeCover: Hashable {
    enum Token: Hashable {
        /// The encoded form of a segment; ASCII.
        case literal(String)
        case digest([UInt8])
        case any

        /// Fewest bytes that it takes in a subject.
        var length: Int {
            switch self {
            case .literal(let text): text.utf8.count
            case .digest, .any: 1
            }
        }
    }

    /// Tokens of the type, in order.
    private(set) var tokens: [Token]
    /// Whether one token or more follow (`>`).
    private(set) var isOpen: Bool

    /// Every type.
    static let everything = TypeCover(tokens: [], isOpen: true)
    /// Every type of one token: the long ones, of which only the digest is there, and those without a dot.
    static let oneToken = TypeCover(tokens: [.any], isOpen: false)

    /// Exactly one type.
    static func exactly(_ type: String) -> TypeCover {
        let tokens = type.split(separator: ".", omittingEmptySubsequences: false).map {
            Subject.encodeToken(String($0))
        }
        let length = tokens.reduce(tokens.count - 1) { $0 + $1.utf8.count }
        guard length <= EventRoute.typeBytesMax else {
            return TypeCover(tokens: [.digest(SHA256Digest(type).bytes)], isOpen: false)
        }
        return TypeCover(tokens: tokens.map { .literal($0) }, isOpen: false)
    }

    /// The tokens for ``SubjectFilter``.
    var filterTokens: [SubjectFilter.Token] {
        let named: [SubjectFilter.Token] = tokens.map { token in
            switch token {
            case .literal(let text): .literal(Subject.decodeToken(text) ?? "")
            case .digest(let bytes): .sha256(bytes)
            case .any: .any
            }
        }
        return isOpen ? named + [.rest] : named
    }

    /// Whether every type of the other one is in this one as well.
    func contains(_ other: TypeCover) -> Bool {
        for (index, token) in tokens.enumerated() {
            guard index < other.tokens.count, token == .any || token == other.tokens[index] else { return false }
        }
        if isOpen { return other.tokens.count > tokens.count || other.isOpen }
        return other.tokens.count == tokens.count && !other.isOpen
    }

    /// Whether some subject is in both.
    func overlaps(_ other: TypeCover) -> Bool {
        for (left, right) in zip(tokens, other.tokens) where left != right && left != .any && right != .any {
            return false
        }
        let (shorter, longer) = tokens.count <= other.tokens.count ? (self, other) : (other, self)
        if shorter.tokens.count == longer.tokens.count { return isOpen == other.isOpen }
        return shorter.isOpen
    }

    /// The smallest cover of both that one subject can name.
    func joined(_ other: TypeCover) -> TypeCover {
        let count = min(tokens.count, other.tokens.count)
        let common = zip(tokens, other.tokens).map { $0 == $1 ? $0 : Token.any }
        if tokens.count == other.tokens.count, isOpen == other.isOpen {
            return TypeCover(tokens: common, isOpen: isOpen)
        }
        let shorter = tokens.count <= other.tokens.count ? self : other
        let isOpenHere = tokens.count == other.tokens.count ? false : shorter.isOpen
        // What ends after `count` tokens needs its last one for the `>`.
        return TypeCover(tokens: isOpenHere ? common : Array(common.prefix(count - 1)), isOpen: true)
    }

    init(tokens: [Token], isOpen: Bool) {
        self.tokens = tokens
        self.isOpen = isOpen
    }
}

/// Covers of what a pattern matches, and whether they name anything else.
struct PatternCover {
    /// Covers of the types that are spelled out in subjects.
    let short: [TypeCover]
    /// Whether the pattern may match types that are digests in subjects, which `short` does not name.
    let mayMatchLong: Bool
    /// Whether `short` names nothing but what the pattern matches.
    let isPrecise: Bool

    /// The covers of a pattern or an exact type.
    init(_ pattern: TypePattern) {
        if pattern.isExact {
            self.init(short: [.exactly(pattern.text)], mayMatchLong: false, isPrecise: true)
        } else {
            self.init(pattern.segments)
        }
    }

    init(short: [TypeCover], mayMatchLong: Bool, isPrecise: Bool) {
        self.short = short
        self.mayMatchLong = mayMatchLong
        self.isPrecise = isPrecise
    }

    /// The covers of segments of which at least one is a wildcard.
    init(_ segments: [TypePattern.Segment]) {
        var head = segments.prefix { $0 != .many }
        if head.count < segments.count {
            // `*` and `#` in whatever order are as many segments as there are `*`, or more.
            while head.last == .any { head.removeLast() }
        }
        let tail = segments[head.count...]
        let tokens = head.map { segment -> TypeCover.Token in
            guard case .literal(let bytes) = segment else { return .any }
            return .literal(Subject.encodeToken(String(decoding: bytes, as: UTF8.self)))
        }
        let length = tokens.reduce(0) { $0 + ($1.length + 1) } - 1
        guard length <= EventRoute.typeBytesMax else {
            self.init(short: [], mayMatchLong: true, isPrecise: true)
            return
        }
        guard !tail.isEmpty else {
            self.init(short: [TypeCover(tokens: tokens, isOpen: false)], mayMatchLong: true, isPrecise: true)
            return
        }
        // Behind the first `#` nothing can be said but how many segments follow at least.
        let isPrecise = tail.allSatisfy { $0 == .any || $0 == .many }
        let more = tail.count { $0 != .many }
        let wild = tokens + Array(repeating: TypeCover.Token.any, count: max(0, more - 1))
        var covers = [TypeCover(tokens: wild, isOpen: true)]
        if more == 0, !tokens.isEmpty { covers.append(TypeCover(tokens: tokens, isOpen: false)) }
        self.init(short: covers, mayMatchLong: !covers.contains(.everything), isPrecise: isPrecise)
    }
}
