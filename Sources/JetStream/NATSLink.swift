import CNATS
import Glibc

/// One cnats connection, in external event loop mode: cnats starts no thread that reads or writes the socket.
///
/// Publishing only appends to a buffer; ``write()`` and ``read()`` do one system call each and never block. Made by the
/// connector thread, then used by the I/O thread alone; only replies come on a thread of cnats'. cnats never reconnects
/// here: a closed connection stays closed, and nothing of its buffer is sent later (R-05, C-03).
final class NATSLink: @unchecked Sendable {
    // Safe: used by one thread at a time, the connector until it hands the link over through a lock, then the I/O thread.
    private(set) var info: ServerInfo?
    private(set) var descriptor: Int32 = -1
    /// True while cnats has bytes to write.
    private(set) var wantsWrite = false
    /// Bytes given to cnats, and bytes of them the kernel has taken.
    private(set) var given: UInt64 = 0
    private(set) var written: UInt64 = 0
    /// The descriptor as the watchdog knows it, to be taken back even after cnats has closed it.
    private var established: Int32?
    private var connection: OpaquePointer?
    private var replies: ReplySink?
    private var subscription: OpaquePointer?
    /// `_INBOX.<22 random characters>.` with room for the token, NUL-terminated.
    private var replySubject: [CChar]
    private let replyPrefixCount: Int
    private var bin = MessageBin()

    init() {
        let prefix = "_INBOX.\(randomToken(22))."
        replyPrefixCount = prefix.utf8.count
        replySubject = prefix.utf8.map { CChar(bitPattern: $0) } + [CChar](repeating: 0, count: 24)
    }

    /// Connects, blocking; the connector's watchdog bounds it (C-05).
    func connect(to peer: Peer, name: String, timeoutMilliseconds: Int64) -> natsStatus {
        var options: OpaquePointer?
        var status = natsOptions_Create(&options)
        defer { natsOptions_Destroy(options) }
        let loop = Unmanaged.passUnretained(self).toOpaque()
        let steps: [() -> natsStatus] = [
            { natsOptions_SetURL(options, peer.url) },
            { peer.user.map { natsOptions_SetUserInfo(options, $0, peer.password ?? "") } ?? NATS_OK },
            { natsOptions_SetName(options, name) },
            { natsOptions_SetTimeout(options, timeoutMilliseconds) },
            { natsOptions_SetAllowReconnect(options, false) },
            { natsOptions_SetReconnectBufSize(options, 0) },
            { natsOptions_SetIgnoreDiscoveredServers(options, true) },
            { natsOptions_SetPingInterval(options, 0) },
            { natsOptions_SetSendAsap(options, true) },
            { natsOptions_SetErrorHandler(options, ignoreError, nil) },
            { natsOptions_SetEventLoop(options, loop, attachLink, readLink, writeLink, detachLink) },
        ]
        for step in steps where status == NATS_OK { status = step() }
        if status == NATS_OK { status = natsConnection_Connect(&connection, options) }
        return status
    }

    /// Marks the connection as established and keeps what the server said of itself.
    ///
    /// If the greeting came from another server than the link, only what cnats knows is kept.
    func establish(_ greeting: ServerGreeting, _ server: ServerURL) {
        ConnectWatchdog.addEstablished(descriptor)
        established = descriptor
        var identity = [CChar](repeating: 0, count: 128)
        _ = natsConnection_GetConnectedServerId(connection, &identity, identity.count)
        let serverID = String(decoding: identity.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let same = serverID.utf8.elementsEqual(greeting.serverID.utf8)
        info = ServerInfo(
            version: same ? greeting.version : "",
            serverID: serverID,
            serverName: same ? greeting.serverName : "",
            clusterName: greeting.cluster,
            maxPayload: Int(clamping: natsConnection_GetMaxPayload(connection)),
            jetStream: greeting.jetStream,
            address: server.description
        )
    }

    /// Subscribes to the replies.
    ///
    /// `sink` lives until cnats' delivery thread has ended.
    func subscribe(_ sink: ReplySink) -> natsStatus {
        sink.prefix = Array(replySubject[..<replyPrefixCount])
        replies = sink
        let context = Unmanaged.passRetained(sink).toOpaque()
        let wildcard = replySubject[..<replyPrefixCount] + [CChar(bitPattern: UInt8(ascii: "*")), 0]
        var status = natsConnection_Subscribe(&subscription, connection, Array(wildcard), receiveReply, context)
        guard status == NATS_OK else {
            Unmanaged<ReplySink>.fromOpaque(context).release()
            return status
        }
        status = natsSubscription_SetPendingLimits(subscription, -1, -1)
        if status == NATS_OK { status = natsSubscription_SetOnCompleteCB(subscription, endReplies, context) }
        return status
    }

    /// True once cnats has given the connection up.
    var isClosed: Bool {
        let status = natsConnection_Status(connection)
        return status == NATS_CONN_STATUS_CLOSED || status == NATS_CONN_STATUS_DISCONNECTED
    }

    /// Bytes given and not yet written.
    var unwritten: UInt64 { given - written }

    /// Appends one message to cnats' buffer.
    func publish(_ item: Batch.Item, token: SlotTable.Token) -> natsStatus {
        setReplyToken(UInt64(token.generation) << 16 | UInt64(token.slot))
        var message: OpaquePointer?
        var status = item.payload.withUnsafeBytes { bytes in
            natsMsg_Create(
                &message,
                item.subject,
                replySubject,
                bytes.baseAddress?.assumingMemoryBound(to: CChar.self),
                Int32(clamping: bytes.count)
            )
        }
        guard status == NATS_OK, let message else { return status }
        defer { bin.add(message, cost: item.cost) }
        status = setHeaders(of: item, on: message)
        if status == NATS_OK { status = natsConnection_PublishMsg(connection, message) }
        countGiven()
        return status
    }

    /// Appends a message to ourselves, whose return shows that the server lives.
    func publishProbe() {
        setReplyToken(.max)
        _ = natsConnection_Publish(connection, replySubject, nil, 0)
        countGiven()
    }

    private func setHeaders(of item: Batch.Item, on message: OpaquePointer?) -> natsStatus {
        var status = NATS_OK
        func set(_ name: String, _ value: String?) {
            guard let value, status == NATS_OK else { return }
            status = natsMsgHeader_Set(message, name, value)
        }
        set("Nats-Expected-Stream", item.expectedStream?.text)
        set("Nats-Msg-Id", item.headers.messageID?.text)
        set("Content-Type", item.headers.contentType?.text)
        set("traceparent", item.headers.traceparent?.text)
        set("tracestate", item.headers.tracestate?.text)
        return status
    }

    /// Writes the token in hex behind the prefix.
    private func setReplyToken(_ token: UInt64) {
        var position = replyPrefixCount
        var shift = 64 - token.leadingZeroBitCount
        shift = max((shift + 3) / 4 * 4, 4)
        while shift > 0 {
            shift -= 4
            let digit = UInt8(truncatingIfNeeded: token >> UInt64(shift) & 15)
            replySubject[position] = CChar(digit < 10 ? 48 + digit : 87 + digit)
            position += 1
        }
        replySubject[position] = 0
    }

    private func countGiven() {
        let buffered = natsConnection_Buffered(connection)
        if buffered >= 0 { given = written + UInt64(buffered) }
    }

    /// Writes what the socket takes; one `send`.
    func write() {
        countGiven()  // A PONG may have been added since.
        natsConnection_ProcessWriteEvent(connection)
        let buffered = natsConnection_Buffered(connection)
        if buffered >= 0 { written = given - min(UInt64(buffered), given) }
    }

    /// Reads what is there, at most one buffer; one `recv`.
    ///
    /// The replies' gate is shut meanwhile: cnats wakes its delivery thread at the first reply, and that would fight with the
    /// parser for the subscription's lock over every further one.
    func read() {
        guard let replies else { return natsConnection_ProcessReadEvent(connection) }
        replies.gate.withLock { _ in natsConnection_ProcessReadEvent(connection) }
    }

    /// Ends the connection without ever waiting: reads what has come, up to the end the shutdown makes.
    ///
    /// `natsConnection_Close` would first wait up to 500 ms for a PONG that only this very thread could read.
    func close() {
        if let established {
            ConnectWatchdog.removeEstablished(established)
            self.established = nil
        }
        if descriptor >= 0 { _ = shutdown(descriptor, Int32(SHUT_RDWR)) }
        var rounds = 0
        while !isClosed, descriptor >= 0, rounds < 10_000 {
            read()
            rounds += 1
        }
        natsSubscription_Destroy(subscription)
        natsConnection_Destroy(connection)
        subscription = nil
        connection = nil
    }

    fileprivate func attach(_ descriptor: Int32) { self.descriptor = descriptor }
    fileprivate func detach() { descriptor = -1 }
    fileprivate func setWantsWrite(_ wants: Bool) { wantsWrite = wants }
}

/// Where the replies of one link go; called on the link's delivery thread.
final class ReplySink: @unchecked Sendable {
    // Safe: `prefix` is written once, before the subscription that reads it exists; `bin` belongs to the delivery
    // thread.
    /// What every reply's subject begins with, before the token.
    fileprivate var prefix: [CChar] = []
    private var bin = MessageBin()
    private let receive: @Sendable (SlotTable.Token, Reply) -> Void
    /// Held by the I/O thread while it parses replies.
    fileprivate let gate = Locked<Void>(())

    /// What a reply brought.
    enum Reply {
        case noResponders
        case payload(UnsafeRawBufferPointer)
    }

    init(receive: @escaping @Sendable (SlotTable.Token, Reply) -> Void) {
        self.receive = receive
    }

    fileprivate func handle(_ message: OpaquePointer) {
        gate.withLock { _ in }
        defer { bin.add(message, cost: 256 + Int(max(natsMsg_GetDataLength(message), 0))) }
        guard let slot = token(of: message) else { return }
        if natsMsg_IsNoResponders(message) {
            receive(slot, .noResponders)
        } else {
            let count = Int(max(natsMsg_GetDataLength(message), 0))
            receive(slot, .payload(UnsafeRawBufferPointer(start: natsMsg_GetData(message), count: count)))
        }
    }

    /// The token in the message's subject; nil for a probe and for what is no reply to us.
    ///
    /// The server may name any subject beside our subscription's number, so nothing behind the subject's end is read:
    /// `strncmp` stops there, and a subject that begins with the whole prefix ends after it.
    private func token(of message: OpaquePointer) -> SlotTable.Token? {
        guard let subject = natsMsg_GetSubject(message), strncmp(subject, prefix, prefix.count) == 0 else { return nil }
        var token: UInt64 = 0
        var position = prefix.count
        while case let byte = UInt8(bitPattern: subject[position]), byte != 0 {
            let digit: UInt8
            switch byte {
            case 48...57: digit = byte - 48
            case 97...102: digit = byte - 87
            default: return nil
            }
            guard position - prefix.count < 16 else { return nil }
            token = token << 4 | UInt64(digit)
            position += 1
        }
        guard position > prefix.count, let generation = UInt32(exactly: token >> 16) else { return nil }
        return SlotTable.Token(slot: Int(token & 0xFFFF), generation: generation)
    }
}

/// Characters from the system's random source: cnats' own inbox names can be guessed (C-17).
func randomToken(_ count: Int) -> String {
    let alphabet = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)
    var generator = SystemRandomNumberGenerator()
    return String(decoding: (0..<count).map { _ in alphabet[Int.random(in: 0..<62, using: &generator)] }, as: UTF8.self)
}

// MARK: - C callbacks: file scope, so that none inherits an actor's isolation.

private func link(_ pointer: UnsafeMutableRawPointer?) -> NATSLink? {
    pointer.map { Unmanaged<NATSLink>.fromOpaque($0).takeUnretainedValue() }
}

private let attachLink: natsEvLoop_Attach = { userData, loop, _, socket in
    userData?.pointee = loop
    link(loop)?.attach(socket)
    return NATS_OK
}

private let readLink: natsEvLoop_ReadAddRemove = { _, _ in NATS_OK }

private let writeLink: natsEvLoop_WriteAddRemove = { userData, add in
    link(userData)?.setWantsWrite(add)
    return NATS_OK
}

private let detachLink: natsEvLoop_Detach = { userData in
    link(userData)?.detach()
    return NATS_OK
}

/// Reads nothing, since the subscription may be gone (C-09); without a handler cnats prints to standard error.
private let ignoreError: natsErrHandler = { _, _, _, _ in }

private let receiveReply: natsMsgHandler = { _, _, message, closure in
    guard let message else { return }
    guard let closure else { return natsMsg_Destroy(message) }
    Unmanaged<ReplySink>.fromOpaque(closure).takeUnretainedValue().handle(message)
}

private let endReplies: natsOnCompleteCB = { closure in
    if let closure { Unmanaged<ReplySink>.fromOpaque(closure).release() }
}
