/// A message of a stream as a consumer delivered it.
///
/// Subject, headers and the address for the acknowledgement lie in one piece of memory and become values when asked for.
package struct DeliveredMessage: Sendable {
    let envelope: MessageEnvelope
    /// The message's payload.
    package let payload: [UInt8]
    /// Its sequence in the stream.
    package let sequence: UInt64
    /// The number of this delivery among the consumer's.
    package let consumerSequence: UInt64
    /// How often it has been delivered, this time included: 1 or more.
    package let deliveries: Int
    /// When it was stored, in nanoseconds of Unix time.
    package let time: Int64
    /// How many messages the consumer still had for delivery after this one.
    package let pending: UInt64

    /// The subject it was published to; not checked.
    package var subject: String { envelope.subject }

    /// Its headers in the order they were written.
    ///
    /// What clients sent may be here: treat as outside data (C-13).
    package var headers: [(name: String, value: String)] { envelope.withHeaders { HeaderBlock.lines($0) } }

    /// The first value of a header, compared without regard to ASCII case.
    package func header(_ name: StaticString) -> String? {
        envelope.withHeaders { HeaderBlock.value(of: name, in: $0) }
    }

    /// The first value of each of two headers, as ``header(_:)`` finds them; the headers are gone through once.
    package func headers(_ first: StaticString, _ second: StaticString) -> (first: String?, second: String?) {
        var found: (first: String?, second: String?)
        envelope.withHeaders { block in
            HeaderBlock.forEachLine(block) { name, value in
                if found.first == nil, HeaderBlock.isEqual(name, first) {
                    found.first = String(decoding: value, as: UTF8.self)
                } else if found.second == nil, HeaderBlock.isEqual(name, second) {
                    found.second = String(decoding: value, as: UTF8.self)
                }
                return found.first == nil || found.second == nil
            }
        }
        return found
    }

    /// Whether there are any headers.
    package var hasHeaders: Bool { envelope.hasHeaders }

    /// Where its acknowledgement goes.
    package var ack: AckAddress { AckAddress(envelope: envelope) }
}

/// The reply subject of a delivered message, `$JS.ACK.…`, kept as bytes.
package struct AckAddress: Sendable, Hashable {
    let envelope: MessageEnvelope

    init(envelope: MessageEnvelope) { self.envelope = envelope }

    /// Accepts what begins with `$JS.ACK.`, at most 1,024 bytes without space, control characters or wildcards; nil for
    /// anything else.
    package init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.withUnsafeBytes(AckSubject.isSafe) else { return nil }
        envelope = bytes.withUnsafeBytes { MessageEnvelope.make(subject: nil, ack: $0, headers: nil) }
    }

    /// The subject.
    package var text: String { envelope.ack }

    package static func == (left: AckAddress, right: AckAddress) -> Bool {
        left.envelope === right.envelope || left.text == right.text
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(text) }
}
