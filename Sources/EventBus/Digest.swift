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
            var length: UInt32 = 0
            let ok = EVP_Digest(
                bytes.baseAddress,
                bytes.count,
                output.baseAddress,
                &length,
                Self.algorithm,
                nil
            )
            precondition(ok == 1 && length == 32, "libcrypto has no SHA-256")
            count = 32
        }
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
package enum KeyedDigest {
    private static let blockBytes = 64

    /// The 32 bytes of the code of `message`; pure and safe from any thread.
    package static func sha256(key: [UInt8], _ message: [UInt8]) -> [UInt8] {
        var block = key.count > blockBytes ? digest(key) : key
        block += [UInt8](repeating: 0, count: blockBytes - block.count)
        return digest(block.map { $0 ^ 0x5C } + digest(block.map { $0 ^ 0x36 } + message))
    }

    private static func digest(_ bytes: [UInt8]) -> [UInt8] { bytes.withUnsafeBytes { SHA256Digest($0).bytes } }
}
