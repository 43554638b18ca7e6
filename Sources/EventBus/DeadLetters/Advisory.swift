import CloudEvents
import DeliveryRules

/// The server's word that it ended the delivery of a message itself (ADR-3 of NATS: `max_deliver`, `terminated`).
struct Advisory: Sendable, Equatable {
    /// Why it did.
    let reason: DeadLetterReason
    let stream: String
    let consumer: String
    /// The message's sequence in the stream.
    let sequence: UInt64
    /// How often it had been delivered; 0 if that is not said.
    let deliveries: Int
    /// When, in milliseconds of Unix time.
    let time: UInt64?
    /// What the client gave as its reason for `+TERM`, from nats-server 2.11 on.
    let words: String?

    /// Reads the advisory's JSON; nil for anything else.
    init?(_ payload: [UInt8]) {
        guard let members = try? JSONObject.members(of: payload[...]) else { return nil }
        func text(_ name: String) -> String? {
            members.first { $0.name.utf8.elementsEqual(name.utf8) }?.string
        }
        func number(_ name: String) -> UInt64? {
            let member = members.first { $0.name.utf8.elementsEqual(name.utf8) && $0.kind == .number }
            return member.flatMap { UInt64(String(decoding: $0.raw, as: UTF8.self)) }
        }
        switch text("type") {
        case "io.nats.jetstream.advisory.v1.max_deliver": reason = .maxDeliveries
        case "io.nats.jetstream.advisory.v1.terminated": reason = .terminated
        default: return nil
        }
        guard let stream = text("stream"), let consumer = text("consumer"), let sequence = number("stream_seq"),
            sequence > 0
        else { return nil }
        self.stream = stream
        self.consumer = consumer
        self.sequence = sequence
        deliveries = number("deliveries").map { Int(clamping: $0) } ?? 0
        time = text("timestamp").flatMap { Timestamp($0) }.flatMap(Self.milliseconds)
        words = text("reason").flatMap { $0.isEmpty ? nil : $0 }
    }

    private static func milliseconds(_ time: Timestamp) -> UInt64? {
        time.secondsSinceEpoch < 0 ? nil : UInt64(time.secondsSinceEpoch) * 1000 + UInt64(time.nanoseconds) / 1_000_000
    }

    /// The error text of its dead letter.
    var error: String {
        switch reason {
        case .terminated: words.map { "terminated by a client: \($0)" } ?? "terminated by a client"
        default: "not acknowledged after \(deliveries) deliveries"
        }
    }
}
