import NIOCore

/// A connection over HTTP/1.1: one request at a time.
///
/// Used on the client's event loop only.
final class HTTP1Connection: ChannelInboundHandler, SinkConnection {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let origin: SinkOrigin
    private let client: WebhookClient
    private var context: ChannelHandlerContext?
    private var reader = HTTP1ResponseReader()
    private var writer = HTTP1RequestWriter()
    private var exchange: WebhookExchange?
    /// How many answers it has carried.
    private(set) var served = 0
    private(set) var isOver = false
    private var reason = "the sink closed the connection before the answer was complete"

    /// Since when nothing is on its way.
    var idleSince = NIODeadline.now()

    init(_ origin: SinkOrigin, client: WebhookClient) {
        self.origin = origin
        self.client = client
    }

    /// Whether a request may be tried; after a rest the system is asked whether the sink has closed its side.
    var isUsable: Bool {
        guard !isOver, let context, context.channel.isActive else { return false }
        guard served > 0, NIODeadline.now() - idleSince > .seconds(1) else { return true }
        return !SocketState.isHalfClosed(context.channel)
    }

    func start(_ exchange: WebhookExchange) {
        guard let context else { return }
        self.exchange = exchange
        exchange.connection = self
        reader.start(wanted: exchange.request.wantedFields)
        writer.write(exchange.request, to: context)
    }

    func abandon(_ exchange: WebhookExchange) {
        guard exchange === self.exchange else { return }
        self.exchange = nil
        end()
    }

    func close(_ failure: WebhookFailure) {
        reason = failure.text
        let exchange = exchange
        self.exchange = nil
        end()
        if let exchange {
            client.finish(
                exchange,
                .failure(WebhookFailure(failure.kind, .noAnswer(closedUnused: false), failure.text))
            )
        }
    }

    func collect(overdue now: NIODeadline, into list: inout [WebhookExchange]) -> NIODeadline {
        guard let exchange else { return .distantFuture }
        if exchange.deadline > now { return exchange.deadline }
        list.append(exchange)
        return .distantFuture
    }

    // MARK: Channel

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard let exchange else {
            // Nothing was asked for: whatever it is, it must not become the answer to the next request.
            end()
            return
        }
        switch unwrapInboundIn(data).withUnsafeReadableBytes({ reader.read($0) }) {
        case .incomplete: break
        case .complete(let response, let isReusable): answered(exchange, response, isReusable: isReusable)
        case .fault(let kind, let text): failed(exchange, kind, text)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        if let exchange {
            if case .complete(let response, _) = reader.end() {
                answered(exchange, response, isReusable: false)
            } else {
                failed(exchange, .reset, reason)
            }
        }
        end()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        reason = "the connection broke: \(SinkConnector.reason(error))"
        if let exchange { failed(exchange, .reset, reason) }
        end()
    }

    private func answered(_ exchange: WebhookExchange, _ response: WebhookResponse, isReusable: Bool) {
        self.exchange = nil
        served += 1
        if isReusable, !isOver { origin.release(self) } else { end() }
        client.finish(exchange, .success(response))
    }

    private func failed(_ exchange: WebhookExchange, _ kind: WebhookFailure.Kind, _ text: String) {
        self.exchange = nil
        let closedUnused = kind == .reset && served > 0 && !reader.hasStarted
        end()
        client.finish(exchange, .failure(WebhookFailure(kind, .noAnswer(closedUnused: closedUnused), text)))
    }

    /// Leaves the origin and closes.
    private func end() {
        guard !isOver else { return }
        isOver = true
        context?.close(promise: nil)
        origin.closed(self)
    }
}

/// Lays requests out for HTTP/1.1 in one buffer that is used again and again.
struct HTTP1RequestWriter {
    /// A larger body is written as it is, behind the head.
    private static let copiedMax = 32 << 10

    private var buffer = ByteBuffer()

    /// Writes and flushes a request whose fields have been checked.
    mutating func write(_ request: WebhookRequest, to context: ChannelHandlerContext) {
        let sink = request.sink
        let count = request.body.count
        let isCopied = count <= Self.copiedMax
        buffer.clear(minimumCapacity: sink.head.count + 1024 + (isCopied ? count : 0))
        buffer.writeBytes(sink.head)
        for field in request.fields {
            buffer.writeString(field.name)
            buffer.writeInteger(UInt16(0x3A20))
            buffer.writeString(field.value)
            buffer.writeInteger(UInt16(0x0D0A))
        }
        if count > 0 || sink.needsLength {
            buffer.writeStaticString("content-length: ")
            writeDecimal(count)
            buffer.writeInteger(UInt16(0x0D0A))
        }
        buffer.writeInteger(UInt16(0x0D0A))
        switch request.body {
        case .bytes(let bytes) where isCopied: buffer.writeBytes(bytes)
        case .buffer(let body) where isCopied: buffer.writeImmutableBuffer(body)
        case .bytes(let bytes):
            context.write(NIOAny(buffer), promise: nil)
            buffer = ByteBuffer(bytes: bytes)
        case .buffer(let body):
            context.write(NIOAny(buffer), promise: nil)
            buffer = body
        }
        context.writeAndFlush(NIOAny(buffer), promise: nil)
        if !isCopied { buffer = ByteBuffer() }
    }

    private mutating func writeDecimal(_ number: Int) {
        if number >= 10 { writeDecimal(number / 10) }
        buffer.writeInteger(UInt8(truncatingIfNeeded: 0x30 + number % 10))
    }
}

/// What the system knows of a connection.
private enum SocketState {
    /// The beginning of `struct tcp_info`.
    private struct Info: Sendable {
        var state: UInt8 = 1
        var rest: (UInt8, UInt8, UInt8) = (0, 0, 0)
    }

    /// Whether TCP is no longer established in both directions.
    static func isHalfClosed(_ channel: any Channel) -> Bool {
        guard let provider = channel as? any SocketOptionProvider else { return false }
        let level = NIOBSDSocket.OptionLevel(rawValue: SystemCalls.tcpLevel)
        let name = NIOBSDSocket.Option(rawValue: SystemCalls.tcpInfo)
        let info: EventLoopFuture<Info> = provider.unsafeGetSocketOption(level: level, name: name)
        var isHalfClosed = false
        info.assumeIsolated().whenSuccess { isHalfClosed = SystemCalls.isHalfClosed($0.state) }
        return isHalfClosed
    }
}
