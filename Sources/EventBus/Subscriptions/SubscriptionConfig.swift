public import CloudEvents

/// How delivery to a subscription behaves; ``limits`` says within which bounds.
public struct SubscriptionConfig: Sendable, Equatable {
    /// The first event that is delivered.
    public enum Start: Sendable, Equatable {
        /// The first one stored after the subscription was made.
        case new
        /// The oldest one that is still stored.
        case earliest
        /// The first one with this sequence of the stream or a higher one.
        case sequence(UInt64)
        /// The first one stored at this time or later.
        case time(Timestamp)
    }

    /// Several events in one request.
    public struct Batch: Sendable, Equatable {
        /// Most events of a request.
        public var maxEvents: Int
        /// How long the first event of a request waits for more.
        public var maxWait: Duration

        /// A batch of these bounds.
        public init(maxEvents: Int, maxWait: Duration) {
            self.maxEvents = maxEvents
            self.maxWait = maxWait
        }
    }

    /// How the event lies in a request.
    public enum Content: String, Sendable, CaseIterable {
        /// Attributes in header fields, data in the body.
        case binary
        /// All in the body, in the JSON format.
        case structured
    }

    /// Where delivery begins.
    public var startAt = Start.new
    /// Most events that are being delivered at a time, per replica.
    public var maxInFlight = 64
    /// How long a receiver may take before the event comes again.
    public var ackWait = Duration.seconds(30)
    /// How often delivery is tried before the event becomes a dead letter.
    public var maxAttempts = 5
    /// How long to wait after each failed attempt, never empty; the last one repeats.
    public var backoff: [Duration] = [.seconds(5), .seconds(30), .seconds(120), .seconds(600)]
    /// How the event lies in a request.
    public var content = Content.binary
    /// Several events in one request; `nil` is one at a time.
    public var batch: Batch?
    /// Where dead letters are sent to beside being kept.
    public var deadLetterSink: SinkURL?
    /// One or two secrets that requests are signed with (Standard Webhooks); none is no signature.
    public var signingSecrets: [SigningSecret] = []

    /// The defaults of the design.
    public init() {}

    /// The bounds of what may be configured.
    package enum Limits {
        package static let maxInFlight = 1...1000
        package static let ackWait = Duration.seconds(1)...Duration.seconds(43_200)
        package static let maxAttempts = 1...100
        package static let backoffEntries = 1...20
        package static let backoff = Duration.zero...Duration.seconds(604_800)
        package static let batchEvents = 1...1000
        package static let batchWait = Duration.zero...Duration.seconds(60)
        package static let secrets = 1...2
        package static let types = 256
        package static let headers = 32
        package static let textBytes = 4096
        package static let bodyBytes = 256 * 1024
    }
}

/// A symmetric secret of Standard Webhooks: `whsec_` and the base64 form of 24 to 64 bytes.
public struct SigningSecret: Sendable, Equatable {
    /// The text with its prefix.
    public let text: String
    /// The key for HMAC-SHA256.
    public let bytes: [UInt8]

    /// Takes a secret in the standard alphabet, with or without padding; `nil` for anything else.
    public init?(_ text: String) {
        let prefix = "whsec_"
        guard text.utf8.starts(with: prefix.utf8),
            let bytes = Base64Text.decode(text.utf8.dropFirst(prefix.utf8.count)), (24...64).contains(bytes.count)
        else { return nil }
        self.text = text
        self.bytes = bytes
    }

    /// What a secret must look like, for error messages.
    package static let rule = "'whsec_' and the base64 form of 24 to 64 random bytes"
}

/// The bytes behind base64 text (RFC 4648 §4).
enum Base64Text {
    /// `nil` for foreign characters, wrong padding or stray bits at the end; no padding at all is taken too.
    static func decode(_ text: Substring.UTF8View) -> [UInt8]? {
        let digits = text.prefix { $0 != UInt8(ascii: "=") }
        let padding = text.count - digits.count
        guard text.dropFirst(digits.count).allSatisfy({ $0 == UInt8(ascii: "=") }),
            padding == 0 || (digits.count + padding) % 4 == 0 && padding <= 2, digits.count % 4 != 1
        else { return nil }
        var output: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for digit in digits {
            guard let value = value(digit) else { return nil }
            bits = bits << 6 | UInt32(value)
            count += 6
            if count >= 8 {
                count -= 8
                output.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return bits & (1 << UInt32(count) - 1) == 0 ? output : nil
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): digit - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): digit - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
