/// Writes the wire format of Protocol Buffers.
///
/// Fields that have their default value are left out, as proto3 does, where the method's comment says so.
struct ProtobufWriter {
    private(set) var bytes: [UInt8] = []

    private enum WireType: UInt64 {
        case varint = 0
        case fixed64 = 1
        case delimited = 2
        case fixed32 = 5
    }

    init(capacity: Int) { bytes.reserveCapacity(capacity) }

    /// An integer, enum or bool; left out when zero.
    mutating func varint(_ field: UInt64, _ value: UInt64) {
        guard value != 0 else { return }
        member(field, ofOneof: value)
    }

    /// An integer, enum or bool, also when zero: a member of a oneof.
    mutating func member(_ field: UInt64, ofOneof value: UInt64) {
        tag(field, .varint)
        append(varint: value)
    }

    /// Left out when zero.
    mutating func fixed64(_ field: UInt64, _ value: UInt64) {
        guard value != 0 else { return }
        tag(field, .fixed64)
        append(value.littleEndian)
    }

    /// Left out when zero.
    mutating func fixed32(_ field: UInt64, _ value: UInt32) {
        guard value != 0 else { return }
        tag(field, .fixed32)
        append(value.littleEndian)
    }

    /// A double, also when zero: a member of a oneof.
    mutating func member(_ field: UInt64, ofOneof value: Double) {
        tag(field, .fixed64)
        append(value.bitPattern.littleEndian)
    }

    /// Left out when empty.
    mutating func text(_ field: UInt64, _ text: String) {
        if !text.isEmpty { member(field, ofOneof: text) }
    }

    /// A text, also when empty: a member of a oneof.
    mutating func member(_ field: UInt64, ofOneof text: String) {
        tag(field, .delimited)
        append(varint: UInt64(text.utf8.count))
        bytes.append(contentsOf: text.utf8)
    }

    /// Eight or sixteen bytes, as an id has them: big-endian.
    mutating func id(_ field: UInt64, _ words: UInt64...) {
        tag(field, .delimited)
        append(varint: UInt64(words.count * 8))
        for word in words { append(word.bigEndian) }
    }

    /// A message, also when empty.
    mutating func message(_ field: UInt64, _ write: (inout ProtobufWriter) -> Void) {
        tag(field, .delimited)
        let start = bytes.count
        bytes.append(0)
        write(&self)
        var length = UInt64(bytes.count - start - 1)
        var place = start
        while length >= 0x80 {
            bytes[place] = UInt8(truncatingIfNeeded: length) | 0x80
            place += 1
            length >>= 7
            bytes.insert(0, at: place)
        }
        bytes[place] = UInt8(length)
    }

    private mutating func tag(_ field: UInt64, _ type: WireType) { append(varint: field << 3 | type.rawValue) }

    private mutating func append(varint value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    private mutating func append(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
    }
}
