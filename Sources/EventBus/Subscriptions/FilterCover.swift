import EventFilters

/// What `filters` say about the type, for consumers of subscriptions without `types`.
struct FilterCover {
    /// Covers of which one holds for whatever passes.
    let covers: [PatternCover]
    /// Whether the filters say nothing else.
    let isWhole: Bool

    /// What must hold for an event that passes; `nil` if nothing is known of its type.
    init?(_ expressions: [FilterExpression]) {
        self.init(.all(expressions))
    }

    private init(covers: [PatternCover], isWhole: Bool) {
        self.covers = covers
        self.isWhole = isWhole
    }

    private init?(_ expression: FilterExpression) {
        switch expression {
        case .exact(let tests):
            guard let test = tests.first(where: { $0.attribute == .type }) else { return nil }
            let cover = PatternCover(short: [.exactly(test.text)], mayMatchLong: false, isPrecise: true)
            self.init(covers: [cover], isWhole: tests.count == 1)
        case .prefix(let tests):
            guard let test = tests.first(where: { $0.attribute == .type }) else { return nil }
            // The last segment may be a part of one.
            let parts = test.text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
            let literals = parts.dropLast().map { TypePattern.Segment.literal(Array($0)) }
            self.init(
                covers: [PatternCover(literals + [.any, .many])],
                isWhole: tests.count == 1 && parts.last?.isEmpty == true
            )
        case .all(let parts):
            guard let found = parts.lazy.compactMap({ FilterCover($0) }).first else { return nil }
            self.init(covers: found.covers, isWhole: found.isWhole && parts.count == 1)
        case .any(let parts):
            let found = parts.map { FilterCover($0) }
            let known = found.compactMap { $0 }
            guard known.count == found.count else { return nil }
            self.init(covers: known.flatMap(\.covers), isWhole: known.allSatisfy(\.isWhole))
        case .suffix, .not: return nil
        }
    }
}
