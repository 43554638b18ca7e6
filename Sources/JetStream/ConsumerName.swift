/// The name of a JetStream consumer, checked.
package struct ConsumerName: Sendable, Hashable, CustomStringConvertible {
    package let text: String

    /// Accepts 1 to 200 bytes of `A-Za-z0-9_-`; nil for anything else.
    ///
    /// Narrower than the server, so that a name is one subject token everywhere; `%` in a name breaks 2.9.10 (N-03).
    package init?(_ text: String) {
        guard (1...200).contains(text.utf8.count), text.utf8.allSatisfy(Subject.isPlain) else { return nil }
        self.text = text
    }

    package var description: String { text }
}
