/// Base64 with the standard alphabet and required padding (RFC 4648 section 4).
package enum Base64 {
    private static let alphabet: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

    /// The value of every byte as a digit, 0xFF for foreign bytes.
    private static let values: [UInt8] = {
        var table = [UInt8](repeating: 0xFF, count: 256)
        for index in 0..<64 { table[Int(alphabet.utf8Start[index])] = UInt8(index) }
        return table
    }()

    /// How many characters that many bytes take.
    static func encodedCount(_ count: Int) -> Int { (count + 2) / 3 * 4 }

    /// Appends the characters for the bytes.
    static func encode(_ bytes: ArraySlice<UInt8>, into output: inout [UInt8]) {
        output.reserveCapacity(output.count + encodedCount(bytes.count))
        let digits = alphabet.utf8Start
        bytes.withUnsafeBufferPointer { bytes in
            var index = 0
            while index + 3 <= bytes.count {
                let word = UInt32(bytes[index]) << 16 | UInt32(bytes[index + 1]) << 8 | UInt32(bytes[index + 2])
                output.append(digits[Int(word >> 18)])
                output.append(digits[Int(word >> 12 & 63)])
                output.append(digits[Int(word >> 6 & 63)])
                output.append(digits[Int(word & 63)])
                index += 3
            }
            let rest = bytes.count - index
            guard rest > 0 else { return }
            let word = UInt32(bytes[index]) << 16 | (rest == 2 ? UInt32(bytes[index + 1]) << 8 : 0)
            output.append(digits[Int(word >> 18)])
            output.append(digits[Int(word >> 12 & 63)])
            output.append(rest == 2 ? digits[Int(word >> 6 & 63)] : UInt8(ascii: "="))
            output.append(UInt8(ascii: "="))
        }
    }

    /// The characters for the bytes as a text.
    package static func encode(_ bytes: ArraySlice<UInt8>) -> String {
        var output: [UInt8] = []
        encode(bytes, into: &output)
        return String(decoding: output, as: UTF8.self)
    }

    /// The bytes for the characters; `nil` for foreign characters, missing padding or stray bits in the last digit.
    static func decode(_ text: Bytes) -> [UInt8]? {
        guard text.count % 4 == 0 else { return nil }
        guard !text.isEmpty else { return [] }
        var padding = 0
        while padding < 2, text[text.count - 1 - padding] == UInt8(ascii: "=") { padding += 1 }
        let digits = text.count - padding
        var output: [UInt8] = []
        output.reserveCapacity(text.count / 4 * 3)
        let isClean = values.withUnsafeBufferPointer { values in
            var index = 0
            var seen: UInt8 = 0
            while index + 4 <= digits {
                let (a, b) = (values[Int(text[index])], values[Int(text[index + 1])])
                let (c, d) = (values[Int(text[index + 2])], values[Int(text[index + 3])])
                seen |= a | b | c | d
                output.append(a << 2 | b >> 4 & 3)
                output.append(b << 4 | c >> 2 & 15)
                output.append(c << 6 | d & 63)
                index += 4
            }
            if seen & 0xC0 != 0 { return false }
            return padding == 0 || decodeTail(text.part(index..<digits), values, &output)
        }
        return isClean ? output : nil
    }

    /// The last two or three digits; the bits that say nothing must be zero, so that a text has one reading only.
    private static func decodeTail(_ tail: Bytes, _ values: Bytes, _ output: inout [UInt8]) -> Bool {
        let digits = (values[Int(tail[0])], values[Int(tail[1])])
        guard digits.0 < 64, digits.1 < 64 else { return false }
        output.append(digits.0 << 2 | digits.1 >> 4)
        guard tail.count == 3 else { return digits.1 & 15 == 0 }
        let last = values[Int(tail[2])]
        output.append(digits.1 << 4 | last >> 2)
        return last < 64 && last & 3 == 0
    }
}
