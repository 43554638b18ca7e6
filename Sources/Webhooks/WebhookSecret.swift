/// A symmetric secret of Standard Webhooks: `whsec_` and 24 to 64 bytes in base64.
package struct WebhookSecret: Sendable, Equatable {
    /// A text that is no secret, and why; holds no part of it.
    package struct Fault: Error, Sendable, Equatable {
        package let reason: String
    }

    let bytes: [UInt8]

    /// Reads `whsec_…`; the padding may be left out.
    package init(parsing text: String) throws(Fault) {
        guard text.hasPrefix("whsec_") else { throw Fault(reason: "a signing secret starts with whsec_") }
        guard let bytes = Base64Text.decode(text.utf8.dropFirst(6)) else {
            throw Fault(reason: "a signing secret is whsec_ and base64")
        }
        guard (24...64).contains(bytes.count) else {
            throw Fault(reason: "a signing secret has 24 to 64 bytes, not \(bytes.count)")
        }
        self.bytes = bytes
    }

    /// 32 bytes of the system's random numbers.
    package init() {
        var random = SystemRandomNumberGenerator()
        bytes = (0..<32).map { _ in UInt8.random(in: .min ... .max, using: &random) }
    }

    /// `whsec_…`: to be shown once, and kept where secrets are.
    package var text: String { "whsec_" + Base64Text.encode(bytes) }
}

extension WebhookSecret: CustomStringConvertible, CustomReflectable {
    /// No part of the secret.
    package var description: String { "whsec_***" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

/// Base64 (RFC 4648 §4, §5).
enum Base64Text {
    private static let standard = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let url = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    /// The standard alphabet with padding, or that of URLs without.
    static func encode(_ bytes: [UInt8], forURL: Bool = false) -> String {
        let alphabet = forURL ? url : standard
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let count = min(3, bytes.count - start)
            var group: UInt32 = 0
            for index in 0..<3 { group = group << 8 | (index < count ? UInt32(bytes[start + index]) : 0) }
            for index in 0..<4 {
                if index <= count {
                    text.append(alphabet[Int(group >> UInt32(18 - 6 * index) & 63)])
                } else if !forURL {
                    text.append(UInt8(ascii: "="))
                }
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The standard alphabet, with or without padding; nil for anything else.
    static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
        let digits = text.prefix { $0 != UInt8(ascii: "=") }
        let padding = text.count - digits.count
        guard text.dropFirst(digits.count).allSatisfy({ $0 == UInt8(ascii: "=") }),
            padding == 0 || (padding <= 2 && text.count % 4 == 0), digits.count % 4 != 1
        else { return nil }
        var bytes: [UInt8] = []
        var group: UInt32 = 0
        var bits = 0
        for digit in digits {
            guard let value = standard.firstIndex(of: digit) else { return nil }
            group = group << 6 | UInt32(value)
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: group >> UInt32(bits)))
            }
            group &= (1 << UInt32(bits)) - 1
        }
        return group == 0 ? bytes : nil
    }
}
