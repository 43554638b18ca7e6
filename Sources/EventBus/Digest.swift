internal import COpenSSL

/// SHA-256 (FIPS 180-4) by OpenSSL's libcrypto, which libnats brings along.
///
/// Pure and safe from any thread. It serves identities, not secrets: message ids and the subjects of long types.
package struct SHA256Digest: Sendable {
    /// The 32 bytes of the digest.
    package let bytes: [UInt8]

    // Safe: a fetched EVP_MD is immutable and may be shared between threads (EVP_MD_fetch(3)).
    private nonisolated(unsafe) static let algorithm = EVP_MD_fetch(nil, "SHA256", nil)

    /// Digests `bytes`.
    package init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = Array(unsafeUninitializedCapacity: 32) { output, count in
            Self.digest(bytes, into: UnsafeMutableRawBufferPointer(output))
            count = 32
        }
    }

    /// Writes the 32 bytes of the digest of `bytes`.
    static func digest(_ bytes: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) {
        var length: UInt32 = 0
        let target = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
        let ok = output.count < 32 ? 0 : EVP_Digest(bytes.baseAddress, bytes.count, target, &length, algorithm, nil)
        precondition(ok == 1 && length == 32, "libcrypto has no SHA-256")
    }

    /// Digests the UTF-8 bytes of `text`.
    package init(_ text: String) {
        var text = text
        self = text.withUTF8 { SHA256Digest(UnsafeRawBufferPointer($0)) }
    }

    /// The first 24 bytes (192 bits) in base64url (RFC 4648 §5), 32 characters: short enough for a header of every event,
    /// long enough that nobody finds two inputs with the same text.
    package var shortText: String {
        let alphabet = Self.base64url
        return String(unsafeUninitializedCapacity: 32) { output in
            var position = 0
            var index = 0
            while index < 24 {
                let group = UInt32(bytes[index]) << 16 | UInt32(bytes[index + 1]) << 8 | UInt32(bytes[index + 2])
                output[position] = alphabet[Int(group >> 18)]
                output[position + 1] = alphabet[Int(group >> 12 & 63)]
                output[position + 2] = alphabet[Int(group >> 6 & 63)]
                output[position + 3] = alphabet[Int(group & 63)]
                position += 4
                index += 3
            }
            return 32
        }
    }

    private static let base64url = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
}

/// HMAC with SHA-256 (RFC 2104, FIPS 198-1).
///
/// Immutable and safe from any thread.
package struct KeyedDigest: Sendable {
    private static let blockBytes = 64
    private static let codeBytes = 32
    /// The key's block as the inner and the outer digest begin with it.
    private let inner: [UInt8]
    private let outer: [UInt8]

    /// Codes with a key of any length.
    package init(key: [UInt8]) {
        var block = key.count > Self.blockBytes ? key.withUnsafeBytes { SHA256Digest($0).bytes } : key
        block += [UInt8](repeating: 0, count: Self.blockBytes - block.count)
        inner = block.map { $0 ^ 0x36 }
        outer = block.map { $0 ^ 0x5C }
    }

    /// Writes the beginning of the code of `message`, as much as there is room for: at most 32 bytes.
    package func write(_ message: UnsafeRawBufferPointer, into code: UnsafeMutableRawBufferPointer) {
        let size = Self.blockBytes + Self.codeBytes
        withUnsafeTemporaryAllocation(byteCount: size + max(message.count, Self.codeBytes), alignment: 8) { bytes in
            let result = UnsafeMutableRawBufferPointer(rebasing: bytes[..<Self.codeBytes])
            let text = UnsafeMutableRawBufferPointer(rebasing: bytes[Self.codeBytes...])
            inner.withUnsafeBytes { text.copyMemory(from: $0) }
            UnsafeMutableRawBufferPointer(rebasing: text[Self.blockBytes...]).copyMemory(from: message)
            SHA256Digest.digest(
                UnsafeRawBufferPointer(rebasing: text[..<(Self.blockBytes + message.count)]),
                into: result
            )
            outer.withUnsafeBytes { text.copyMemory(from: $0) }
            UnsafeMutableRawBufferPointer(rebasing: text[Self.blockBytes...]).copyMemory(
                from: UnsafeRawBufferPointer(result)
            )
            SHA256Digest.digest(UnsafeRawBufferPointer(rebasing: text[..<size]), into: result)
            code.copyMemory(from: UnsafeRawBufferPointer(rebasing: result[..<min(code.count, Self.codeBytes)]))
        }
    }
}
