import NIOCore
import NIOHTTP1
import NIOPosix

/// The answer of a collector.
struct CollectorAnswer: Sendable {
    let status: Int
    /// The `Retry-After` field.
    let retryAfter: String?
    /// The body, or its beginning if it is too long.
    let body: [UInt8]
}

/// No answer of a collector, and why.
struct CollectorFailure: Error {
    let reason: String
}

/// A connection to the collector, opened when it is needed and again after it broke; one request at a time.
///
/// Safe: everything runs on the event loop.
final class CollectorConnection: @unchecked Sendable {
    typealias Completion = (Result<CollectorAnswer, CollectorFailure>) -> Void

    /// A request on its way.
    private struct Exchange {
        let number: Int
        let body: [UInt8]
        let deadline: Scheduled<Void>
        let completion: Completion
        /// Whether it went over a connection that had carried another one: the collector may just have closed that.
        var isOnUsedConnection = false
    }

    private let eventLoop: any EventLoop
    private let endpoint: CollectorEndpoint
    private let fields: [(name: String, value: String)]
    private var channel: (any Channel)?
    private var exchange: Exchange?
    private var lastNumber = 0

    init(eventLoop: any EventLoop, configuration: OTLPConfiguration) {
        self.eventLoop = eventLoop
        endpoint = configuration.endpoint
        fields = configuration.headers
    }

    /// Posts a body and waits for the whole answer, `timeout` at most in all.
    func send(_ body: [UInt8], timeout: Duration, completion: @escaping Completion) {
        lastNumber += 1
        let number = lastNumber
        let deadline = eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(timeout)) {
            guard self.exchange?.number == number else { return }
            self.end(.failure(CollectorFailure(reason: "no answer within \(timeout)")), keeping: false)
        }
        exchange = Exchange(number: number, body: body, deadline: deadline, completion: completion)
        if let channel, channel.isActive {
            exchange?.isOnUsedConnection = true
            write(to: channel)
        } else {
            connect(for: number)
        }
    }

    /// Closes the connection; a request that is on its way fails.
    func close() {
        end(.failure(CollectorFailure(reason: "closed")), keeping: false)
    }

    private func connect(for number: Int) {
        channel = nil
        let bootstrap = ClientBootstrap(group: eventLoop)
            .connectTimeout(.seconds(10))
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    try channel.pipeline.syncOperations.addHandler(CollectorHandler(self))
                }
            }
        bootstrap.connect(host: endpoint.host, port: endpoint.port).assumeIsolated().whenComplete { result in
            guard self.exchange?.number == number else {
                if case .success(let late) = result { late.close(promise: nil) }
                return
            }
            switch result {
            case .success(let channel):
                self.channel = channel
                self.write(to: channel)
            case .failure(let error):
                self.end(.failure(CollectorFailure(reason: Self.reason(error))), keeping: false)
            }
        }
    }

    private func write(to channel: any Channel) {
        guard let exchange else { return }
        var head = HTTPRequestHead(version: .http1_1, method: .POST, uri: endpoint.target)
        head.headers.add(name: "host", value: endpoint.authority)
        head.headers.add(name: "content-type", value: "application/x-protobuf")
        head.headers.add(name: "content-length", value: String(exchange.body.count))
        head.headers.add(name: "user-agent", value: "OTel-OTLP-Exporter-Swift/1.0 (sluice)")
        for (name, value) in fields { head.headers.replaceOrAdd(name: name, value: value) }
        channel.write(HTTPClientRequestPart.head(head), promise: nil)
        let body = channel.allocator.buffer(bytes: exchange.body)
        channel.write(HTTPClientRequestPart.body(.byteBuffer(body)), promise: nil)
        channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
    }

    /// The answer is there.
    fileprivate func answered(_ answer: CollectorAnswer, on channel: any Channel, keeping: Bool) {
        guard channel === self.channel, exchange != nil else {
            channel.close(promise: nil)
            return
        }
        end(.success(answer), keeping: keeping)
    }

    /// The connection broke.
    fileprivate func lost(_ channel: any Channel, reason: String, sawAnswer: Bool) {
        channel.close(promise: nil)
        guard channel === self.channel else { return }
        self.channel = nil
        guard let exchange else { return }
        if exchange.isOnUsedConnection, !sawAnswer {
            self.exchange?.isOnUsedConnection = false
            connect(for: exchange.number)
        } else {
            end(.failure(CollectorFailure(reason: reason)), keeping: false)
        }
    }

    private func end(_ result: Result<CollectorAnswer, CollectorFailure>, keeping: Bool) {
        if !keeping {
            let old = channel
            channel = nil
            old?.close(promise: nil)
        }
        guard let exchange else { return }
        self.exchange = nil
        exchange.deadline.cancel()
        exchange.completion(result)
    }

    /// A few words for the log.
    fileprivate static func reason(_ error: any Error) -> String {
        guard let error = error as? NIOConnectionError else { return shown(error) }
        if let first = error.connectionErrors.first { return shown(first.error) }
        if let first = error.dnsAError ?? error.dnsAAAAError { return "the name cannot be resolved: \(shown(first))" }
        return "cannot connect"
    }

    private static func shown(_ error: any Error) -> String {
        if let error = error as? ChannelError, case .connectTimeout = error { return "no connection in time" }
        return ExportResponse.shown(Array(String(describing: error).utf8)[...])
    }
}

/// Puts the parts of an answer together; bounded.
private final class CollectorHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart

    /// Most bytes of an answer's body that are read.
    private static let bodyBytesMax = 64 << 10

    private let connection: CollectorConnection
    private var head: HTTPResponseHead?
    private var body: [UInt8] = []

    init(_ connection: CollectorConnection) { self.connection = connection }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): self.head = head
        case .body(let buffer):
            guard head != nil else { return }
            body.append(contentsOf: buffer.readableBytesView.prefix(Self.bodyBytesMax - body.count))
            if body.count == Self.bodyBytesMax { finish(context, keeping: false) }
        case .end: finish(context, keeping: head?.isKeepAlive ?? false)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        let reason = "the connection was closed before the answer was complete"
        connection.lost(context.channel, reason: reason, sawAnswer: head != nil)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        connection.lost(context.channel, reason: CollectorConnection.reason(error), sawAnswer: head != nil)
    }

    private func finish(_ context: ChannelHandlerContext, keeping: Bool) {
        guard let head else { return }
        let retryAfter = head.headers.first(name: "retry-after")
        let answer = CollectorAnswer(status: Int(head.status.code), retryAfter: retryAfter, body: body)
        self.head = nil
        body = []
        connection.answered(answer, on: context.channel, keeping: keeping)
    }
}
