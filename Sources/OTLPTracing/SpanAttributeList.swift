import Tracing

/// The attributes of a span, an event or a link in the order they were set, bounded.
///
/// A flat list: spans have a handful of attributes, for which a dictionary costs more than a search.
struct SpanAttributeList: Sendable {
    /// A value as it is exported.
    enum Value: Sendable {
        case text(String)
        case integer(Int64)
        case double(Double)
        case bool(Bool)
        indirect case array([Value])
    }

    private(set) var entries: [(key: String, value: Value)] = []
    private(set) var dropped: UInt32 = 0
    private let countMax: Int

    init(countMax: Int) { self.countMax = countMax }

    init(_ attributes: SpanAttributes, countMax: Int) {
        self.countMax = countMax
        // swift-format-ignore: ReplaceForEachWithForLoop
        attributes.forEach { set($0, to: $1) }
    }

    /// Sets an attribute, in the place of one of the same name; nil takes it away.
    mutating func set(_ key: String, to attribute: SpanAttribute?) {
        guard let attribute, let value = Value(attribute) else {
            entries.removeAll { $0.key == key }
            return
        }
        set(key, to: value)
    }

    /// Sets an attribute to a text.
    mutating func set(_ key: String, to text: String) { set(key, to: .text(SpanLimits.bounded(text))) }

    mutating func set(_ key: String, to value: Value) {
        if let index = entries.firstIndex(where: { $0.key == key }) {
            entries[index].value = value
        } else if entries.count < countMax, !key.isEmpty, key.utf8.count <= SpanLimits.keyBytesMax {
            if entries.isEmpty { entries.reserveCapacity(4) }
            entries.append((key, value))
        } else {
            dropped &+= 1
        }
    }

    /// What was kept, in the API's own form.
    var attributes: SpanAttributes {
        var attributes = SpanAttributes([:])
        for (key, value) in entries { attributes.set(key, value: value.attribute) }
        return attributes
    }
}

extension SpanAttributeList.Value {
    /// The bounded form of a value; nil for the placeholder that is none.
    init?(_ attribute: SpanAttribute) {
        switch attribute {
        case .string(let text): self = .text(SpanLimits.bounded(text))
        case .int32(let number): self = .integer(Int64(number))
        case .int64(let number): self = .integer(number)
        case .double(let number): self = .double(number)
        case .bool(let flag): self = .bool(flag)
        case .stringConvertible(let value): self = .text(SpanLimits.bounded(value.description))
        case .int32Array(let values): self = Self.array(values) { .integer(Int64($0)) }
        case .int64Array(let values): self = Self.array(values) { .integer($0) }
        case .doubleArray(let values): self = Self.array(values) { .double($0) }
        case .boolArray(let values): self = Self.array(values) { .bool($0) }
        case .stringArray(let values): self = Self.array(values) { .text(SpanLimits.bounded($0)) }
        case .stringConvertibleArray(let values):
            self = Self.array(values) { .text(SpanLimits.bounded($0.description)) }
        default: return nil
        }
    }

    private static func array<Element>(_ elements: [Element], _ convert: (Element) -> Self) -> Self {
        .array(elements.prefix(SpanLimits.elementsMax).map(convert))
    }

    fileprivate var attribute: SpanAttribute {
        switch self {
        case .text(let text): .string(text)
        case .integer(let number): .int64(number)
        case .double(let number): .double(number)
        case .bool(let flag): .bool(flag)
        case .array(let elements): Self.attribute(of: elements)
        }
    }

    private static func attribute(of elements: [Self]) -> SpanAttribute {
        switch elements.first {
        case .integer: .int64Array(elements.compactMap { if case .integer(let number) = $0 { number } else { nil } })
        case .double: .doubleArray(elements.compactMap { if case .double(let number) = $0 { number } else { nil } })
        case .bool: .boolArray(elements.compactMap { if case .bool(let flag) = $0 { flag } else { nil } })
        default: .stringArray(elements.compactMap { if case .text(let text) = $0 { text } else { nil } })
        }
    }
}
