import EventFilters
package import JetStream

/// What of a subscription's wishes the server decides: the filter subjects of its consumer.
///
/// The subjects never leave out an event that ``Subscription/matches(_:)`` accepts, provided that the event lies under the
/// subject that ``EventRoute`` gives it. They may let others through: whoever delivers looks at each event again, unless
/// ``isExact``. No two of them overlap, since the server refuses that.
package struct ServerFilter: Sendable, Equatable {
    /// What remains to be decided for each event.
    package enum Remainder: String, Sendable, CaseIterable {
        /// `source` is no part of a subject.
        case source
        /// `filters` say more than subjects can.
        case filters
        /// A `#` stands before other segments.
        case patterns
        /// A pattern meets types of more than 400 encoded bytes, of which a subject has the digest only.
        case longTypes
        /// Several subjects were joined into a wider one, as they overlap or are too many for this server.
        case joined
    }

    /// What the server takes.
    package enum Kind: Sendable {
        /// One subject: nats-server before 2.10.
        case single
        /// Several subjects.
        case several
    }

    /// Most subjects of a consumer; more are joined.
    package static let subjectsMax = 64

    /// The filter subjects, in the order of their texts; never empty.
    package let subjects: [SubjectFilter]
    /// What remains to be decided; empty if the subjects decide all.
    package let remainder: Set<Remainder>

    /// Whether an event under these subjects is wanted for certain.
    package var isExact: Bool { remainder.isEmpty }

    /// The filter for a consumer of the subscription.
    ///
    /// For ``DeliveryProtocol/nats`` there is nobody who looks at events again. There, patterns are for types of up to 400
    /// encoded bytes only, and subjects for longer ones are left out; see ``objectionsToNative(_:)``.
    package init(_ subscription: Subscription, prefix: SubjectPrefix, kind: Kind) {
        var plan = Plan(subscription)
        if plan.mayMatchLong, subscription.deliveryProtocol != .nats {
            plan.covers.append(.oneToken)
            plan.remainder.insert(.longTypes)
        }
        if plan.covers.isEmpty {
            plan.covers = [.everything]
            plan.remainder.insert(.longTypes)
        }
        let (covers, areJoined) = Self.disjoint(plan.covers, max: kind == .single ? 1 : Self.subjectsMax)
        if areJoined { plan.remainder.insert(.joined) }
        remainder = plan.remainder
        subjects =
            covers
            .map { cover in
                SubjectFilter(prefix: prefix, tokens: [.literal(subscription.tenant.text), .any] + cover.filterTokens)
            }
            .sorted { $0.text < $1.text }
    }

    /// Why native NATS clients cannot be given exactly these events, with pointers into the definition; empty if they can.
    ///
    /// This is for a server that takes several subjects; an older one may join them, see ``remainder``.
    static func objectionsToNative(_ subscription: Subscription) -> [(pointer: String, detail: String)] {
        let plan = Plan(subscription)
        let remainder = plan.remainder
        var objections: [(pointer: String, detail: String)] = []
        if plan.covers.isEmpty {
            objections.append(("/types", "with the protocol NATS patterns are for types of up to 400 encoded bytes"))
        }
        if remainder.contains(.source) {
            objections.append(
                ("/source", "with the protocol NATS the server alone decides, and it cannot see the source")
            )
        }
        if remainder.contains(.filters) {
            let detail = "with the protocol NATS the server alone decides, and it cannot decide these filters"
            objections.append(("/filters", detail))
        }
        if remainder.contains(.patterns) {
            let detail = "with the protocol NATS the server alone decides, and it has no '#' before other segments"
            objections.append(("/types", detail))
        }
        return objections
    }

    /// Covers of the wishes, not yet disjoint.
    private struct Plan {
        var covers: [TypeCover] = []
        var mayMatchLong = false
        var remainder: Set<Remainder> = []

        init(_ subscription: Subscription) {
            if subscription.source != nil { remainder.insert(.source) }
            var patterns = subscription.types.map { PatternCover($0) }
            let said = FilterCover(subscription.filter.expressions)
            if let said, patterns.isEmpty, !subscription.filter.isEmpty {
                patterns = said.covers
                if !said.isWhole { remainder.insert(.filters) }
            } else if !subscription.filter.isEmpty {
                remainder.insert(.filters)
            }
            if patterns.isEmpty { covers = [.everything] }
            for pattern in patterns {
                covers += pattern.short
                if pattern.mayMatchLong { mayMatchLong = true }
                if !pattern.isPrecise { remainder.insert(.patterns) }
            }
            if covers.contains(.everything) { mayMatchLong = false }
        }
    }

    /// Covers of the same or more of which no two overlap, at most `max`; and whether it is more.
    private static func disjoint(_ covers: [TypeCover], max: Int) -> (covers: [TypeCover], areJoined: Bool) {
        var result: [TypeCover] = []
        var areJoined = false
        for cover in covers {
            var next = cover
            while let index = result.firstIndex(where: { $0.overlaps(next) }) {
                let other = result.remove(at: index)
                if other.contains(next) {
                    next = other
                } else if !next.contains(other) {
                    next = next.joined(other)
                    areJoined = true
                }
            }
            result.append(next)
        }
        guard result.count > max else { return (result, areJoined) }
        return ([result.dropFirst().reduce(result[0]) { $0.joined($1) }], true)
    }
}
