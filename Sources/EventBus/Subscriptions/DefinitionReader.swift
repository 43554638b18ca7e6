import CloudEvents
import EventFilters

/// A member of an object that has a value; `null` counts as left out.
struct DefinitionField {
    let value: JSONTree
    let pointer: String
}

/// The members of an object by name.
struct DefinitionObject {
    let pointer: String
    private var fields: [(name: String, value: JSONTree)] = []

    /// Takes the members apart; duplicates and names that are no text are violations, and the first one counts.
    init(_ members: [JSONTreeMember], at pointer: String, _ problems: inout ViolationList) {
        self.pointer = pointer
        var seen: Set<[UInt8]> = []
        for member in members {
            guard let name = member.name else {
                problems.add(pointer, "JSON-02", "a member's name is no Unicode text")
                continue
            }
            guard seen.insert(Array(name.utf8)).inserted else {
                problems.add(ViolationList.pointer(pointer, name), "JSON-02", "the member is there twice")
                continue
            }
            if case .null = member.value { continue }
            fields.append((name, member.value))
        }
    }

    /// All members in order.
    var all: [(name: String, field: DefinitionField)] {
        fields.map { ($0.name, DefinitionField(value: $0.value, pointer: ViolationList.pointer(pointer, $0.name))) }
    }

    /// The member of this name.
    subscript(name: String) -> DefinitionField? {
        guard let field = fields.first(where: { CodeUnits.equal($0.name, name) }) else { return nil }
        return DefinitionField(value: field.value, pointer: ViolationList.pointer(pointer, name))
    }
}

/// Reads values of a definition and notes what is wrong; never shows a value, which may be a secret, unless it is harmless.
struct DefinitionReader {
    var problems = ViolationList()
    /// Whether the definition was taken before: then it may name the protocol of handlers, and a replica whose clock is
    /// behind does not doubt its times.
    var isStored = false

    mutating func object(_ field: DefinitionField, _ rule: String) -> DefinitionObject? {
        guard case .object(let members) = field.value else {
            problems.add(field.pointer, rule, "must be an object, not \(field.value.kindName)")
            return nil
        }
        return DefinitionObject(members, at: field.pointer, &problems)
    }

    /// The elements of an array with so many.
    mutating func array(_ field: DefinitionField, _ rule: String, _ count: ClosedRange<Int>) -> [DefinitionField]? {
        guard case .array(let elements) = field.value else {
            problems.add(field.pointer, rule, "must be an array, not \(field.value.kindName)")
            return nil
        }
        guard count.contains(elements.count) else {
            let bounds = "\(count.lowerBound) to \(count.upperBound)"
            problems.add(field.pointer, rule, "must have \(bounds) elements, not \(elements.count)")
            return nil
        }
        return elements.enumerated().map { DefinitionField(value: $1, pointer: "\(field.pointer)/\($0)") }
    }

    /// A text that is not empty.
    mutating func text(
        _ field: DefinitionField,
        _ rule: String,
        bytesMax: Int = SubscriptionConfig.Limits.textBytes
    ) -> String? {
        guard case .string(let text) = field.value else {
            problems.add(field.pointer, rule, "must be a string, not \(field.value.kindName)")
            return nil
        }
        guard let text, !text.isEmpty, text.utf8.count <= bytesMax else {
            let fault =
                switch text {
                case nil: "is no Unicode text"
                case "": "must not be empty"
                default: "is longer than \(bytesMax) bytes"
                }
            problems.add(field.pointer, rule, fault)
            return nil
        }
        return text
    }

    /// One of some words.
    mutating func word<Word: RawRepresentable & CaseIterable>(
        _ field: DefinitionField,
        _ rule: String,
        of type: Word.Type
    ) -> Word? where Word.RawValue == String {
        guard let text = text(field, rule) else { return nil }
        if let word = Word(rawValue: text) { return word }
        let known = Word.allCases.map { "'\($0.rawValue)'" }.joined(separator: ", ")
        problems.add(field.pointer, rule, "is \(ViolationList.shown(text)); possible: \(known)")
        return nil
    }

    /// A whole number in a range.
    mutating func integer(_ field: DefinitionField, _ rule: String, _ range: ClosedRange<Int>) -> Int? {
        guard case .number(let text) = field.value else {
            problems.add(field.pointer, rule, "must be a number, not \(field.value.kindName)")
            return nil
        }
        guard let number = Int(text), range.contains(number) else {
            let bounds = "a whole number from \(range.lowerBound) to \(range.upperBound)"
            problems.add(field.pointer, rule, "must be \(bounds), not \(ViolationList.shown(text))")
            return nil
        }
        return number
    }

    /// A number of seconds in a range, to the millisecond.
    mutating func seconds(_ field: DefinitionField, _ rule: String, _ range: ClosedRange<Duration>) -> Duration? {
        guard case .number(let text) = field.value else {
            problems.add(field.pointer, rule, "must be a number of seconds, not \(field.value.kindName)")
            return nil
        }
        guard let duration = SecondsText.read(text), range.contains(duration) else {
            let bounds = "\(SecondsText.write(range.lowerBound)) to \(SecondsText.write(range.upperBound))"
            let shown = ViolationList.shown(text)
            problems.add(field.pointer, rule, "must be \(bounds) seconds with at most three decimals, not \(shown)")
            return nil
        }
        return duration
    }

    mutating func flag(_ field: DefinitionField, _ rule: String) -> Bool? {
        if case .boolean(let flag) = field.value { return flag }
        problems.add(field.pointer, rule, "must be true or false, not \(field.value.kindName)")
        return nil
    }

    /// Notes every member that is not one of the known ones.
    mutating func refuseOthers(in object: DefinitionObject, than known: [String], _ rule: String) {
        for (name, field) in object.all where !known.contains(where: { CodeUnits.equal($0, name) }) {
            let list = known.joined(separator: ", ")
            problems.add(field.pointer, rule, "unknown member \(ViolationList.shown(name)); known: \(list)")
        }
    }

    /// A sink's URI that the rules allow.
    mutating func sink(_ field: DefinitionField, _ rules: SinkRules) -> SinkURL? {
        guard let text = text(field, "SUB-02") else { return nil }
        let sink: SinkURL
        do {
            sink = try SinkURL(text)
        } catch {
            problems.add(field.pointer, "SUB-02", "the sink \(error.detail)")
            return nil
        }
        guard sink.isSecure || rules.allowsHTTP else {
            problems.add(field.pointer, "HOOK-01", "the sink must be https; plain http is not allowed here")
            return nil
        }
        if let objection = rules.objection(sink) {
            problems.add(field.pointer, "S-05", "the sink \(objection)")
            return nil
        }
        return sink
    }
}

/// Seconds as JSON writes them: `30`, `0.25`.
enum SecondsText {
    /// A number without sign and exponent and with at most three decimals; `nil` for anything else.
    static func read(_ text: String) -> Duration? {
        let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count <= 2, let whole = UInt32(String(parts[0]) ?? "") else { return nil }
        guard parts.count == 2 else { return .seconds(Int64(whole)) }
        guard (1...3).contains(parts[1].count), let digits = UInt16(String(parts[1]) ?? "") else { return nil }
        let milliseconds = (0..<(3 - parts[1].count)).reduce(Int64(digits)) { value, _ in value * 10 }
        return .seconds(Int64(whole)) + .milliseconds(milliseconds)
    }

    /// The shortest text that is read as the same, to the millisecond.
    static func write(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let milliseconds = attoseconds / 1_000_000_000_000_000
        guard milliseconds > 0 else { return String(seconds) }
        var digits = String(1000 + milliseconds).dropFirst()
        while digits.last == "0" { digits.removeLast() }
        return "\(seconds).\(digits)"
    }
}
