/// A NATS header value that is certain to be well formed.
///
/// cnats writes header values as they are (C-01), and its reader lets an empty one swallow the next header (C-13).
public struct HeaderValue: Sendable, Hashable, CustomStringConvertible {
    package let text: String

    /// Accepts printable ASCII with inner spaces, 1 to 4096 bytes, no space at either end; nil for anything else (S-02).
    public init?(_ text: String) {
        let space = UInt8(ascii: " ")
        let utf8 = text.utf8
        guard (1...4096).contains(utf8.count), utf8.first != space, utf8.last != space,
            utf8.allSatisfy({ $0 >= space && $0 < 0x7F })
        else { return nil }
        self.text = text
    }

    /// The value.
    public var description: String { text }
}

/// The headers a message of ours can carry: a closed set, so that no client chooses a `Nats-` header (S-02).
///
/// `Nats-Expected-Stream` is not here: it always comes from ``OutboundMessage/expectedStream``.
public struct MessageHeaders: Sendable {
    /// `Nats-Msg-Id`, by which the stream recognises a duplicate.
    public var messageID: HeaderValue?
    /// `Content-Type` of the payload.
    public var contentType: HeaderValue?
    /// `traceparent` of W3C Trace Context.
    public var traceparent: HeaderValue?
    /// `tracestate` of W3C Trace Context.
    public var tracestate: HeaderValue?

    /// Sluice's own headers, as dead letters have them.
    package var own: [(name: OwnHeader, value: HeaderValue)] = []
    /// Binary-mode headers of an event, copied from a stored message.
    package var event: [(name: EventHeader, value: HeaderValue)] = []
    /// The message is only stored if the newest of its subject has this sequence; 0 if there must be none.
    package var expectedLastSubjectSequence: UInt64?
    /// What happened to a key, in a message of a key-value bucket.
    var operation: KeyOperation?

    /// Headers for one message; what is nil is left out.
    public init(
        messageID: HeaderValue? = nil,
        contentType: HeaderValue? = nil,
        traceparent: HeaderValue? = nil,
        tracestate: HeaderValue? = nil
    ) {
        self.messageID = messageID
        self.contentType = contentType
        self.traceparent = traceparent
        self.tracestate = tracestate
    }
}

/// `KV-Operation` (ADR-8 of NATS).
enum KeyOperation: String, Sendable {
    case delete = "DEL"
}

/// A message to be stored in a stream.
public struct OutboundMessage: Sendable {
    /// Where it goes.
    public var subject: Subject
    /// The stream that must take it: sent as `Nats-Expected-Stream`, and compared with the stream in the acknowledgement.
    public var expectedStream: StreamName
    /// The headers beside `Nats-Expected-Stream`.
    public var headers: MessageHeaders
    /// The payload: a slice, so that an HTTP body need not be copied.
    public var payload: ArraySlice<UInt8>

    /// A message for `expectedStream`.
    public init(subject: Subject, expectedStream: StreamName, headers: MessageHeaders, payload: ArraySlice<UInt8>) {
        self.subject = subject
        self.expectedStream = expectedStream
        self.headers = headers
        self.payload = payload
    }
}
