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
    private var replies = ReplyInbox()
    /// Where consumers' messages come, once the first pull is sent; apart, so that the server can be told to send no more.
    private var pulled = ReplyInbox()
    private var serviceSubscriptions: [UInt64: OpaquePointer] = [:]
    private var hasProbed = false
    private var bin = MessageBin()

    /// What cnats reads at once, and first holds for writing.
    private static let bufferSize: Int32 = 64 << 10

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
            { natsOptions_SetIOBufSize(options, Self.bufferSize) },
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
    func subscribe(_ sink: ReplySink) -> natsStatus { replies.subscribe(sink, on: connection) }

    /// Subscribes to what pulls bring, before the first of them.
    func subscribeToPulls(_ makeSink: () -> ReplySink) {
        if pulled.subscription == nil { _ = pulled.subscribe(makeSink(), on: connection) }
    }

    /// Whether there was a pull on this link.
    var hasPulled: Bool { pulled.subscription != nil }

    /// Whether a message of ``sendEcho()`` has come back.
    var hasEcho: Bool { pulled.sink?.hasEcho.withLock { $0 } ?? false }

    /// Sends a message to ourselves, on the way that pulls' messages take.
    func sendEcho() {
        pulled.sendEcho(on: connection)
        countGiven()
    }

    /// Whether the server has refused something to this user, so that an echo may never come.
    var hasBeenRefused: Bool {
        var text: UnsafePointer<CChar>?
        return natsConnection_GetLastError(connection, &text) == NATS_NOT_PERMITTED
    }

    /// Takes away the interest in what pulls bring at once; what is on its way is lost.
    func dropPulls() {
        pulled.drop()
        countGiven()
    }

    /// Has the server end all pulls that wait there, by taking away the interest in what they bring.
    ///
    /// Settlements that are sent afterwards come after that at the server. `whenOver` is called, on a thread of cnats', when
    /// everything that came before has been handed over.
    ///
    /// - Parameter coming: How many messages may be on their way, at most.
    /// - Returns: False if there is nothing to wait for.
    func endPulls(coming: Int, whenOver: @escaping @Sendable () -> Void) -> Bool {
        defer { countGiven() }
        return pulled.end(coming: coming, on: connection, whenOver: whenOver)
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
        replies.setToken(UInt64(token.generation) << 16 | UInt64(token.slot))
        var message: OpaquePointer?
        var status = item.payload.withUnsafeBytes { bytes in
            natsMsg_Create(
                &message,
                item.subject,
                replies.subject,
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
    ///
    /// A server that does not allow it says so, which shows the same.
    func publishProbe() {
        hasProbed = true
        replies.sendEcho(on: connection)
        countGiven()
    }

    /// Whether a probe was sent and has not come back.
    ///
    /// While the server answers, it is one that does not allow probes.
    var lacksEcho: Bool { hasProbed && replies.sink?.hasEcho.withLock { $0 } != true }

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
        set("Nats-Expected-Last-Subject-Sequence", item.headers.expectedLastSubjectSequence.map { "\($0)" })
        set("KV-Operation", item.headers.operation?.rawValue)
        for header in item.headers.own { set(header.name.text, header.value.text) }
        for header in item.headers.event { set(header.name.text, header.value.text) }
        return status
    }

    /// Appends a pull request.
    func publish(_ pull: LaneBatch.Pull, bytesMax: Int, token: SlotTable.Token) -> natsStatus {
        guard pulled.subscription != nil else { return NATS_INVALID_SUBSCRIPTION }
        pulled.setToken(ReplyToken.number(token), kind: ReplyToken.pull)
        let subject = APISubject.nextMessages(pull.consumer, pull.stream).text
        let body = Array(pull.body(bytesMax: bytesMax).utf8)
        let status = body.withUnsafeBytes { bytes in
            natsConnection_PublishRequest(
                connection,
                subject,
                pulled.subject,
                bytes.baseAddress?.assumingMemoryBound(to: CChar.self),
                Int32(clamping: bytes.count)
            )
        }
        countGiven()
        return status
    }

    /// Appends a settlement; with a token, its confirmation is asked for.
    ///
    /// ``countGiven()`` is the caller's.
    func publish(_ how: Settlement, to ack: MessageEnvelope, token: SlotTable.Token?) -> natsStatus {
        if let token { replies.setToken(ReplyToken.number(token), kind: ReplyToken.settlement) }
        return ack.withAck { subject in
            switch how {
            case .acknowledge: publish("+ACK", to: subject, withReply: token != nil)
            case .progress: publish("+WPI", to: subject, withReply: token != nil)
            case .terminate: publish("+TERM", to: subject, withReply: token != nil)
            case .release(.zero): publish("-NAK", to: subject, withReply: token != nil)
            case .release(let delay):
                publish("-NAK {\"delay\": \(delay.nanoseconds)}", to: subject, withReply: token != nil)
            }
        }
    }

    private func publish(_ text: StaticString, to subject: UnsafePointer<CChar>, withReply: Bool) -> natsStatus {
        publish(UnsafeRawPointer(text.utf8Start), text.utf8CodeUnitCount, to: subject, withReply)
    }

    private func publish(_ text: String, to subject: UnsafePointer<CChar>, withReply: Bool) -> natsStatus {
        Array(text.utf8).withUnsafeBytes { publish($0.baseAddress, $0.count, to: subject, withReply) }
    }

    private func publish(
        _ bytes: UnsafeRawPointer?,
        _ count: Int,
        to subject: UnsafePointer<CChar>,
        _ withReply: Bool
    ) -> natsStatus {
        withReply
            ? natsConnection_PublishRequest(connection, subject, replies.subject, bytes, Int32(clamping: count))
            : natsConnection_Publish(connection, subject, bytes, Int32(clamping: count))
    }

    /// Appends the answer of a service.
    func publish(_ answer: ServiceAnswer) -> natsStatus {
        let status = answer.payload.withUnsafeBytes { bytes in
            natsConnection_Publish(connection, answer.subject, bytes.baseAddress, Int32(clamping: bytes.count))
        }
        countGiven()
        return status
    }

    /// Begins and ends subscriptions, so that they are those of the services given.
    ///
    /// Each has a thread of cnats'; services are few.
    func offer(_ services: [Service]) {
        let wanted = Set(services.map(\.id))
        for (id, subscription) in serviceSubscriptions where !wanted.contains(id) {
            natsSubscription_Destroy(subscription)
            serviceSubscriptions[id] = nil
        }
        for service in services where serviceSubscriptions[service.id] == nil {
            let context = Unmanaged.passRetained(service).toOpaque()
            var new: OpaquePointer?
            let status = natsConnection_Subscribe(&new, connection, service.subject.text, Service.receive, context)
            guard status == NATS_OK, let new else {
                Unmanaged<Service>.fromOpaque(context).release()
                continue
            }
            _ = natsSubscription_SetOnCompleteCB(new, Service.end, context)
            serviceSubscriptions[service.id] = new
        }
    }

    /// Notes how much cnats has been given.
    func countGiven() {
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
    /// The sinks' gates are shut meanwhile: cnats wakes a delivery thread at its first message, and that would fight with
    /// the parser for the subscription's lock over every further one. Delivery threads hold nothing else with their gate.
    func read() {
        guard let replies = replies.sink else { return natsConnection_ProcessReadEvent(connection) }
        replies.gate.withLock { _ in
            guard let pulled = pulled.sink else { return natsConnection_ProcessReadEvent(connection) }
            pulled.gate.withLock { _ in natsConnection_ProcessReadEvent(connection) }
        }
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
        for subscription in serviceSubscriptions.values { natsSubscription_Destroy(subscription) }
        serviceSubscriptions = [:]
        replies.destroy()
        pulled.destroy()
        natsConnection_Destroy(connection)
        connection = nil
    }

    fileprivate func attach(_ descriptor: Int32) { self.descriptor = descriptor }
    fileprivate func detach() { descriptor = -1 }
    fileprivate func setWantsWrite(_ wants: Bool) { wantsWrite = wants }
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
