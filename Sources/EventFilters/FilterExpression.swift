import CloudEvents

/// A filter of one dialect, with the filters inside it.
package enum FilterExpression: Sendable, Hashable {
    case exact([AttributeTest])
    case prefix([AttributeTest])
    case suffix([AttributeTest])
    case all([FilterExpression])
    case any([FilterExpression])
    indirect case not(FilterExpression)

    /// Whether an event passes; time is linear in the expression and in the texts it looks at.
    func matches(_ event: CloudEvent) -> Bool {
        switch self {
        case .exact(let tests): tests.allSatisfy { $0.matches(event) { $0.elementsEqual($1) } }
        case .prefix(let tests): tests.allSatisfy { $0.matches(event) { $0.starts(with: $1) } }
        case .suffix(let tests): tests.allSatisfy { $0.matches(event) { $0.suffix($1.count).elementsEqual($1) } }
        case .all(let parts): parts.allSatisfy { $0.matches(event) }
        case .any(let parts): parts.contains { $0.matches(event) }
        case .not(let part): !part.matches(event)
        }
    }

    /// Appends the filter in the form in which it is read.
    func write(into output: inout [UInt8]) {
        switch self {
        case .exact(let tests): write("exact", tests, into: &output)
        case .prefix(let tests): write("prefix", tests, into: &output)
        case .suffix(let tests): write("suffix", tests, into: &output)
        case .all(let parts): write("all", parts, into: &output)
        case .any(let parts): write("any", parts, into: &output)
        case .not(let part):
            output.append(contentsOf: #"{"not":"#.utf8)
            part.write(into: &output)
            output.append(UInt8(ascii: "}"))
        }
    }

    private func write(_ dialect: String, _ tests: [AttributeTest], into output: inout [UInt8]) {
        output.append(contentsOf: "{\"\(dialect)\":{".utf8)
        for (index, test) in tests.enumerated() {
            if index > 0 { output.append(UInt8(ascii: ",")) }
            JSONWriter.write(test.attribute.name, into: &output)
            output.append(UInt8(ascii: ":"))
            JSONWriter.write(test.text, into: &output)
        }
        output.append(contentsOf: "}}".utf8)
    }

    private func write(_ dialect: String, _ parts: [FilterExpression], into output: inout [UInt8]) {
        output.append(contentsOf: "{\"\(dialect)\":".utf8)
        Self.write(parts, into: &output)
        output.append(UInt8(ascii: "}"))
    }

    /// Appends filters as an array.
    static func write(_ parts: [FilterExpression], into output: inout [UInt8]) {
        output.append(UInt8(ascii: "["))
        for (index, part) in parts.enumerated() {
            if index > 0 { output.append(UInt8(ascii: ",")) }
            part.write(into: &output)
        }
        output.append(UInt8(ascii: "]"))
    }
}

/// An attribute and the text that it, or its start or end, has to be.
package struct AttributeTest: Sendable {
    package let attribute: FilterAttribute
    package let text: String

    /// Whether the event has the attribute and its canonical text stands the comparison (SUB-09, SUB-10).
    @inline(__always)
    func matches(
        _ event: CloudEvent,
        _ compare: (UnsafeBufferPointer<UInt8>, UnsafeBufferPointer<UInt8>) -> Bool
    ) -> Bool {
        guard let value = attribute.text(of: event) else { return false }
        return CodeUnits.with(value) { value in CodeUnits.with(text) { text in compare(value, text) } }
    }
}

extension AttributeTest: Hashable {
    package static func == (left: AttributeTest, right: AttributeTest) -> Bool {
        left.attribute == right.attribute && CodeUnits.equal(left.text, right.text)
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(attribute)
        CodeUnits.hash(text, into: &hasher)
    }
}

/// An attribute's name, the core ones told apart once and not with every event.
package enum FilterAttribute: Sendable, Hashable {
    case specversion
    case id
    case source
    case type
    case subject
    case time
    case datacontenttype
    case dataschema
    /// An extension; its name is ASCII, so `==` on it compares code units.
    case other(String)

    /// Takes a name of `a`–`z` and `0`–`9`; `nil` for anything else and for `data`, which is no attribute (CE-03, CE-05).
    init?(_ name: String) {
        guard !name.isEmpty, name.utf8.count <= 256,
            name.utf8.allSatisfy({ (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) })
        else { return nil }
        switch name {
        case "specversion": self = .specversion
        case "id": self = .id
        case "source": self = .source
        case "type": self = .type
        case "subject": self = .subject
        case "time": self = .time
        case "datacontenttype": self = .datacontenttype
        case "dataschema": self = .dataschema
        case "data": return nil
        default: self = .other(name)
        }
    }

    var name: String {
        switch self {
        case .specversion: "specversion"
        case .id: "id"
        case .source: "source"
        case .type: "type"
        case .subject: "subject"
        case .time: "time"
        case .datacontenttype: "datacontenttype"
        case .dataschema: "dataschema"
        case .other(let name): name
        }
    }

    /// The canonical text of the event's attribute; `nil` if it is absent.
    func text(of event: CloudEvent) -> String? {
        switch self {
        case .specversion: CloudEvent.specversion
        case .id: event.id
        case .source: event.source
        case .type: event.type
        case .subject: event.subject
        case .time: event.time?.text
        case .datacontenttype: event.dataContentType
        case .dataschema: event.dataSchema
        case .other(let name): event.extensions[name]?.canonicalText
        }
    }
}
