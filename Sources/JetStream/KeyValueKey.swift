/// The name of a key-value bucket, checked.
package struct BucketName: Sendable, Hashable, CustomStringConvertible {
    package let text: String
    /// The bucket's stream: `KV_<bucket>`.
    package let stream: StreamName

    /// Accepts 1 to 200 bytes of `A-Za-z0-9_-`; nil for anything else.
    package init?(_ text: String) {
        guard (1...200).contains(text.utf8.count), text.utf8.allSatisfy(Subject.isPlain),
            let stream = StreamName("KV_\(text)")
        else { return nil }
        self.text = text
        self.stream = stream
    }

    package var description: String { text }
}

extension KeyValueBucket {
    /// A key: its tokens, encoded like those of a subject and joined by dots.
    package struct Key: Sendable, Hashable, CustomStringConvertible {
        /// The encoded key.
        package let text: String

        /// Joins the encoded form of every token; no token at all is the one empty token.
        package init(tokens: [String]) {
            text = (tokens.isEmpty ? [""] : tokens).map(Subject.encodeToken).joined(separator: ".")
        }

        /// Accepts what ``init(tokens:)`` makes; nil for anything else.
        package init?(text: String) {
            guard
                text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy({
                    Subject.decodeToken($0) != nil
                })
            else { return nil }
            self.text = text
        }

        /// The tokens it was made of.
        package var tokens: [String] {
            text.split(separator: ".", omittingEmptySubsequences: false).map { Subject.decodeToken($0) ?? "" }
        }

        package var description: String { text }
    }
}
