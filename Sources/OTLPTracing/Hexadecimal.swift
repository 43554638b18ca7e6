/// Lower-case hexadecimal, as trace context writes it.
enum Hexadecimal {
    /// The value of a lower-case digit; nil for anything else.
    @inline(__always)
    static func value(_ byte: UInt8) -> UInt64? {
        switch byte {
        case 0x30...0x39: UInt64(byte &- 0x30)
        case 0x61...0x66: UInt64(byte &- 0x57)
        default: nil
        }
    }

    /// Reads `count` digits from `start`; at most 16.
    static func read(_ bytes: UnsafeBufferPointer<UInt8>, at start: Int, count: Int) -> UInt64? {
        var number: UInt64 = 0
        for index in start..<(start + count) {
            guard let digit = value(bytes[index]) else { return nil }
            number = number << 4 | digit
        }
        return number
    }

    /// Writes the last `count` digits of a number.
    static func write(_ number: UInt64, count: Int, to bytes: UnsafeMutableBufferPointer<UInt8>, at start: Int) {
        var rest = number
        for index in stride(from: start + count - 1, through: start, by: -1) {
            let digit = UInt8(truncatingIfNeeded: rest & 15)
            bytes[index] = digit < 10 ? 0x30 &+ digit : 0x57 &+ digit
            rest >>= 4
        }
    }
}
