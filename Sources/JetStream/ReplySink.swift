import CNATS
import Glibc

/// Where the replies of one link go; called on the link's delivery thread.
final class ReplySink: @unchecked Sendable {
    // Safe: `prefix` and `subscription` are written once, before anything can come; the rest belongs to the delivery
    // thread.
    /// What every reply's subject begins with, before the token.
    var prefix: [CChar] = []
    var subscription: OpaquePointer?
    private var bin = MessageBin()
    private let lanes: LaneReceiver
    private let receive: @Sendable (SlotTable.Token, Reply) -> Void
    /// Held by the I/O thread while it parses replies.
    let gate = Locked<Void>(())
    /// Whether a message to ourselves has come.
    let hasEcho = Locked(false)
    /// Called once nothing more comes.
    let whenOver = Locked<@Sendable () -> Void>({})

    /// What a reply brought.
    enum Reply {
        case noResponders
        case payload(UnsafeRawBufferPointer)
    }

    init(core: ClientCore) {
        lanes = LaneReceiver(core: core)
        receive = { token, reply in core.settle(token, reply) }
    }

    private func handle(_ message: OpaquePointer) {
        gate.withLock { _ in }
        defer { bin.add(message, cost: 256 + Int(max(natsMsg_GetDataLength(message), 0))) }
        defer { if !lanes.isEmpty, lanes.isFull || !isMoreWaiting { lanes.flush() } }
        // The server may name any subject beside our subscription's number, so nothing behind the subject's end is read:
        // `strncmp` stops there, and a subject that begins with the whole prefix ends after it.
        guard let subject = natsMsg_GetSubject(message), strncmp(subject, prefix, prefix.count) == 0 else {
            return lanes.deliver(MessageView(message))
        }
        let token = subject + prefix.count
        switch UInt8(bitPattern: token[0]) {
        case ReplyToken.pull:
            if let slot = ReplyToken.wide(token + 1) { lanes.endPull(slot, MessageView(message)) }
        case ReplyToken.settlement:
            if let slot = ReplyToken.wide(token + 1) { lanes.confirm(slot, MessageView(message)) }
        case ReplyToken.nothing: hasEcho.withLock { $0 = true }
        default:
            guard let slot = ReplyToken.narrow(token) else { return }
            if natsMsg_IsNoResponders(message) {
                receive(slot, .noResponders)
            } else {
                let count = Int(max(natsMsg_GetDataLength(message), 0))
                receive(slot, .payload(UnsafeRawBufferPointer(start: natsMsg_GetData(message), count: count)))
            }
        }
    }

    private var isMoreWaiting: Bool {
        var count: UInt64 = 0
        return natsSubscription_QueuedMsgs(subscription, &count) == NATS_OK && count > 0
    }

    static let receive: natsMsgHandler = { _, _, message, closure in
        guard let message else { return }
        guard let closure else { return natsMsg_Destroy(message) }
        Unmanaged<ReplySink>.fromOpaque(closure).takeUnretainedValue().handle(message)
    }

    static let end: natsOnCompleteCB = { closure in
        guard let closure else { return }
        let sink = Unmanaged<ReplySink>.fromOpaque(closure)
        sink.takeUnretainedValue().lanes.flush()
        sink.takeUnretainedValue().whenOver.withLock { $0 }()
        sink.release()
    }
}

/// The last token of our reply subjects: what waits for the reply, in hex, with a letter before it unless it is a publish.
enum ReplyToken {
    static let pull = UInt8(ascii: "p")
    static let settlement = UInt8(ascii: "s")
    /// What nobody waits for; no hex digit.
    static let nothing = UInt8(ascii: "x")

    /// Slot and generation of a pull or a settlement: 20 and 32 bits.
    static func number(_ token: SlotTable.Token) -> UInt64 { UInt64(token.generation) << 20 | UInt64(token.slot) }

    static func wide(_ text: UnsafePointer<CChar>) -> SlotTable.Token? {
        read(text).flatMap { number in
            UInt32(exactly: number >> 20).map { SlotTable.Token(slot: Int(number & 0xF_FFFF), generation: $0) }
        }
    }

    /// Slot and generation of a publish: 16 and 32 bits.
    static func narrow(_ text: UnsafePointer<CChar>) -> SlotTable.Token? {
        read(text).flatMap { number in
            UInt32(exactly: number >> 16).map { SlotTable.Token(slot: Int(number & 0xFFFF), generation: $0) }
        }
    }

    /// 1 to 16 lower-case hex digits up to the end; nil for a probe and for what is no reply to us.
    private static func read(_ text: UnsafePointer<CChar>) -> UInt64? {
        var token: UInt64 = 0
        var position = 0
        while case let byte = UInt8(bitPattern: text[position]), byte != 0 {
            let digit: UInt8
            switch byte {
            case 48...57: digit = byte - 48
            case 97...102: digit = byte - 87
            default: return nil
            }
            guard position < 16 else { return nil }
            token = token << 4 | UInt64(digit)
            position += 1
        }
        return position > 0 ? token : nil
    }
}
