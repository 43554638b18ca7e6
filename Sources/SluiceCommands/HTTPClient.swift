import NIOCore
import NIOHTTP1
import NIOPosix

/// A request of the tool's own HTTP client.
struct HTTPCall: Sendable {
    var method: HTTPMethod = .GET
    var path: String
    var fields: [(name: String, value: String)] = []
    var body: [UInt8] = []
}

/// The answer to a request, read in full.
struct HTTPAnswer: Sendable {
    let status: Int
    let fields: HTTPHeaders
    let body: [UInt8]

    /// The text of the status line's number, as HTTP names it.
    var reason: String { HTTPResponseStatus(statusCode: status).reasonPhrase }
}

/// Where a gateway is, from its URL.
struct GatewayAddress: Sendable {
    let server: ServerAddress

    /// Reads an `http://` URL; a path in it becomes the prefix of every path.
    init(url: String) throws(SettingFault) {
        if url.lowercased().hasPrefix("https://") {
            throw SettingFault("asks for TLS, which is not supported by this client yet: use http://")
        }
        guard let server = ServerAddress(url: url, schemes: ["http"], defaultPort: 80) else {
            throw SettingFault("is not an HTTP URL (like http://localhost:8080)")
        }
        guard server.userInfo == nil else { throw SettingFault("holds credentials, which this client does not send") }
        self.server = server
    }

    /// A path on this gateway.
    func path(_ path: String) -> String { server.path + path }
}

/// A connection that is opened when it is first needed and again after it broke; owned by one task.
struct HTTPSession: Sendable {
    /// Most bytes of an answer that are read.
    static let answerBytesMax = 32 << 20

    let address: GatewayAddress
    let timeoutSeconds: Int
    private var channel: (any Channel)?

    init(address: GatewayAddress, timeoutSeconds: Int) {
        self.address = address
        self.timeoutSeconds = timeoutSeconds
    }

    /// Sends a request and waits for the whole answer.
    ///
    /// - Throws: ``FileError`` when there is none; the request may then have been carried out or not.
    mutating func send(_ call: HTTPCall) async throws(FileError) -> HTTPAnswer {
        do {
            let channel = try await openChannel()
            let promise = channel.eventLoop.makePromise(of: HTTPAnswer.self)
            channel.writeAndFlush(
                HTTPExchange(call: call, authority: address.server.authority, promise: promise),
                promise: nil
            )
            return try await promise.futureResult.get()
        } catch {
            close()
            throw FileError(ConnectFailure.reason(error))
        }
    }

    /// Closes the connection, if there is one.
    mutating func close() {
        channel?.close(promise: nil)
        channel = nil
    }

    private mutating func openChannel() async throws -> any Channel {
        if let channel, channel.isActive { return channel }
        let timeout = TimeAmount.seconds(Int64(timeoutSeconds))
        let opened = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connectTimeout(timeout)
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHTTPClientHandlers()
                    try pipeline.addHandler(HTTPExchangeHandler(timeout: timeout))
                }
            }
            .connect(host: address.server.host, port: address.server.port)
            .get()
        channel = opened
        return opened
    }
}

/// A request on its way through the channel, with the promise of its answer.
private struct HTTPExchange: Sendable {
    let call: HTTPCall
    let authority: String
    let promise: EventLoopPromise<HTTPAnswer>
}

/// Carries one exchange at a time; bounded in the size of the answer and in time.
private final class HTTPExchangeHandler: ChannelDuplexHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundIn = HTTPExchange
    typealias OutboundOut = HTTPClientRequestPart

    private let timeout: TimeAmount
    private var promise: EventLoopPromise<HTTPAnswer>?
    private var head: HTTPResponseHead?
    private var body: [UInt8] = []
    private var deadline: Scheduled<Void>?

    init(timeout: TimeAmount) {
        self.timeout = timeout
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let exchange = unwrapOutboundIn(data)
        guard self.promise == nil, context.channel.isActive else {
            exchange.promise.fail(FileError("the connection is not usable"))
            return
        }
        self.promise = exchange.promise
        var head = HTTPRequestHead(version: .http1_1, method: exchange.call.method, uri: exchange.call.path)
        head.headers.add(name: "host", value: exchange.authority)
        head.headers.add(name: "user-agent", value: "sluice/\(ToolVersion.text)")
        for field in exchange.call.fields { head.headers.add(name: field.name, value: field.value) }
        if exchange.call.method == .POST {
            head.headers.add(name: "content-length", value: String(exchange.call.body.count))
        }
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if !exchange.call.body.isEmpty {
            let buffer = context.channel.allocator.buffer(bytes: exchange.call.body)
            context.write(wrapOutboundOut(.body(.byteBuffer(buffer))), promise: nil)
        }
        context.write(wrapOutboundOut(.end(nil)), promise: promise)
        let loopBound = NIOLoopBound(context, eventLoop: context.eventLoop)
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: timeout) {
            self.fail(loopBound.value, FileError("no answer within \(self.timeout.nanoseconds / 1_000_000_000) s"))
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): self.head = head
        case .body(let buffer):
            body.append(contentsOf: buffer.readableBytesView)
            if body.count > HTTPSession.answerBytesMax {
                fail(context, FileError("the answer is larger than \(HTTPSession.answerBytesMax) bytes"))
            }
        case .end: finish(context)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(context, FileError("the connection was closed before the answer was complete"))
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(context, error)
    }

    private func finish(_ context: ChannelHandlerContext) {
        guard let promise, let head else { return }
        let answer = HTTPAnswer(status: Int(head.status.code), fields: head.headers, body: body)
        reset()
        if !head.isKeepAlive { context.close(promise: nil) }
        promise.succeed(answer)
    }

    private func fail(_ context: ChannelHandlerContext, _ error: any Error) {
        let promise = promise
        reset()
        context.close(promise: nil)
        promise?.fail(error)
    }

    private func reset() {
        deadline?.cancel()
        deadline = nil
        promise = nil
        head = nil
        body = []
    }
}
