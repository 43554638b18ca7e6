import JetStream

/// The subject of an event that is put back: rebuilt token by token with the encoder that made it (S-01).
enum OriginalSubject {
    /// Far below a server's limit for a line, 4,096 bytes, which also holds the reply subject.
    private static let bytesMax = 2048

    /// The subject for a recorded one; nil if that is not an event's of this tenant, or too long.
    ///
    /// A token that the encoder would never have made, as native producers write it, is encoded. It stays one token, and a
    /// filter has only tokens of the encoder and wildcards: whatever let the original through lets the event through again.
    static func rebuild(_ text: String, prefix: SubjectPrefix, tenant: TenantName) -> Subject? {
        let head = prefix.description + "."
        guard text.utf8.starts(with: head.utf8), text.utf8.count <= bytesMax else { return nil }
        let tokens = text[text.utf8.index(text.startIndex, offsetBy: head.utf8.count)...]
            .split(separator: ".", omittingEmptySubsequences: false)
        guard tokens.count >= 2, tokens[0].utf8.elementsEqual(Subject.encodeToken(tenant.text).utf8) else { return nil }
        var builder = SubjectBuilder(prefix: prefix)
        for token in tokens {
            if token.isEmpty { return nil }
            if let digest = digest(token) {
                builder.append(sha256: digest)
            } else {
                builder.append(token: Subject.decodeToken(token) ?? String(token))
            }
            if builder.count > bytesMax { return nil }
        }
        return builder.finish()
    }

    /// The bytes of a token `=sha256-…`; nil for any other.
    private static func digest(_ token: Substring) -> [UInt8]? {
        let mark = "=sha256-"
        guard token.utf8.starts(with: mark.utf8), token.utf8.count == mark.utf8.count + 64 else { return nil }
        var bytes: [UInt8] = []
        var high: UInt8?
        for character in token.utf8.dropFirst(mark.utf8.count) {
            let value: UInt8
            switch character {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = character - 0x30
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = character - 0x57
            default: return nil
            }
            if let first = high {
                bytes.append(first << 4 | value)
                high = nil
            } else {
                high = value
            }
        }
        return bytes
    }
}
