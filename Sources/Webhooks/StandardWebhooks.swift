/// Signatures of Standard Webhooks 1.0, version `v1` (HMAC-SHA256), which cover id, timestamp and body.
package enum StandardWebhooks {
    package static let idField = "webhook-id"
    package static let timestampField = "webhook-timestamp"
    package static let signatureField = "webhook-signature"

    /// Signs with one or two secrets; keeps them ready.
    ///
    /// Not safe for concurrent use: one for each event loop.
    package final class Signer {
        private let keys: [KeyedHash]

        /// - Parameter secrets: the current one, and during a rotation the other.
        package init(_ secrets: [WebhookSecret]) { keys = secrets.map { KeyedHash(key: $0.bytes) } }

        /// The three fields of one attempt.
        ///
        /// - Parameters:
        ///   - id: the same for all attempts; without a `.` and of visible ASCII.
        ///   - timestamp: of this attempt, seconds since 1970.
        package func fields(
            id: String,
            timestamp: Int64,
            body: UnsafeRawBufferPointer
        ) -> [(name: String, value: String)] {
            let seconds = String(timestamp)
            let signature = signature(id: id, timestamp: seconds, body: body)
            return [(idField, id), (timestampField, seconds), (signatureField, signature)]
        }

        /// `v1,…` for each secret, with blanks between them.
        func signature(id: String, timestamp: String, body: UnsafeRawBufferPointer) -> String {
            let head = Array("\(id).\(timestamp).".utf8)
            return keys.map { "v1," + Base64Text.encode($0.code(of: head, body)) }.joined(separator: " ")
        }
    }

    /// The three fields of one attempt; see ``Signer``, which does it with less work.
    package static func sign(
        id: String,
        timestamp: Int64,
        body: [UInt8],
        secrets: [WebhookSecret]
    ) -> [(name: String, value: String)] {
        body.withUnsafeBytes { Signer(secrets).fields(id: id, timestamp: timestamp, body: $0) }
    }

    /// What a receiver finds.
    package enum Verdict: Sendable, Equatable {
        case valid
        /// The timestamp is no number, or further from now than the tolerance.
        case badTimestamp
        case badSignature
    }

    /// Verifies as a receiver does: any signature of version `v1` by any of the secrets.
    ///
    /// - Parameters:
    ///   - now: seconds since 1970.
    ///   - tolerance: seconds that the timestamp may be off, either way.
    package static func verify(
        id: String,
        timestamp: String,
        signatures: String,
        body: [UInt8],
        secrets: [WebhookSecret],
        now: Int64,
        tolerance: Int64 = 300
    ) -> Verdict {
        guard let seconds = Int64(timestamp), seconds >= 0, (now - tolerance...now + tolerance).contains(seconds) else {
            return .badTimestamp
        }
        let head = Array("\(id).\(timestamp).".utf8)
        let codes = secrets.map { secret in body.withUnsafeBytes { KeyedHash(key: secret.bytes).code(of: head, $0) } }
        var isValid = false
        for entry in signatures.split(separator: " ") where entry.hasPrefix("v1,") {
            guard let given = Base64Text.decode(entry.utf8.dropFirst(3)) else { continue }
            for code in codes where LibCrypto.isEqual(code, given) { isValid = true }
        }
        return isValid ? .valid : .badSignature
    }
}
