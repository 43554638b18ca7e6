import CNATS

/// One link's own reply subjects and the subscription to them: `_INBOX.sluice.<22 random characters>.<token>`.
///
/// The second token is fixed, so that a user's rights can name its own inboxes and leave out those of others.
/// Belongs to the thread that owns the link; what comes goes to the sink, on a thread of cnats'.
struct ReplyInbox {
    /// What is replied to: the prefix and the last token that was set, NUL-terminated.
    private(set) var subject: [CChar]
    private let prefixCount: Int
    private(set) var sink: ReplySink?
    private(set) var subscription: OpaquePointer?

    /// What all inboxes begin with: the user needs the right to subscribe and to publish to everything below it.
    static let root = "_INBOX.sluice."

    init() {
        let prefix = "\(Self.root)\(randomToken(22))."
        prefixCount = prefix.utf8.count
        subject = prefix.utf8.map { CChar(bitPattern: $0) } + [CChar](repeating: 0, count: 24)
    }

    /// Subscribes.
    ///
    /// `sink` lives until cnats' delivery thread has ended.
    mutating func subscribe(_ sink: ReplySink, on connection: OpaquePointer?) -> natsStatus {
        sink.prefix = Array(subject[..<prefixCount])
        self.sink = sink
        let context = Unmanaged.passRetained(sink).toOpaque()
        let wildcard = sink.prefix + [CChar(bitPattern: UInt8(ascii: "*")), 0]
        var status = natsConnection_Subscribe(&subscription, connection, wildcard, ReplySink.receive, context)
        guard status == NATS_OK else {
            Unmanaged<ReplySink>.fromOpaque(context).release()
            return status
        }
        sink.subscription = subscription
        status = natsSubscription_SetPendingLimits(subscription, -1, -1)
        if status == NATS_OK { status = natsSubscription_SetOnCompleteCB(subscription, ReplySink.end, context) }
        return status
    }

    /// Writes the token in hex behind the prefix, with a letter before it that says what kind it is.
    mutating func setToken(_ token: UInt64, kind: UInt8? = nil) {
        var position = prefixCount
        if let kind {
            subject[position] = CChar(bitPattern: kind)
            position += 1
        }
        var shift = 64 - token.leadingZeroBitCount
        shift = max((shift + 3) / 4 * 4, 4)
        while shift > 0 {
            shift -= 4
            let digit = UInt8(truncatingIfNeeded: token >> UInt64(shift) & 15)
            subject[position] = CChar(digit < 10 ? 48 + digit : 87 + digit)
            position += 1
        }
        subject[position] = 0
    }

    /// Sends a message to ourselves, which ``ReplySink/hasEcho`` tells of if this user may do so.
    mutating func sendEcho(on connection: OpaquePointer?) {
        setToken(0, kind: ReplyToken.nothing)
        _ = natsConnection_Publish(connection, subject, nil, 0)
    }

    /// Ends the subscription at the server at once; what is on its way is lost.
    func drop() { if let subscription { _ = natsSubscription_Unsubscribe(subscription) } }

    /// Ends the subscription at the server, after everything that it has sent so far: that is still handed over, and then
    /// the sink is told that it was the last.
    ///
    /// A plain UNSUB would have cnats drop what is on its way. So it bears a number of messages, more than can be on
    /// their way, and the difference is made up by messages to ourselves, which the sink ignores: the server ends the
    /// subscription at exactly that number, whatever comes between them, before it reads what is written after them.
    ///
    /// - Parameter coming: How many messages may be on their way, at most.
    /// - Returns: False if there is nothing to wait for.
    mutating func end(coming: Int, on connection: OpaquePointer?, whenOver: @escaping @Sendable () -> Void) -> Bool {
        guard let subscription, let sink else { return false }
        var pending: Int32 = 0
        var handed: Int64 = 0
        guard natsSubscription_GetStats(subscription, &pending, nil, nil, nil, &handed, nil) == NATS_OK else {
            return false
        }
        let own = min(max(coming, 0), Self.ownMax)
        let last = handed + Int64(pending) + Int64(own)
        sink.whenOver.withLock { $0 = whenOver }
        guard own > 0, last <= Self.lastMax else {
            return natsSubscription_Unsubscribe(subscription) == NATS_OK
        }
        guard natsSubscription_AutoUnsubscribe(subscription, Int32(last)) == NATS_OK else { return false }
        setToken(0, kind: ReplyToken.nothing)
        for _ in 0..<own { _ = natsConnection_Publish(connection, subject, nil, 0) }
        return true
    }

    /// At most so many messages to ourselves; about 6 MB in both directions together.
    private static let ownMax = 1 << 16
    /// The server reads at most nine digits.
    private static let lastMax: Int64 = 999_999_999

    mutating func destroy() {
        natsSubscription_Destroy(subscription)
        subscription = nil
    }
}
