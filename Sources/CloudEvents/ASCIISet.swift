/// A set of ASCII characters as 128 bits; asking it costs a shift.
struct ASCIISet {
    private let low: UInt64
    private let high: UInt64

    /// The characters of the literal, which must all be ASCII.
    init(_ characters: StaticString) {
        var low: UInt64 = 0
        var high: UInt64 = 0
        characters.withUTF8Buffer { bytes in
            for byte in bytes {
                precondition(byte < 0x80, "only ASCII characters fit into an ASCIISet")
                if byte < 64 { low |= 1 << UInt64(byte) } else { high |= 1 << UInt64(byte - 64) }
            }
        }
        self.init(low: low, high: high)
    }

    private init(low: UInt64, high: UInt64) {
        self.low = low
        self.high = high
    }

    /// Tells whether the byte is in the set; bytes from 0x80 never are.
    @inline(__always)
    func contains(_ byte: UInt8) -> Bool {
        if byte < 64 { return (low >> UInt64(byte)) & 1 == 1 }
        return byte < 128 && (high >> UInt64(byte - 64)) & 1 == 1
    }

    /// The characters of both sets.
    func union(_ other: ASCIISet) -> ASCIISet {
        ASCIISet(low: low | other.low, high: high | other.high)
    }

    static let lower = ASCIISet("abcdefghijklmnopqrstuvwxyz")
    static let upper = ASCIISet("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    static let digits = ASCIISet("0123456789")
    static let letters = lower.union(upper)
    static let hexDigits = digits.union(ASCIISet("abcdefABCDEF"))
}

/// Bytes of a text while it is being looked at; valid only inside the closure that hands it out.
typealias Bytes = UnsafeBufferPointer<UInt8>

extension UInt8 {
    /// The value of a hexadecimal digit of either case.
    @inline(__always)
    var hexValue: UInt8? {
        switch self {
        case 0x30...0x39: self - 0x30
        case 0x41...0x46: self - 0x41 + 10
        case 0x61...0x66: self - 0x61 + 10
        default: nil
        }
    }

    /// The byte with `A`–`Z` made lower case.
    @inline(__always)
    var lowercased: UInt8 {
        (0x41...0x5A).contains(self) ? self | 0x20 : self
    }

    @inline(__always)
    var isDigit: Bool { self &- 0x30 < 10 }
}

extension Bytes {
    /// The bytes of a part, counted from 0 again.
    @inline(__always)
    func part(_ range: Range<Int>) -> Bytes { Bytes(rebasing: self[range]) }

    /// Compares with a literal byte by byte.
    @inline(__always)
    func equals(_ literal: StaticString) -> Bool {
        guard count == literal.utf8CodeUnitCount else { return false }
        for index in 0..<count where self[index] != literal.utf8Start[index] { return false }
        return true
    }

    /// Compares with an ASCII literal given in lower case, whatever the case of these bytes.
    func equalsIgnoringCase(_ literal: StaticString) -> Bool {
        guard count == literal.utf8CodeUnitCount else { return false }
        return startsIgnoringCase(literal)
    }

    /// Tells whether the bytes start with an ASCII literal given in lower case, whatever their own case.
    func startsIgnoringCase(_ literal: StaticString) -> Bool {
        let length = literal.utf8CodeUnitCount
        guard count >= length else { return false }
        for index in 0..<length where self[index].lowercased != literal.utf8Start[index] { return false }
        return true
    }
}
