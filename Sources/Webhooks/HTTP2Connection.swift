import NIOCore
import NIOHPACK
import NIOHTTP2

/// A connection over HTTP/2 (RFC 9113): many requests at a time, each a stream.
///
/// Works on frames, without a channel for each stream: a stream's window is never widened, since no more of a body is read
/// than the first window holds. Used on the client's event loop only.
final class HTTP2Connection: ChannelInboundHandler, SinkConnection {
    typealias InboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    /// The window every stream begins with (RFC 9113 §6.9.2).
    private static let window = 65_535
    private static let interimMax = 16

    /// A request on its way.
    private struct Stream {
        let exchange: WebhookExchange
        let started = NIODeadline.now()
        var response: WebhookResponse?
        var interims = 0
        /// What the sink has used of the window.
        var used = 0
    }

    private let origin: SinkOrigin
    private let client: WebhookClient
    private var context: ChannelHandlerContext?
    private var streams: [HTTP2StreamID: Stream] = [:]
    private var nextID = HTTP2StreamID(1)
    /// One until the sink has told its limit, which is the first it says.
    private var streamsMax = 1
    private(set) var isSettled = false
    private var hasServed = false
    private var isDraining = false
    private(set) var isOver = false
    private var isReading = false
    private var needsFlush = false
    private var hasFlushTask = false
    /// Bytes taken from the connection's window and not given back.
    private var unacknowledged = 0
    private var lastRead = NIODeadline.now()
    private var reason = "the sink closed the connection before the answer was complete"

    /// Since when nothing is on its way.
    private(set) var idleSince = NIODeadline.now()

    init(_ origin: SinkOrigin, client: WebhookClient) {
        self.origin = origin
        self.client = client
    }

    /// The handler that makes frames of bytes.
    static func makeFraming() -> NIOHTTP2Handler {
        NIOHTTP2Handler(
            mode: .client,
            initialSettings: [
                HTTP2Setting(parameter: .enablePush, value: 0),
                HTTP2Setting(parameter: .maxHeaderListSize, value: HTTP1ResponseReader.headBytesMax),
            ]
        )
    }

    var isIdle: Bool { streams.isEmpty }
    var streamCount: Int { streams.count }
    var hasRoom: Bool { !isDraining && !isOver && streams.count < streamsMax && context?.channel.isActive == true }

    func start(_ exchange: WebhookExchange) {
        guard let context else { return }
        exchange.connection = self
        let id = nextID
        nextID = nextID.advanced(by: 2)
        // Stream numbers end; long before that the next connection takes over.
        if Int(id) > 1 << 30 { isDraining = true }
        streams[id] = Stream(exchange: exchange)
        let request = exchange.request
        let isEmpty = request.body.count == 0
        let headers = HTTP2Fields.headers(of: request)
        let head = HTTP2Frame(streamID: id, payload: .headers(.init(headers: headers, endStream: isEmpty)))
        context.write(wrapOutboundOut(head), promise: nil)
        if !isEmpty {
            let body: ByteBuffer
            switch request.body {
            case .bytes(let bytes): body = ByteBuffer(bytes: bytes)
            case .buffer(let buffer): body = buffer
            }
            let data = HTTP2Frame(streamID: id, payload: .data(.init(data: .byteBuffer(body), endStream: true)))
            context.write(wrapOutboundOut(data), promise: nil)
        }
        flushSoon()
    }

    func abandon(_ exchange: WebhookExchange) {
        guard let id = streams.first(where: { $0.value.exchange === exchange })?.key else { return }
        streams[id] = nil
        reset(id)
    }

    func close(_ failure: WebhookFailure) {
        reason = failure.text
        end(kind: failure.kind)
    }

    func collect(overdue now: NIODeadline, into list: inout [WebhookExchange]) -> NIODeadline {
        var earliest = NIODeadline.distantFuture
        for stream in streams.values {
            if stream.exchange.deadline <= now {
                list.append(stream.exchange)
            } else {
                earliest = min(earliest, stream.exchange.deadline)
            }
        }
        return earliest
    }

    // MARK: Channel

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        isReading = true
        lastRead = .now()
        let frame = unwrapInboundIn(data)
        switch frame.payload {
        case .headers(let headers): received(headers, on: frame.streamID)
        case .data(let data): received(data, on: frame.streamID)
        case .rstStream(let code):
            let progress: WebhookFailure.Progress = code == .refusedStream ? .notSent : .noAnswer(closedUnused: false)
            fail(frame.streamID, .reset, progress, "the sink reset the stream: \(FailureText.clean("\(code)"))")
        case .goAway(let last, _, _): leave(after: last)
        case .settings(.settings(let settings)):
            let limit = settings.last { $0.parameter == .maxConcurrentStreams }?.value
            if limit != nil || !isSettled {
                streamsMax = min(client.configuration.streamsPerConnectionMax, limit ?? .max)
            }
            isSettled = true
            if !isOver { origin.serve() }
        default: break
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        if needsFlush { flush() }
        closeIfDrained()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let closed = event as? StreamClosedEvent, streams[closed.streamID] != nil {
            fail(closed.streamID, .reset, .noAnswer(closedUnused: false), "the stream was closed before its answer")
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        end(kind: .reset)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let error = error as? NIOHTTP2Errors.StreamError {
            let text = "the sink broke HTTP/2: \(FailureText.clean("\(error.baseError)"))"
            fail(error.streamID, .badResponse, .noAnswer(closedUnused: false), text)
            reset(error.streamID)
            return
        }
        switch error {
        case is NIOHTTP2Errors.StreamClosed, is NIOHTTP2Errors.NoSuchStream: return
        case is IOError, is ChannelError:
            reason = "the connection broke: \(SinkConnector.reason(error))"
            end(kind: .reset)
        default:
            reason = "the sink broke HTTP/2: \(FailureText.clean("\(error)"))"
            end(kind: .badResponse)
        }
    }

    // MARK: Answers

    private func received(_ headers: HTTP2Frame.FramePayload.Headers, on id: HTTP2StreamID) {
        guard var stream = streams[id] else { return }
        if stream.response == nil {
            guard let status = headers.headers.first(name: ":status").flatMap({ Int($0) }), status >= 100 else {
                fail(id, .badResponse, .noAnswer(closedUnused: false), "the sink sent no status")
                return reset(id)
            }
            if status < 200 {
                stream.interims += 1
                guard stream.interims <= Self.interimMax else {
                    let text = "the sink sent more than \(Self.interimMax) interim answers"
                    fail(id, .responseTooLarge, .noAnswer(closedUnused: false), text)
                    return reset(id)
                }
            } else {
                stream.response = HTTP2Fields.response(
                    status,
                    headers.headers,
                    wanted: stream.exchange.request.wantedFields
                )
            }
            streams[id] = stream
        }
        if headers.endStream { complete(id) }
    }

    private func received(_ data: HTTP2Frame.FramePayload.Data, on id: HTTP2StreamID) {
        let size = data.data.readableBytes + (data.paddingBytes.map { $0 + 1 } ?? 0)
        giveBack(size)
        guard var stream = streams[id] else { return }
        stream.used += size
        if var response = stream.response, response.status >= 300, case .byteBuffer(let bytes) = data.data {
            let room = HTTP1ResponseReader.bodyBytesKept - response.bodyPrefix.count
            response.bodyPrefix.append(contentsOf: bytes.readableBytesView.prefix(room))
            stream.response = response
        }
        streams[id] = stream
        if data.endStream {
            complete(id)
        } else if stream.used >= Self.window {
            streams[id]?.response?.isTruncated = true
            complete(id)
            reset(id)
        }
    }

    private func complete(_ id: HTTP2StreamID) {
        guard let stream = remove(id) else { return }
        guard let response = stream.response else {
            let failure = WebhookFailure(.badResponse, .noAnswer(closedUnused: false), "the sink sent no status")
            return client.finish(stream.exchange, .failure(failure))
        }
        hasServed = true
        client.finish(stream.exchange, .success(response))
        if !isOver { origin.serve() }
    }

    private func fail(
        _ id: HTTP2StreamID,
        _ kind: WebhookFailure.Kind,
        _ progress: WebhookFailure.Progress,
        _ text: String
    ) {
        guard let stream = remove(id) else { return }
        client.finish(stream.exchange, .failure(WebhookFailure(kind, progress, text)))
        if !isOver { origin.serve() }
    }

    private func remove(_ id: HTTP2StreamID) -> Stream? {
        guard let stream = streams.removeValue(forKey: id) else { return nil }
        stream.exchange.connection = nil
        if streams.isEmpty { idleSince = .now() }
        return stream
    }

    // MARK: Ending

    /// Ends a stream from our side; what the sink still sends for it is never counted, so that the connection is used up.
    private func reset(_ id: HTTP2StreamID) {
        guard !isOver, let context else { return }
        isDraining = true
        let frame = HTTP2Frame(streamID: id, payload: .rstStream(.cancel))
        context.write(wrapOutboundOut(frame), promise: nil)
        context.flush()
        closeIfDrained()
    }

    /// The sink takes no streams after `last`, which it has certainly not processed.
    private func leave(after last: HTTP2StreamID) {
        isDraining = true
        for id in streams.keys.filter({ $0 > last }).sorted() {
            fail(id, .reset, .notSent, "the sink closes the connection and has not taken the request")
        }
    }

    private func closeIfDrained() {
        if isDraining, streams.isEmpty, !isReading { end(kind: .reset) }
    }

    private func end(kind: WebhookFailure.Kind) {
        guard !isOver else { return }
        isOver = true
        let streams = streams
        self.streams = [:]
        context?.close(promise: nil)
        for stream in streams.values {
            stream.exchange.connection = nil
            let closedUnused = kind == .reset && hasServed && stream.response == nil && lastRead < stream.started
            let failure = WebhookFailure(kind, .noAnswer(closedUnused: closedUnused), reason)
            client.finish(stream.exchange, .failure(failure))
        }
        origin.closed(self)
    }

    // MARK: Writing

    private func giveBack(_ count: Int) {
        unacknowledged += count
        guard unacknowledged >= Self.window / 4, let context, !isOver else { return }
        let frame = HTTP2Frame(streamID: .rootStream, payload: .windowUpdate(windowSizeIncrement: unacknowledged))
        unacknowledged = 0
        context.write(wrapOutboundOut(frame), promise: nil)
        flushSoon()
    }

    /// Flushes once for all that is written in this turn of the loop.
    private func flushSoon() {
        needsFlush = true
        guard !isReading, !hasFlushTask else { return }
        hasFlushTask = true
        client.eventLoop.assumeIsolated().execute {
            self.hasFlushTask = false
            if self.needsFlush { self.flush() }
        }
    }

    private func flush() {
        needsFlush = false
        context?.flush()
    }
}
