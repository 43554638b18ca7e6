import NIOCore

/// The end of the pipeline next to the socket: reads on while an answer is being waited for, and writes whole answers.
///
/// NIO's pipelining handler withholds reads between a request and its answer, which takes the socket out of the selector and puts
/// it back again: two system calls for each request. This handler stands before the decoder and reads on by itself; what a
/// client sends ahead is kept by the pipelining handler, and after ``aheadBytesMax`` bytes reading does stop until the
/// answer is written. Confined to the connection's event loop.
final class ConnectionEdge: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Most bytes that are read ahead of an answer.
    static let aheadBytesMax = 64 * 1024

    private var ahead = 0
    private var context: ChannelHandlerContext?
    /// Whether the server is shutting down, so that every answer is the connection's last.
    private(set) var isQuiescing = false

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

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        ahead += unwrapInboundIn(data).readableBytes
        context.fireChannelRead(data)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.fireChannelReadComplete()
        if ahead < Self.aheadBytesMax { context.read() }
    }

    /// The handlers behind want to read: nothing is outstanding any more.
    func read(context: ChannelHandlerContext) {
        ahead = 0
        context.read()
    }
}
