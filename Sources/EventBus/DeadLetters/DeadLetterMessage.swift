import CloudEvents
package import DeliveryRules
package import JetStream

/// A message of a stream that could not be delivered: what its dead letter is made of.
package struct DeadLetterOrigin: Sendable {
    let stream: StreamName
    let sequence: UInt64
    let subject: String
    let headers: [(name: String, value: String)]
    let payload: ArraySlice<UInt8>

    /// A message of its parts.
    package init(
        stream: StreamName,
        sequence: UInt64,
        subject: String,
        headers: [(name: String, value: String)],
        payload: ArraySlice<UInt8>
    ) {
        self.stream = stream
        self.sequence = sequence
        self.subject = subject
        self.headers = headers
        self.payload = payload
    }

    /// A message as a consumer of `stream` delivered it.
    package init(_ message: DeliveredMessage, stream: StreamName) {
        self.stream = stream
        sequence = message.sequence
        subject = message.subject
        headers = message.hasHeaders ? message.headers : []
        payload = message.payload[...]
    }

    /// A message read from `stream`.
    package init(_ message: StoredMessage, stream: StreamName) {
        self.stream = stream
        sequence = message.sequence
        subject = message.subject
        headers = message.headers
        payload = message.payload[...]
    }
}

/// How a delivery ended.
package struct DeadLetterHistory: Sendable {
    package var reason: DeadLetterReason
    /// How often the delivery was tried; 0 if never.
    package var attempts: Int
    /// The status of the last answer.
    package var lastStatus: Int?
    /// What went wrong last, in words; of any content and length.
    package var lastError: String?
    /// When it was first and last tried, in milliseconds of Unix time.
    package var firstTime: UInt64?
    package var lastTime: UInt64?

    package init(
        reason: DeadLetterReason,
        attempts: Int,
        lastStatus: Int? = nil,
        lastError: String? = nil,
        firstTime: UInt64? = nil,
        lastTime: UInt64? = nil
    ) {
        self.reason = reason
        self.attempts = attempts
        self.lastStatus = lastStatus
        self.lastError = lastError
        self.firstTime = firstTime
        self.lastTime = lastTime
    }
}

/// Makes the message of a dead letter: the original's payload untouched, its event headers, and the history beside them.
package enum DeadLetterMessage {
    /// The first token of the subjects of dead letters.
    package static let prefix = SubjectPrefix.literal("dl")

    /// The subject of a subscription's dead letters.
    package static func subject(of key: SubscriptionKey) -> Subject {
        Subject(prefix: prefix, tokens: [key.tenant.text, key.id.text])
    }

    /// The subject of a tenant's dead letters, of one subscription or of all.
    package static func filter(tenant: TenantName, subscription: SubscriptionName?) -> SubjectFilter {
        SubjectFilter(
            prefix: prefix,
            tokens: [.literal(tenant.text), subscription.map { .literal($0.text) } ?? .any]
        )
    }

    /// Builds the message.
    ///
    /// Its message id is made of the original and the subscription, so that the stream has one copy however often a crash
    /// makes us write it.
    ///
    /// - Parameters:
    ///   - origin: the message that could not be delivered.
    ///   - key: the subscription that could not take it.
    ///   - history: why, and what happened.
    ///   - stream: the stream of the dead letters.
    ///   - deleted: the sequence that an earlier letter of the same event had, which is not there any more.
    ///   - bytesMax: the server's `max_payload`. The error text, then the trace context are left out where they do not fit.
    package static func make(
        _ origin: DeadLetterOrigin,
        of key: SubscriptionKey,
        _ history: DeadLetterHistory,
        stream: StreamName,
        after deleted: UInt64? = nil,
        bytesMax: Int = .max
    ) -> OutboundMessage {
        let again = deleted.map { ":\($0)" } ?? ""
        let carried = CarriedHeaders(origin.headers)
        var headers = MessageHeaders(
            messageID: HeaderValue("dlq:\(origin.stream):\(origin.sequence):\(key.durableName)\(again)"),
            contentType: carried.contentType,
            traceparent: carried.trace.parent,
            tracestate: carried.trace.state
        )
        headers.event = carried.event
        headers.own = own(origin, key, history, omission: carried.omission)
        if size(headers, origin, stream) > bytesMax {
            headers.own.removeAll { $0.name == .lastError }
        }
        if size(headers, origin, stream) > bytesMax {
            headers.traceparent = nil
            headers.tracestate = nil
        }
        return OutboundMessage(
            subject: subject(of: key),
            expectedStream: stream,
            headers: headers,
            payload: origin.payload
        )
    }

    private static func own(
        _ origin: DeadLetterOrigin,
        _ key: SubscriptionKey,
        _ history: DeadLetterHistory,
        omission: String?
    ) -> [(name: OwnHeader, value: HeaderValue)] {
        var headers: [(name: OwnHeader, value: HeaderValue)] = []
        func add(_ name: OwnHeader, _ text: String?) {
            if let text, let value = HeaderValue(text) { headers.append((name, value)) }
        }
        add(.reason, history.reason.rawValue)
        add(.attempts, "\(max(0, history.attempts))")
        add(.lastStatus, history.lastStatus.map { "\($0)" })
        let words = [omission, history.lastError].compactMap { $0 }.joined(separator: "; ")
        if let text = CarriedText.encodeWords(words) { headers.append((.lastError, text)) }
        add(.firstTime, history.firstTime.flatMap(time))
        add(.lastTime, history.lastTime.flatMap(time))
        add(.tenant, key.tenant.text)
        add(.subscription, key.id.text)
        add(.stream, origin.stream.description)
        add(.sequence, "\(origin.sequence)")
        if let subject = CarriedText.encode(origin.subject) { headers.append((.subject, subject)) }
        let count = RedriveCount.read(origin.headers)
        if count > 0 { add(.redriveCount, "\(count)") }
        return headers
    }

    /// Bytes of the message as the server counts them: headers and payload.
    private static func size(_ headers: MessageHeaders, _ origin: DeadLetterOrigin, _ stream: StreamName) -> Int {
        let fixed: [(String, HeaderValue?)] = [
            ("Nats-Msg-Id", headers.messageID), ("Content-Type", headers.contentType),
            ("traceparent", headers.traceparent), ("tracestate", headers.tracestate),
        ]
        var size = "NATS/1.0\r\n\r\nNats-Expected-Stream: \r\n".utf8.count + stream.description.utf8.count
        func add(_ name: String, _ value: HeaderValue) { size += name.utf8.count + value.description.utf8.count + 4 }
        for case (let name, let value?) in fixed { add(name, value) }
        for (name, value) in headers.own { add(name.text, value) }
        for (name, value) in headers.event { add(name.text, value) }
        return size + origin.payload.count
    }

    private static func time(_ milliseconds: UInt64) -> String? {
        Timestamp(
            secondsSinceEpoch: Int64(milliseconds / 1000),
            nanoseconds: Int32(milliseconds % 1000) * 1_000_000
        )?.text
    }
}

/// How often an event was put back for delivery, as its message's header says.
enum RedriveCount {
    /// 0 where the header is missing or makes no sense.
    static func read(_ headers: [(name: String, value: String)]) -> Int {
        let text = CarriedHeaders.first(OwnHeader.redriveCount.text, in: headers)
        guard let count = text.flatMap({ Int($0) }), (0...1_000_000_000).contains(count) else { return 0 }
        return count
    }
}
