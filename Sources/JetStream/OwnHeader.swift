/// A header of Sluice's own on a dead letter: a closed set (S-02).
package struct OwnHeader: Sendable, Hashable, CustomStringConvertible {
    package let text: String

    private static func literal(_ text: StaticString) -> OwnHeader { OwnHeader(text: "\(text)") }

    private init(text: String) { self.text = text }

    /// Why it is a dead letter.
    package static let reason = literal("Sluice-Reason")
    /// How often its delivery was tried.
    package static let attempts = literal("Sluice-Attempts")
    /// The sink's last HTTP status.
    package static let lastStatus = literal("Sluice-Last-Status")
    /// What went wrong last, in words.
    package static let lastError = literal("Sluice-Last-Error")
    /// When it was first delivered.
    package static let firstTime = literal("Sluice-First-Time")
    /// When it was last delivered.
    package static let lastTime = literal("Sluice-Last-Time")
    /// The original's sequence.
    package static let sequence = literal("Sluice-Sequence")
    /// The original's stream.
    package static let stream = literal("Sluice-Stream")
    /// The original's subject.
    package static let subject = literal("Sluice-Subject")
    /// The subscription that could not deliver it.
    package static let subscription = literal("Sluice-Subscription")
    /// The tenant.
    package static let tenant = literal("Sluice-Tenant")
    /// How often it was sent back for delivery.
    package static let redriveCount = literal("Sluice-Redrive-Count")
    /// The one subscription that a message sent back is meant for.
    package static let target = literal("Sluice-Target")

    package var description: String { text }
}

/// The name of a binary-mode CloudEvents header, copied from a stored message.
package struct EventHeader: Sendable, Hashable, CustomStringConvertible {
    package let text: String

    /// Accepts `ce-` and 1 to 64 lower-case letters and digits; nil for anything else.
    ///
    /// Upper-case letters are lowered first: NATS compares header names as they are written.
    package init?(_ text: String) {
        let bytes = text.utf8.map { (65...90).contains($0) ? $0 + 32 : $0 }
        let name = bytes.dropFirst(3)
        guard bytes.starts(with: "ce-".utf8), (1...64).contains(name.count),
            name.allSatisfy({ (97...122).contains($0) || (48...57).contains($0) })
        else { return nil }
        self.text = String(decoding: bytes, as: UTF8.self)
    }

    package var description: String { text }
}
