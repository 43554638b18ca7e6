/// Reads filters from JSON and notes everything that is wrong with them, also deep inside.
struct FilterReader {
    private(set) var problems = ViolationList()
    private var terms = 0

    private static let dialects = "all, any, exact, not, prefix, suffix"

    /// The filters of an array; `nil` if it is none, and without those that are wrong.
    mutating func filters(_ tree: JSONTree, at pointer: String) -> [FilterExpression]? {
        guard case .array(let elements) = tree else {
            problems.add(pointer, "SUB-12", "filters must be an array of filter objects, not \(tree.kindName)")
            return nil
        }
        return parts(elements, at: pointer, depth: 1)
    }

    private mutating func parts(_ elements: [JSONTree], at pointer: String, depth: Int) -> [FilterExpression] {
        var parts: [FilterExpression] = []
        for (index, element) in elements.enumerated() {
            guard terms <= EventFilter.termsMax else { break }
            if let part = filter(element, at: "\(pointer)/\(index)", depth: depth) { parts.append(part) }
        }
        return parts
    }

    /// Counts one more filter or comparison; says once that there are too many.
    private mutating func count(at pointer: String) -> Bool {
        terms += 1
        if terms == EventFilter.termsMax + 1 {
            problems.add(
                pointer,
                "SUB-05",
                "there are more than \(EventFilter.termsMax) filters and comparisons in all"
            )
        }
        return terms <= EventFilter.termsMax
    }

    private mutating func filter(_ tree: JSONTree, at pointer: String, depth: Int) -> FilterExpression? {
        guard count(at: pointer) else { return nil }
        guard depth <= EventFilter.depthMax else {
            problems.add(pointer, "SUB-05", "filters are nested deeper than \(EventFilter.depthMax)")
            return nil
        }
        guard case .object(let members) = tree else {
            problems.add(pointer, "SUB-05", "a filter must be an object {dialect: argument}, not \(tree.kindName)")
            return nil
        }
        guard let member = members.first else {
            problems.add(pointer, "SUB-05", "the filter names no dialect; dialects: \(Self.dialects)")
            return nil
        }
        if members.count > 1 {
            problems.add(pointer, "SUB-05", "a filter names one dialect, not \(members.count)")
        }
        // The others are looked into as well, so that all of their faults are told at once.
        for other in members.dropFirst() { _ = filter(other, at: pointer, depth: depth) }
        return filter(member, at: pointer, depth: depth)
    }

    private mutating func filter(_ member: JSONTreeMember, at pointer: String, depth: Int) -> FilterExpression? {
        guard let name = member.name else {
            problems.add(pointer, "SUB-05", "a dialect's name is no Unicode text")
            return nil
        }
        let inner = ViolationList.pointer(pointer, name)
        // Lower-case ASCII letters have no other canonical spelling, so `==` on these compares code units.
        switch name {
        case "exact": return tests(member.value, at: inner, "SUB-06").map { .exact($0) }
        case "prefix": return tests(member.value, at: inner, "SUB-07").map { .prefix($0) }
        case "suffix": return tests(member.value, at: inner, "SUB-08").map { .suffix($0) }
        case "all": return nested(member.value, at: inner, "SUB-13", depth: depth).map { .all($0) }
        case "any": return nested(member.value, at: inner, "SUB-14", depth: depth).map { .any($0) }
        case "not":
            guard case .object = member.value else {
                problems.add(inner, "SUB-15", "not takes one filter object, not \(member.value.kindName)")
                return nil
            }
            return filter(member.value, at: inner, depth: depth + 1).map { .not($0) }
        case "sql", "cesql":
            problems.add(inner, "SUB-17", "the dialect '\(name)' is not supported yet; dialects: \(Self.dialects)")
            return nil
        default:
            let shown = ViolationList.shown(name)
            problems.add(inner, "SUB-04", "unknown dialect \(shown); dialects: \(Self.dialects)")
            return nil
        }
    }

    private mutating func nested(
        _ tree: JSONTree,
        at pointer: String,
        _ rule: String,
        depth: Int
    ) -> [FilterExpression]? {
        guard case .array(let elements) = tree else {
            problems.add(pointer, rule, "must be an array of filters, not \(tree.kindName)")
            return nil
        }
        guard !elements.isEmpty else {
            problems.add(pointer, rule, "the array is empty; it takes one filter or more")
            return nil
        }
        return parts(elements, at: pointer, depth: depth + 1)
    }

    private mutating func tests(_ tree: JSONTree, at pointer: String, _ rule: String) -> [AttributeTest]? {
        guard case .object(let members) = tree else {
            problems.add(pointer, rule, "must be an object of attribute names and texts, not \(tree.kindName)")
            return nil
        }
        guard !members.isEmpty else {
            problems.add(pointer, rule, "no attribute is named")
            return nil
        }
        var tests: [AttributeTest] = []
        var seen: Set<FilterAttribute> = []
        for member in members {
            guard count(at: pointer) else { break }
            guard let test = test(member, at: pointer) else { continue }
            guard seen.insert(test.attribute).inserted else {
                let place = ViolationList.pointer(pointer, test.attribute.name)
                problems.add(place, rule, "the attribute is named twice")
                continue
            }
            tests.append(test)
        }
        return tests
    }

    private mutating func test(_ member: JSONTreeMember, at pointer: String) -> AttributeTest? {
        guard let name = member.name else {
            problems.add(pointer, "SUB-16", "an attribute's name is no Unicode text")
            return nil
        }
        let place = ViolationList.pointer(pointer, name)
        let attribute = FilterAttribute(name)
        if attribute == nil {
            let shown = ViolationList.shown(name)
            problems.add(place, "SUB-16", "no attribute can be called \(shown): a-z and 0-9 only, and not 'data'")
        }
        guard case .string(let value) = member.value else {
            problems.add(place, "SUB-16", "the value must be a string, not \(member.value.kindName)")
            return nil
        }
        guard let value, !value.isEmpty else {
            problems.add(place, "SUB-16", value == nil ? "the value is no Unicode text" : "the value is empty")
            return nil
        }
        return attribute.map { AttributeTest(attribute: $0, text: value) }
    }
}
