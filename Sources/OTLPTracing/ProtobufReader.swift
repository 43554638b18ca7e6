/// Reads the wire format of Protocol Buffers: bytes from outside, which may be anything.
struct ProtobufReader {
    /// A field's content, by its wire type.
    enum Field {
        case number(UInt64)
        case bytes(ArraySlice<UInt8>)
    }

    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    /// The next field with its number; nil at the end, and at what is no field.
    mutating func next() -> (number: UInt64, field: Field)? {
        guard let tag = varint() else { return nil }
        switch tag & 7 {
        case 0: return varint().map { (tag >> 3, .number($0)) }
        case 1: return fixed(8).map { (tag >> 3, .number($0)) }
        case 5: return fixed(4).map { (tag >> 3, .number($0)) }
        case 2:
            guard let count = varint(), count <= UInt64(rest.count) else { return nil }
            let content = rest.prefix(Int(count))
            rest = rest.dropFirst(Int(count))
            return (tag >> 3, .bytes(content))
        default: return nil
        }
    }

    private mutating func varint() -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard let byte = rest.popFirst() else { return nil }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        return nil
    }

    private mutating func fixed(_ count: Int) -> UInt64? {
        guard rest.count >= count else { return nil }
        let value = rest.prefix(count).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        rest = rest.dropFirst(count)
        return value
    }
}
