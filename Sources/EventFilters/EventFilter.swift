public import CloudEvents

/// The `filters` of a subscription: all of them have to let an event pass; none lets everything pass.
///
/// Dialects are `exact`, `prefix`, `suffix`, `all`, `any` and `not`. Attributes are compared as their canonical text
/// (`5`, `true`, a time as it was written), code unit by code unit. Values are immutable and safe from any thread.
///
/// Source: CloudEvents Subscriptions API 0.1, "Filters".
public struct EventFilter: Sendable, Hashable {
    /// Most filters within one another.
    public static let depthMax = 16
    /// Most filters and attribute comparisons in all.
    public static let termsMax = 1000
    /// Most bytes of JSON text that is read.
    public static let bytesMax = 256 * 1024

    /// The filters, which all have to pass.
    package let expressions: [FilterExpression]

    /// The filter that everything passes.
    public static let everything = EventFilter(expressions: [])

    init(expressions: [FilterExpression]) {
        self.expressions = expressions
    }

    /// Reads a `filters` array.
    ///
    /// - Throws: ``InvalidFilter`` with every violation, each with a JSON Pointer into the array.
    public init(parsing json: some Sequence<UInt8>) throws(InvalidFilter) {
        let text = Array(json.prefix(Self.bytesMax + 1))
        var problems = ViolationList()
        guard text.count <= Self.bytesMax else {
            problems.add("", "SUB-05", "the filters are longer than \(Self.bytesMax) bytes")
            throw InvalidFilter(problems)
        }
        let tree: JSONTree
        do {
            tree = try JSONTree.parse(text[...])
        } catch {
            problems.add("", "JSON-02", "the filters are not JSON: \(error.sentence)")
            throw InvalidFilter(problems)
        }
        guard let filter = Self(reading: tree, at: "", &problems) else { throw InvalidFilter(problems) }
        self = filter
    }

    /// Reads a `filters` array from JSON text.
    ///
    /// - Throws: ``InvalidFilter`` with every violation.
    public init(_ json: String) throws(InvalidFilter) {
        try self.init(parsing: json.utf8)
    }

    /// Reads a `filters` array that is part of a larger text; `nil` and violations if there is anything wrong with it.
    package init?(reading tree: JSONTree, at pointer: String, _ problems: inout ViolationList) {
        var reader = FilterReader()
        let expressions = reader.filters(tree, at: pointer)
        problems.add(contentsOf: reader.problems)
        guard let expressions, reader.problems.isEmpty else { return nil }
        self.expressions = expressions
    }

    /// Whether everything passes.
    public var isEmpty: Bool { expressions.isEmpty }

    /// Whether an event passes all filters.
    public func matches(_ event: CloudEvent) -> Bool {
        expressions.allSatisfy { $0.matches(event) }
    }

    /// The `filters` array as JSON.
    public var json: [UInt8] {
        var output: [UInt8] = []
        FilterExpression.write(expressions, into: &output)
        return output
    }
}

/// Filters that cannot be taken, with everything that is wrong with them.
public struct InvalidFilter: Error, Sendable, Hashable, CustomStringConvertible {
    /// The problems in order, at most 64; never empty.
    public let violations: [Violation]

    init(_ problems: ViolationList) {
        violations = problems.violations
    }

    /// The violations as one line, safe to log.
    public var description: String {
        "invalid filter: " + violations.map { "\($0.rule) at \"\($0.pointer)\": \($0.detail)" }.joined(separator: "; ")
    }
}
