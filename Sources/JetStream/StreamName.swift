/// The name of a JetStream stream, checked.
public struct StreamName: Sendable, Hashable, CustomStringConvertible {
    package let text: String

    /// Accepts 1 to 255 bytes of `A-Za-z0-9_-`; nil for anything else.
    ///
    /// Narrower than the server, so that a name is one subject token and one path component everywhere.
    public init?(_ text: String) {
        guard (1...255).contains(text.utf8.count), text.utf8.allSatisfy(Subject.isPlain) else { return nil }
        self.text = text
    }

    /// The name.
    public var description: String { text }
}
