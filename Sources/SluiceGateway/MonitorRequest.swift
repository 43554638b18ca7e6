import JetStream
import NIOCore
import NIOHTTP1
import NIOPosix

/// Where the monitoring of a nats-server listens.
public struct MonitorAddress: Sendable, Equatable, CustomStringConvertible {
    /// A name or an address; IPv6 without brackets.
    public let host: String
    /// The port.
    public let port: Int
    /// What stands before the paths, without a slash at the end; mostly empty.
    public let path: String

    /// An address.
    public init(host: String, port: Int, path: String) {
        self.host = host
        self.port = port
        self.path = path
    }

    /// `host:port`.
    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// Asks the server for its `/varz`; nil when there is no usable answer within three seconds.
    func report(on group: any EventLoopGroup) async -> MonitorReport? {
        let timeout = TimeAmount.seconds(3)
        let answer = group.next().makePromise(of: [UInt8].self)
        let head = HTTPRequestHead(
            version: .http1_1,
            method: .GET,
            uri: path + "/varz",
            headers: ["host": description, "connection": "close"]
        )
        let opened = ClientBootstrap(group: answer.futureResult.eventLoop)
            .connectTimeout(timeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    try channel.pipeline.syncOperations.addHandler(MonitorExchange(head, timeout, answer))
                }
            }
            .connect(host: host, port: port)
        opened.whenFailure { answer.fail($0) }
        return try? await MonitorReport(answer.futureResult.get())
    }
}

/// One GET on one connection: bounded in time and size.
private final class MonitorExchange: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private struct Failure: Error {}

    private static let bytesMax = 1 << 20

    private let head: HTTPRequestHead
    private let timeout: TimeAmount
    private var promise: EventLoopPromise<[UInt8]>?
    private var body: [UInt8] = []
    private var deadline: Scheduled<Void>?

    init(_ head: HTTPRequestHead, _ timeout: TimeAmount, _ promise: EventLoopPromise<[UInt8]>) {
        self.head = head
        self.timeout = timeout
        self.promise = promise
    }

    func channelActive(context: ChannelHandlerContext) {
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: timeout) { self.finish(bound.value, nil) }
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): if head.status != .ok { finish(context, nil) }
        case .body(let bytes):
            body.append(contentsOf: bytes.readableBytesView)
            if body.count > Self.bytesMax { finish(context, nil) }
        case .end: finish(context, body)
        }
    }

    func channelInactive(context: ChannelHandlerContext) { finish(context, nil) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { finish(context, nil) }

    private func finish(_ context: ChannelHandlerContext, _ answer: [UInt8]?) {
        guard let promise else { return }
        self.promise = nil
        deadline?.cancel()
        context.close(promise: nil)
        if let answer { promise.succeed(answer) } else { promise.fail(Failure()) }
    }
}
