import NIOCore

/// One connection of the load generator; carries one request at a time.
final class BenchConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let channel: any Channel
    private let owner: BenchLoop
    private var buffer: ByteBuffer
    private var reader = BenchResponseReader()
    private var intended: UInt64?
    private var isEnded = false

    init(channel: any Channel, owner: BenchLoop) {
        self.channel = channel
        self.owner = owner
        buffer = channel.allocator.buffer(capacity: 4096)
    }

    func send(_ template: BenchTemplate, number: UInt64, intended: UInt64) {
        self.intended = intended
        template.render(number: number, into: &buffer)
        channel.writeAndFlush(buffer, promise: nil)
    }

    func close() {
        isEnded = true
        channel.close(promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        buffer.withUnsafeReadableBytes { bytes in
            var rest = bytes[...]
            while !rest.isEmpty, !isEnded { handle(reader.read(&rest)) }
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        end("the connection was closed before the answer")
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end(ConnectFailure.reason(error))
    }

    private func handle(_ event: BenchResponseReader.Event) {
        switch event {
        case .incomplete: break
        case .fault(let reason): end(reason)
        case .answer(let status, let closes):
            guard let intended else {
                end("an answer that nothing was asked for")
                return
            }
            self.intended = nil
            if closes { close() }
            owner.answered(self, status: status, intended: intended, isUsable: !closes)
        }
    }

    private func end(_ reason: String) {
        guard !isEnded else { return }
        close()
        owner.broke(self, reason: reason, hadRequest: intended != nil)
        intended = nil
    }
}
