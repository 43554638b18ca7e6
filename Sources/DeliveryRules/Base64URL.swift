/// Bytes as text for addresses and headers (RFC 4648 §5, without padding).
enum Base64URL {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
    /// The number of each character, 64 or more for all others.
    private static let values = (0...255).map { character in
        UInt8(alphabet.firstIndex(of: UInt8(character)) ?? 64)
    }

    static func encode(_ bytes: UnsafeRawBufferPointer) -> String {
        let size = (bytes.count * 4 + 2) / 3
        return alphabet.withUnsafeBufferPointer { alphabet in
            String(unsafeUninitializedCapacity: size) { text in
                var bits: UInt32 = 0
                var count: UInt32 = 0
                var position = 0
                for byte in bytes {
                    bits = bits << 8 | UInt32(byte)
                    count += 8
                    while count >= 6 {
                        count -= 6
                        text[position] = alphabet[Int(bits >> count & 63)]
                        position += 1
                    }
                }
                if count > 0 {
                    text[position] = alphabet[Int(bits << (6 - count) & 63)]
                    position += 1
                }
                return position
            }
        }
    }

    /// Writes the bytes of a text, fewer than it has characters; returns how many, nil unless the text is exactly what
    /// ``encode(_:)`` makes of them.
    static func decode(_ text: UnsafeBufferPointer<UInt8>, into bytes: UnsafeMutableRawBufferPointer) -> Int? {
        values.withUnsafeBufferPointer { values in
            var bits: UInt32 = 0
            var count: UInt32 = 0
            var position = 0
            for character in text {
                let value = values[Int(character)]
                if value > 63 { return nil }
                bits = bits << 6 | UInt32(value)
                count += 6
                if count >= 8 {
                    count -= 8
                    bytes[position] = UInt8(truncatingIfNeeded: bits >> count)
                    position += 1
                }
            }
            // One text per token: no stray character, no bits that mean nothing.
            return count >= 6 || bits & (1 << count - 1) != 0 ? nil : position
        }
    }
}
