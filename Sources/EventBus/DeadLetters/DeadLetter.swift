public import CloudEvents
package import DeliveryRules
import JetStream

/// An event that could not be delivered, with what is known of why.
public struct DeadLetter: Sendable {
    /// How the event stands in ``payload`` and ``headers``.
    public enum Form: String, Sendable {
        /// The payload is the event's JSON text.
        case structured
        /// The attributes are in the headers, the payload is the data.
        case binary
        /// The message is no CloudEvent.
        case undecodable
    }

    /// Its sequence among the dead letters: what names it.
    public let sequence: UInt64
    /// Whose it is, and which subscription could not deliver it.
    public let subscription: SubscriptionKey
    /// Why it was taken out of delivery, such as `retries-exhausted`; `unknown` if that is not recorded.
    public let reason: String
    /// How often its delivery was tried; 0 if never, or if that is not recorded.
    public let attempts: Int
    /// The status of the last answer.
    public let lastStatus: Int?
    /// What went wrong last: at most 1 KiB, without control characters.
    public let lastError: String?
    /// When its delivery was first tried.
    public let firstTime: Timestamp?
    /// When its delivery was last tried.
    public let lastTime: Timestamp?
    /// When it became a dead letter.
    public let storedTime: Timestamp?
    /// The stream it came from.
    public let originalStream: String?
    /// Its sequence there.
    public let originalSequence: UInt64?
    /// Its subject there.
    public let originalSubject: String?
    /// How often it was put back before.
    public let redriveCount: Int
    /// The event's own headers: its attributes in binary mode, and the content type.
    public let headers: [(name: String, value: String)]
    /// The bytes of the original message.
    public let payload: [UInt8]

    let trace: TraceContext

    /// The reason, if it is one of ours.
    package var knownReason: DeadLetterReason? { DeadLetterReason(rawValue: reason) }

    /// The event.
    ///
    /// - Throws: ``InvalidEvent`` with what keeps the message from being one.
    public func decodeEvent() throws(InvalidEvent) -> CloudEvent {
        try NATSBinding.decode(headers: headers, payload: payload[...])
    }

    /// How the event is encoded; reads all of it.
    public var form: Form {
        guard (try? decodeEvent()) != nil else { return .undecodable }
        return isBinary ? .binary : .structured
    }

    /// The event as JSON text: the stored bytes of a structured one, the binary one written as JSON with its data's own
    /// bytes; nil for what is no CloudEvent.
    public var eventText: ArraySlice<UInt8>? {
        guard let event = try? decodeEvent() else { return nil }
        return isBinary ? JSONFormat.encode(event)[...] : JSONScanner.withoutByteOrderMark(payload[...])
    }

    private var isBinary: Bool {
        guard ContentMode(contentType: CarriedHeaders.first("content-type", in: headers)) == .binary else {
            return false
        }
        return headers.contains { $0.name.lowercased().utf8.starts(with: "ce-".utf8) }
    }
}

// MARK: Reading

extension DeadLetter {
    /// Reads a message of the dead letters; headers that are missing or broken leave their field empty.
    ///
    /// Tenant and subscription are the subject's, never a header's (S-04). Nil if the subject is not `dl.<tenant>.<id>`.
    init?(
        sequence: UInt64,
        subject: String,
        headers: [(name: String, value: String)],
        payload: [UInt8],
        storedTime: Timestamp?
    ) {
        guard let key = Self.key(subject: subject) else { return nil }
        func text(_ name: OwnHeader) -> String? { CarriedHeaders.first(name.text, in: headers) }
        let carried = CarriedHeaders(headers)
        self.sequence = sequence
        subscription = key
        reason = text(.reason).map(CarriedText.decodeWords) ?? "unknown"
        attempts = text(.attempts).flatMap { Int($0) }.flatMap { $0 >= 0 ? $0 : nil } ?? 0
        lastStatus = text(.lastStatus).flatMap { Int($0) }.flatMap { (100...999).contains($0) ? $0 : nil }
        lastError = text(.lastError).map(CarriedText.decodeWords)
        firstTime = text(.firstTime).flatMap { Timestamp($0) }
        lastTime = text(.lastTime).flatMap { Timestamp($0) }
        self.storedTime = storedTime
        originalStream = text(.stream).flatMap { StreamName($0)?.description }
        originalSequence = text(.sequence).flatMap { UInt64($0) }
        originalSubject = text(.subject).map(CarriedText.decode)
        redriveCount = RedriveCount.read(headers)
        var own = carried.event.map { (name: $0.name.text, value: $0.value.description) }
        if let type = carried.contentType { own.append((name: "Content-Type", value: type.description)) }
        self.headers = own
        self.payload = payload
        trace = carried.trace
    }

    /// A message read by its sequence.
    init?(_ message: StoredMessage) {
        self.init(
            sequence: message.sequence,
            subject: message.subject,
            headers: message.headers,
            payload: message.payload,
            storedTime: Timestamp(message.time)
        )
    }

    /// A message as a consumer delivered it.
    init?(_ message: DeliveredMessage) {
        let second: Int64 = 1_000_000_000
        self.init(
            sequence: message.sequence,
            subject: message.subject,
            headers: message.hasHeaders ? message.headers : [],
            payload: message.payload,
            storedTime: Timestamp(
                secondsSinceEpoch: message.time / second,
                nanoseconds: Int32(message.time % second)
            )
        )
    }

    /// The subscription that a subject `dl.<tenant>.<id>` names.
    static func key(subject: String) -> SubscriptionKey? {
        let tokens = subject.split(separator: ".", omittingEmptySubsequences: false)
        guard tokens.count == 3, tokens[0] == DeadLetterMessage.prefix.description[...],
            let tenant = Subject.decodeToken(tokens[1]).flatMap({ TenantName($0) }),
            let id = Subject.decodeToken(tokens[2]).flatMap({ SubscriptionName($0) })
        else { return nil }
        return SubscriptionKey(tenant: tenant, id: id)
    }
}
