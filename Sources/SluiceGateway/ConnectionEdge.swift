import NIOCore

/// The end of the pipeline next to the socket: decides when to read, and writes whole answers.
///
/// NIO's pipelining handler withholds reads between a request and its answer, which takes the socket out of the selector and
/// puts it back again: two system calls for each request. This handler stands before the decoder and reads on by itself;
/// what a client sends ahead is kept by the pipelining handler, and after ``aheadBytesMax`` bytes reading does stop until
/// the answer is written. It also stops while the client does not take its answers, so that neither side of a
/// connection makes memory grow. Confined to the connection's event loop.
final class ConnectionEdge: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Most bytes that are read ahead of an answer, give or take one read.
    static let aheadBytesMax = 4 * 1024

    private var ahead = 0
    /// How many bytes have come, in all.
    private(set) var received = 0
    /// A read was asked for while the client did not take its answers.
    private var readIsHeldBack = false
    private var context: ChannelHandlerContext?
    /// Whether the server is shutting down, so that every answer is the connection's last.
    private(set) var isQuiescing = false
    /// Whether something was read since this was last set to false.
    var hasRead = false

    /// When the last answer had left in full, if the connection is at its end.
    private(set) var flushedAt: NIODeadline?

    /// Whether the client takes its answers.
    var isWritable: Bool { context?.channel.isWritable ?? false }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is ChannelShouldQuiesceEvent { isQuiescing = true }
        context.fireUserInboundEventTriggered(event)
    }

    /// Writes the bytes of a whole answer past the encoder, without a flush; its `.end` must follow through the pipeline.
    func write(_ answer: ByteBuffer) {
        context?.write(wrapOutboundOut(answer), promise: nil)
    }

    /// Closes when all that was written has left: closing at once would drop it.
    func closeAfterWrites(_ mode: CloseMode) {
        guard let context else { return }
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenComplete { _ in
            self.flushedAt = .now()
            bound.value.close(mode: mode, promise: nil)
        }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: written)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let count = unwrapInboundIn(data).readableBytes
        ahead += count
        received += count
        hasRead = true
        context.fireChannelRead(data)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.fireChannelReadComplete()
        if ahead < Self.aheadBytesMax { readIfWritable(context) }
    }

    /// The handlers behind want to read: nothing is outstanding any more.
    func read(context: ChannelHandlerContext) {
        ahead = 0
        readIfWritable(context)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if readIsHeldBack && context.channel.isWritable {
            readIsHeldBack = false
            context.read()
        }
        context.fireChannelWritabilityChanged()
    }

    private func readIfWritable(_ context: ChannelHandlerContext) {
        if context.channel.isWritable {
            context.read()
        } else {
            readIsHeldBack = true
        }
    }
}
