/// A subject with wildcards that is certain to be well formed: what a consumer asks of a stream.
///
/// Like ``Subject`` it is only made by a total encoder (S-01): wildcards come from ``Token/any`` and ``Token/rest`` alone,
/// never from a text.
package struct SubjectFilter: Sendable, Hashable, CustomStringConvertible {
    /// One token of a filter.
    package enum Token: Sendable, Hashable {
        /// The encoded form of this text, as ``Subject/encodeToken(_:)`` has it.
        case literal(String)
        /// The token that stands for a type too long to be spelled out.
        case sha256([UInt8])
        /// `*`: any one token.
        case any
        /// `>`: one token or more; the last one only, what follows it is left out.
        case rest
    }

    /// The filter as it goes on the wire.
    package let text: String

    /// Joins the prefix and the tokens.
    package init(prefix: SubjectPrefix, tokens: [Token]) {
        var text = prefix.text
        for token in tokens {
            text += "."
            switch token {
            case .literal(let literal): text += Subject.encodeToken(literal)
            case .sha256(let digest): text += Subject.digestToken(digest)
            case .any: text += "*"
            case .rest: text += ">"
            }
            if token == .rest { break }
        }
        self.text = text
    }

    /// A filter that matches this subject alone.
    package init(_ subject: Subject) { text = subject.text }

    /// All keys of a key-value bucket.
    init(allOf bucket: BucketName) { text = "$KV.\(bucket.text).>" }

    /// A filter that a server's answer names; only compared and shown, never sent.
    init(found text: String) { self.text = text }

    /// Whether a subject is among those the filter names, as NATS decides it.
    package func matches(_ subject: String) -> Bool {
        let dot = UInt8(ascii: ".")
        var pattern = text.utf8[...]
        var rest = subject.utf8[...]
        while true {
            let wanted = pattern.prefix { $0 != dot }
            let found = rest.prefix { $0 != dot }
            if found.isEmpty { return false }
            if wanted.elementsEqual(">".utf8) { return true }
            guard wanted.elementsEqual("*".utf8) || wanted.elementsEqual(found) else { return false }
            pattern = pattern[wanted.endIndex...]
            rest = rest[found.endIndex...]
            if pattern.isEmpty || rest.isEmpty { return pattern.isEmpty && rest.isEmpty }
            pattern = pattern.dropFirst()
            rest = rest.dropFirst()
        }
    }

    package var description: String { text }
}
