internal import COpenSSL

/// SHA-256 and HMAC-SHA256 by OpenSSL's libcrypto.
enum LibCrypto {
    // Safe: a fetched EVP_MD is immutable and may be shared between threads (EVP_MD_fetch(3)).
    private nonisolated(unsafe) static let sha256 = EVP_MD_fetch(nil, "SHA256", nil)

    /// The 32 bytes of the digest.
    static func digest(_ bytes: [UInt8]) -> [UInt8] {
        Array(unsafeUninitializedCapacity: 32) { output, count in
            var length: UInt32 = 0
            let ok = EVP_Digest(bytes, bytes.count, output.baseAddress, &length, sha256, nil)
            precondition(ok == 1 && length == 32, "libcrypto has no SHA-256")
            count = 32
        }
    }

    /// Compares without telling by the time where the difference is; the lengths are no secret.
    static func isEqual(_ one: [UInt8], _ other: [UInt8]) -> Bool {
        one.count == other.count && CRYPTO_memcmp(one, other, one.count) == 0
    }
}

/// HMAC-SHA256 (RFC 2104) with one key, set up once.
///
/// Not safe for concurrent use.
final class KeyedHash {
    // Safe: a fetched EVP_MAC is immutable and may be shared between threads (EVP_MAC_fetch(3)).
    private nonisolated(unsafe) static let algorithm = EVP_MAC_fetch(nil, "HMAC", nil)

    private let context: OpaquePointer?

    init(key: [UInt8]) {
        context = EVP_MAC_CTX_new(Self.algorithm)
        var name = Array("SHA256".utf8CString)
        let ok = name.withUnsafeMutableBytes { name in
            "digest".withCString { field in
                var end = OSSL_PARAM()
                end.key = nil
                let digest = OSSL_PARAM(
                    key: field,
                    data_type: UInt32(OSSL_PARAM_UTF8_STRING),
                    data: name.baseAddress,
                    data_size: name.count - 1,
                    return_size: 0
                )
                return EVP_MAC_init(context, key, key.count, [digest, end])
            }
        }
        precondition(ok == 1, "libcrypto has no HMAC-SHA256")
    }

    deinit { EVP_MAC_CTX_free(context) }

    /// The code of the parts one after the other, 32 bytes.
    func code(of head: [UInt8], _ body: UnsafeRawBufferPointer) -> [UInt8] {
        // Without a key it starts anew with the one it has (EVP_MAC_init(3)).
        var ok = EVP_MAC_init(context, nil, 0, nil) == 1
        ok = ok && EVP_MAC_update(context, head, head.count) == 1
        if let base = body.baseAddress, body.count > 0 {
            ok = ok && EVP_MAC_update(context, base.assumingMemoryBound(to: UInt8.self), body.count) == 1
        }
        return Array(unsafeUninitializedCapacity: 32) { output, count in
            ok = ok && EVP_MAC_final(context, output.baseAddress, &count, 32) == 1
            precondition(ok && count == 32, "libcrypto failed at HMAC-SHA256")
        }
    }
}
