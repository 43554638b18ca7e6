import NIOCore
import NIOHPACK
import NIOHTTP2
import NIOPosix
import NIOSSL
import ServerFixtures

/// What an HTTP/2 server does with one stream; all on its event loop.
struct HTTP2Answerer: Sendable {
    let channel: any Channel
    let stream: HTTP2StreamID
    /// Counted over all connections, from 0.
    let number: Int
    let headers: HPACKHeaders
    let body: [UInt8]

    func send(_ payload: HTTP2Frame.FramePayload, on stream: HTTP2StreamID? = nil) {
        channel.writeAndFlush(HTTP2Frame(streamID: stream ?? self.stream, payload: payload), promise: nil)
    }

    func head(_ status: Int, _ fields: [(String, String)] = [], ends: Bool = false) {
        let headers = HPACKHeaders([(":status", String(status))] + fields)
        send(.headers(.init(headers: headers, endStream: ends)))
    }

    func data(_ bytes: [UInt8], ends: Bool) {
        send(.data(.init(data: .byteBuffer(ByteBuffer(bytes: bytes)), endStream: ends)))
    }

    func goAway(last: HTTP2StreamID) {
        send(.goAway(lastStreamID: last, errorCode: .noError, opaqueData: nil), on: .rootStream)
    }
}

/// An HTTP/2 server over TLS whose frames a test writes.
final class HTTP2Receiver: Sendable {
    typealias Script = @Sendable (HTTP2Answerer) -> Void

    /// What a receiver has seen.
    struct Seen: Sendable {
        var connections = 0
        var open = 0
        var requests = 0
        /// Streams on their way on one connection, at most.
        var streamsMax = 0
        /// Streams that the client reset.
        var resets = 0
    }

    let port: UInt16
    private let listener: any Channel
    private let seen: Shared<Seen>

    init(_ tls: NIOSSLContext, settings: HTTP2Settings = [], _ script: @escaping Script) async throws {
        let seen = Shared(Seen())
        let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandler(NIOSSLServerHandler(context: tls))
                    try pipeline.addHandler(NIOHTTP2Handler(mode: .server, initialSettings: settings))
                    try pipeline.addHandler(FrameHandler(seen, script))
                }
            }
        listener = try await bootstrap.bind(host: "127.0.0.1", port: 0).get()
        port = UInt16(listener.localAddress?.port ?? 0)
        self.seen = seen
    }

    var current: Seen { seen.current }

    func stop() async { try? await listener.close() }
}

private final class FrameHandler: ChannelDuplexHandler {
    typealias InboundIn = HTTP2Frame
    typealias OutboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    private let seen: Shared<HTTP2Receiver.Seen>
    private let script: HTTP2Receiver.Script
    private var requests: [HTTP2StreamID: (headers: HPACKHeaders, body: [UInt8])] = [:]
    private var streams: Set<HTTP2StreamID> = []

    init(_ seen: Shared<HTTP2Receiver.Seen>, _ script: @escaping HTTP2Receiver.Script) {
        self.seen = seen
        self.script = script
    }

    func channelActive(context: ChannelHandlerContext) {
        seen.withLock { seen in
            seen.connections += 1
            seen.open += 1
        }
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        seen.withLock { $0.open -= 1 }
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        switch frame.payload {
        case .headers(let headers):
            streams.insert(frame.streamID)
            let count = streams.count
            seen.withLock { $0.streamsMax = max($0.streamsMax, count) }
            requests[frame.streamID] = (headers.headers, [])
            if headers.endStream { answer(frame.streamID, context) }
        case .data(let data):
            if case .byteBuffer(let bytes) = data.data { requests[frame.streamID]?.body += bytes.readableBytesView }
            let size = data.data.readableBytes
            if size > 0 {
                for stream in data.endStream ? [.rootStream] : [.rootStream, frame.streamID] {
                    let update = HTTP2Frame(streamID: stream, payload: .windowUpdate(windowSizeIncrement: size))
                    context.writeAndFlush(NIOAny(update), promise: nil)
                }
            }
            if data.endStream { answer(frame.streamID, context) }
        case .rstStream: seen.withLock { $0.resets += 1 }
        default: break
        }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let frame = unwrapOutboundIn(data)
        switch frame.payload {
        case .headers(let headers) where headers.endStream: streams.remove(frame.streamID)
        case .data(let data) where data.endStream: streams.remove(frame.streamID)
        case .rstStream: streams.remove(frame.streamID)
        default: break
        }
        context.write(data, promise: promise)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if !(error is NIOHTTP2Errors.StreamError) { context.close(promise: nil) }
    }

    private func answer(_ stream: HTTP2StreamID, _ context: ChannelHandlerContext) {
        guard let request = requests.removeValue(forKey: stream) else { return }
        let number = seen.withLock { seen in
            seen.requests += 1
            return seen.requests - 1
        }
        script(
            HTTP2Answerer(
                channel: context.channel,
                stream: stream,
                number: number,
                headers: request.headers,
                body: request.body
            )
        )
    }
}
