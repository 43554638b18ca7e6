import CHiredis
import Glibc

/// One hiredis context around a connected, non-blocking socket.
///
/// For one thread (H-10). After an error nothing more is done with it but to let it go (H-06).
final class RedisLink {
    private let context: UnsafeMutablePointer<redisContext>
    private let readerGuard: ReaderGuard
    /// Bytes given to ``append(_:)`` so far, as protocol.
    private(set) var appended: UInt64 = 0

    /// Takes the socket over, which is closed with the link; nil without memory, and then the socket stays the caller's.
    init?(socket: Int32, replyElementsMax: Int) {
        guard let context = redisConnectFd(socket) else { return nil }
        // `redisConnectFd` takes sockets for blocking ones; without the flag EAGAIN is no error.
        context.pointee.flags &= ~REDIS_BLOCK
        self.context = context
        readerGuard = ReaderGuard(context.pointee.reader, elementsMax: replyElementsMax)
    }

    deinit {
        // Closes the socket and frees what the reader holds, by the functions that `readerGuard` keeps.
        redisFree(context)
        readerGuard.release()
    }

    var descriptor: Int32 { context.pointee.fd }

    /// Bytes that wait in hiredis' output buffer.
    var unwritten: Int { sdslen(context.pointee.obuf) }

    /// Bytes that have left so far.
    var written: UInt64 { appended - UInt64(unwritten) }

    /// Received bytes that belong to no complete reply yet.
    var unread: Int {
        guard let reader = context.pointee.reader else { return 0 }
        return reader.pointee.len - reader.pointee.pos
    }

    // MARK: Writing

    /// Puts a command in the output buffer.
    func append(_ command: RedisCommand) throws(LinkFailure) {
        let before = unwritten
        let status = Self.withArgumentVector(command) { count, texts, lengths in
            redisAppendCommandArgv(context, count, texts, lengths)
        }
        guard status == REDIS_OK else { throw failure() }
        appended += UInt64(unwritten - before)
    }

    private static func withArgumentVector(
        _ command: RedisCommand,
        _ body: (Int32, UnsafeMutablePointer<UnsafePointer<CChar>?>, UnsafePointer<Int>) -> Int32
    ) -> Int32 {
        let count = command.ends.count
        return command.bytes.withUnsafeBytes { bytes in
            withUnsafeTemporaryAllocation(of: UnsafePointer<CChar>?.self, capacity: count) { texts in
                withUnsafeTemporaryAllocation(of: Int.self, capacity: count) { lengths in
                    guard let base = bytes.baseAddress, let text = texts.baseAddress, let length = lengths.baseAddress
                    else { return REDIS_ERR }
                    var start = 0
                    for index in 0..<count {
                        let end = command.ends[index]
                        (text + index).initialize(to: (base + start).assumingMemoryBound(to: CChar.self))
                        (length + index).initialize(to: end - start)
                        start = end
                    }
                    return body(Int32(count), text, length)
                }
            }
        }
    }

    /// Gives the output buffer to the system, as much as it takes, in one `write`.
    func write() throws(LinkFailure) {
        if unwritten == 0 { return }
        guard redisBufferWrite(context, nil) == REDIS_OK else { throw failure() }
    }

    // MARK: Reading

    /// Reads at most 16 KiB; returns how many bytes came, 0 if none wait.
    func read() throws(LinkFailure) -> Int {
        guard let reader = context.pointee.reader else { throw .lost("no reader") }
        let before = reader.pointee.len
        guard redisBufferRead(context) == REDIS_OK else { throw failure() }
        return reader.pointee.len - before
    }

    /// The next complete reply among what was read, if there is one.
    func nextReply() throws(LinkFailure) -> RedisReply? {
        var object: UnsafeMutableRawPointer?
        guard redisGetReply(context, &object) == REDIS_OK else { throw failure() }
        guard let object else { return nil }
        defer { freeReplyObject(object) }
        return RedisReply(object.assumingMemoryBound(to: redisReply.self).pointee)
    }

    private func failure() -> LinkFailure {
        if let refusal = readerGuard.refusal { return .protocolViolation(refusal) }
        let text = withUnsafeBytes(of: context.pointee.errstr) { bytes in
            plainText(String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self))
        }
        return context.pointee.err == REDIS_ERR_PROTOCOL ? .protocolViolation(text) : .lost(text)
    }
}

extension RedisReply {
    /// A copy of what hiredis read; its reader allows seven levels (H-03), so this recursion is as deep at most.
    fileprivate init(_ reply: redisReply) {
        switch reply.type {
        case REDIS_REPLY_INTEGER: self = .integer(reply.integer)
        case REDIS_REPLY_STRING: self = .bytes(Array(Self.content(reply)))
        case REDIS_REPLY_STATUS: self = .status(String(decoding: Self.content(reply), as: UTF8.self))
        case REDIS_REPLY_ERROR: self = .error(String(decoding: Self.content(reply), as: UTF8.self))
        case REDIS_REPLY_ARRAY:
            let elements = UnsafeBufferPointer(start: reply.element, count: reply.elements)
            self = .array(elements.map { element in element.map { RedisReply($0.pointee) } ?? .null })
        default: self = .null
        }
    }

    private static func content(_ reply: redisReply) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: reply.str, count: reply.str == nil ? 0 : reply.len)
    }
}
