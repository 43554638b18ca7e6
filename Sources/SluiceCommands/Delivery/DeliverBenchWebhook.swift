import NIOCore
import NIOPosix

/// The webhook of `bench deliver`: takes every delivery at once and counts it.
struct DeliverBenchWebhook: Sendable {
    private let channel: any Channel
    private let group: MultiThreadedEventLoopGroup

    /// The port that it listens on.
    let port: Int

    /// Listens on a free port.
    ///
    /// - Throws: ``CommandFailure`` when the address is not one of this machine.
    init(host: String, run: String, tally: DeliverBenchTally) async throws(CommandFailure) {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do {
            channel = try await ServerBootstrap(group: group)
                .serverChannelOption(.backlog, value: 256)
                .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let handler = DeliverBenchConnection(run: run, tally: tally)
                        try channel.pipeline.syncOperations.addHandler(handler)
                    }
                }
                .bind(host: host, port: 0)
                .get()
        } catch {
            try? await group.shutdownGracefully()
            throw CommandFailure(
                "cannot listen on \(SafeText.escaped(host)): \(ConnectFailure.reason(error))",
                code: ExitStatus.unavailable
            )
        }
        self.group = group
        port = channel.localAddress?.port ?? 0
    }

    /// Stops listening and closes all connections.
    func close() async {
        try? await channel.close()
        try? await group.shutdownGracefully()
    }
}

/// One connection of the gateway's to the webhook.
private final class DeliverBenchConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private static let taken = ByteBuffer(string: "HTTP/1.1 204 No Content\r\n\r\n")
    private static let consent = ByteBuffer(
        string: "HTTP/1.1 200 OK\r\nAllow: POST\r\nWebHook-Allowed-Origin: *\r\nWebHook-Allowed-Rate: *\r\n"
            + "Content-Length: 0\r\n\r\n"
    )

    private let tally: DeliverBenchTally
    private var reader: DeliverRequestReader

    init(run: String, tally: DeliverBenchTally) {
        self.tally = tally
        reader = DeliverRequestReader(run: run)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        unwrapInboundIn(data).withUnsafeReadableBytes { bytes in
            var rest = bytes[...]
            while !rest.isEmpty, take(reader.read(&rest), context) {}
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.flush()
        context.fireChannelReadComplete()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    /// Answers what came; says whether there may be more.
    private func take(_ event: DeliverRequestReader.Event, _ context: ChannelHandlerContext) -> Bool {
        switch event {
        case .delivery(let number):
            if let number { tally.arrived(number) }
            context.write(wrapOutboundOut(Self.taken), promise: nil)
        case .options: context.write(wrapOutboundOut(Self.consent), promise: nil)
        case .incomplete: return false
        case .fault(let reason):
            tally.fail(reason)
            context.close(promise: nil)
            return false
        }
        return true
    }
}
