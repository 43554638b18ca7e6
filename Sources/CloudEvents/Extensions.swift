/// The extension attributes of an event, in the order in which they came.
///
/// Order carries no meaning in CloudEvents: two collections are equal when they hold the same names and values.
public struct Extensions: Sendable {
    /// A name and its value.
    public typealias Element = (name: String, value: AttributeValue)

    private var entries: [Element] = []

    /// Creates an empty collection; allocates nothing.
    public init() {}

    /// Looks up a value by its exact name, in time linear in the number of extensions.
    public subscript(name: String) -> AttributeValue? {
        guard let index = index(of: name) else { return nil }
        return entries[index].value
    }

    /// Sets, replaces or (with `nil`) removes a value.
    ///
    /// The name is not checked here; ``CloudEvent`` does that.
    public mutating func set(_ value: AttributeValue?, for name: String) {
        switch (index(of: name), value) {
        case (let index?, let value?): entries[index].value = value
        case (let index?, nil): entries.remove(at: index)
        case (nil, let value?): entries.append((name, value))
        case (nil, nil): break
        }
    }

    /// Appends without looking for the name; the caller knows that it is new.
    mutating func append(_ name: String, _ value: AttributeValue) {
        entries.append((name, value))
    }

    private func index(of name: String) -> Int? {
        entries.firstIndex { sameBytes($0.name, name) }
    }

    private var sorted: [Element] {
        entries.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    }
}

extension Extensions: RandomAccessCollection {
    /// Position of the first element.
    public var startIndex: Int { 0 }
    /// Position after the last element.
    public var endIndex: Int { entries.count }
    /// The element at a position.
    public subscript(position: Int) -> Element { entries[position] }
}

extension Extensions: Hashable {
    /// Tells whether both hold the same names with the same values, in whatever order.
    public static func == (left: Extensions, right: Extensions) -> Bool {
        guard left.count == right.count else { return false }
        if matches(left.entries, right.entries) { return true }
        return matches(left.sorted, right.sorted)
    }

    /// Feeds names and values to the hasher so that the order does not count.
    public func hash(into hasher: inout Hasher) {
        var sum = 0
        for entry in entries {
            var own = Hasher()
            hashBytes(entry.name, into: &own)
            entry.value.hash(into: &own)
            sum ^= own.finalize()
        }
        hasher.combine(sum)
    }

    private static func matches(_ left: [Element], _ right: [Element]) -> Bool {
        left.elementsEqual(right) { sameBytes($0.name, $1.name) && $0.value == $1.value }
    }
}

extension Extensions: ExpressibleByDictionaryLiteral {
    /// Creates a collection from literal pairs; a name given twice keeps its last value.
    public init(dictionaryLiteral elements: (String, AttributeValue)...) {
        for (name, value) in elements { set(value, for: name) }
    }
}

/// Compares two texts code unit by code unit; `==` on `String` would compare by canonical equivalence.
func sameBytes(_ left: String, _ right: String) -> Bool {
    guard left.utf8.count == right.utf8.count else { return false }
    var (left, right) = (left, right)
    return left.withUTF8 { left in
        right.withUTF8 { right in left.elementsEqual(right) }
    }
}

/// Compares two optional texts code unit by code unit.
func sameBytes(_ left: String?, _ right: String?) -> Bool {
    switch (left, right) {
    case (nil, nil): true
    case (let left?, let right?): sameBytes(left, right)
    default: false
    }
}

/// Hashes a text by its code units, the counterpart of `sameBytes`.
func hashBytes(_ text: String, into hasher: inout Hasher) {
    var text = text
    text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    hasher.combine(0xFF as UInt8)
}
