/// A pattern for event types, or one exact type.
///
/// Types and patterns are segments between dots. A segment that is `*` stands for any one segment, `#` for zero or more
/// (anywhere), `>` for one or more (only last); anything else, also `a*`, stands for itself. Compared by code units.
public struct TypePattern: Sendable {
    /// Most bytes of a pattern.
    public static let bytesMax = 4096

    package enum Segment: Sendable, Hashable {
        /// These code units; an empty segment is one too.
        case literal([UInt8])
        /// `*`.
        case any
        /// `#`.
        case many
    }

    /// The pattern as it was given.
    public let text: String
    /// Its segments; `>` is `*` and `#`.
    package let segments: [Segment]
    /// Whether only this very type matches.
    public let isExact: Bool

    /// Reads a pattern.
    ///
    /// - Throws: ``InvalidTypePattern``: empty, too long, or `>` before the end.
    public init(_ text: String) throws(InvalidTypePattern) {
        guard !text.isEmpty else { throw InvalidTypePattern(detail: "a type or type pattern is not empty") }
        guard text.utf8.count <= Self.bytesMax else {
            throw InvalidTypePattern(detail: "a type or type pattern has at most \(Self.bytesMax) bytes")
        }
        var segments: [Segment] = []
        let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        for (index, part) in parts.enumerated() {
            switch part.count == 1 ? part.first : nil {
            case UInt8(ascii: "*"): segments.append(.any)
            case UInt8(ascii: "#"): segments.append(.many)
            case UInt8(ascii: ">"):
                guard index == parts.count - 1 else {
                    throw InvalidTypePattern(detail: "the wildcard '>' is only possible as the last segment")
                }
                segments += [.any, .many]
            default: segments.append(.literal(Array(part)))
            }
        }
        self.text = text
        self.segments = segments
        isExact = segments.allSatisfy { if case .literal = $0 { true } else { false } }
    }

    /// Whether a type matches.
    ///
    /// Time is at most segments times segments; nothing is allocated for it.
    public func matches(_ type: String) -> Bool {
        if isExact { return CodeUnits.equal(text, type) }
        return CodeUnits.with(type) { matches($0) }
    }

    /// Wildcard matching that goes back to the last `#` only: what stood before it need not be tried again.
    private func matches(_ type: UnsafeBufferPointer<UInt8>) -> Bool {
        var rest = TypeCursor(type)
        var next = 0
        var retry: (next: Int, rest: TypeCursor)?
        while !rest.isAtEnd {
            if next < segments.count {
                if case .many = segments[next] {
                    next += 1
                    retry = (next, rest)
                    continue
                }
                if rest.take(segments[next]) {
                    next += 1
                    continue
                }
            }
            guard var again = retry else { return false }
            again.rest.skip()
            retry = again
            (next, rest) = again
        }
        return segments[next...].allSatisfy { $0 == .many }
    }
}

extension TypePattern: Hashable, CustomStringConvertible {
    /// Whether both have the same code units.
    public static func == (left: TypePattern, right: TypePattern) -> Bool { CodeUnits.equal(left.text, right.text) }

    /// Feeds the code units to the hasher.
    public func hash(into hasher: inout Hasher) { CodeUnits.hash(text, into: &hasher) }

    /// The pattern as it was given.
    public var description: String { text }
}

/// Why a text is no type pattern.
public struct InvalidTypePattern: Error, Sendable, Hashable, CustomStringConvertible {
    /// The reason as a sentence; nothing of the text is in it.
    public let detail: String

    /// The reason as a sentence.
    public var description: String { detail }
}

/// A place between two segments of a type, or its end.
private struct TypeCursor {
    private let bytes: UnsafeBufferPointer<UInt8>
    /// Where the next segment starts; one past the count at the end, since the last segment may be empty.
    private var position = 0

    init(_ bytes: UnsafeBufferPointer<UInt8>) {
        self.bytes = bytes
    }

    var isAtEnd: Bool { position > bytes.count }

    /// Goes beyond the next segment.
    mutating func skip() {
        while position < bytes.count, bytes[position] != UInt8(ascii: ".") { position += 1 }
        position += 1
    }

    /// Goes beyond the next segment if it is what the pattern wants there.
    mutating func take(_ segment: TypePattern.Segment) -> Bool {
        guard case .literal(let literal) = segment else {
            skip()
            return true
        }
        let end = position + literal.count
        guard end <= bytes.count, end == bytes.count || bytes[end] == UInt8(ascii: "."),
            bytes[position..<end].elementsEqual(literal)
        else { return false }
        position = end + 1
        return true
    }
}
