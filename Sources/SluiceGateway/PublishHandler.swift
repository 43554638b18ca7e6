import EventBus
import Logging
import NIOCore
import NIOHTTP1

/// The publishing path of one connection: takes the publishing requests and lets all others fall through.
///
/// NIO's pipelining handler stands in front, so a request's head comes only after the answer to the one before: the
/// order of pipelined answers needs no care here. Confined to the connection's event loop.
final class PublishHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private enum State {
        /// Between requests.
        case idle
        /// A publishing request whose body is arriving.
        case collecting(PublishRequest)
        /// Submitted: the outcome is on its way.
        case waiting(PublishRequest, Intake.Single?)
        /// Answered before the request was complete; the rest of it is thrown away.
        case discarding
        /// Another route's request: its parts are passed on.
        case passing
        /// The last answer is written; whatever still comes is thrown away.
        case closing
    }

    private let loop: PublishLoop
    private let edge: ConnectionEdge
    private let settings: PublishSettings
    private let logger: Logger
    /// Installs the handlers of all other routes, when the first such request comes.
    private let handOff: (ChannelHandlerContext) throws -> Void
    private var isHandedOff = false
    private var state = State.idle
    private var body = ByteBuffer()
    private var keepAlive = true
    private var lastActivity = NIODeadline.now()
    private var context: ChannelHandlerContext?

    init(
        loop: PublishLoop,
        edge: ConnectionEdge,
        settings: PublishSettings,
        logger: Logger,
        handOff: @escaping (ChannelHandlerContext) throws -> Void
    ) {
        self.loop = loop
        self.edge = edge
        self.settings = settings
        self.logger = logger
        self.handOff = handOff
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        loop.add(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        loop.remove(self)
    }

    func channelInactive(context: ChannelHandlerContext) {
        // The events of a request whose client has gone are still on their way; nobody gets the answer.
        state = .closing
        self.context = nil
        loop.remove(self)
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): receive(head, context: context, data: data)
        case .body(let bytes): receive(bytes, context: context, data: data)
        case .end: receiveEnd(context: context, data: data)
        }
    }

    private func receive(_ head: HTTPRequestHead, context: ChannelHandlerContext, data: NIOAny) {
        lastActivity = .now()
        keepAlive = head.isKeepAlive
        if case .closing = state { return }
        guard let route = PublishRequest.route(head) else {
            pass(head, context: context, data: data)
            return
        }
        do {
            let request = try PublishRequest(route, head, settings)
            body.clear()
            state = .collecting(request)
            if request.expectsContinue { proceed(context) }
        } catch {
            refuse(error, head)
        }
    }

    /// Leaves a request to the other routes.
    private func pass(_ head: HTTPRequestHead, context: ChannelHandlerContext, data: NIOAny) {
        do throws(Problem) {
            let expectation = head.headers.first(name: "expect")
            try settings.check(head.uri)
            try settings.check(expectation: expectation)
            if expectation != nil && head.isHTTP11 { proceed(context) }
            if !isHandedOff {
                do {
                    try handOff(context)
                } catch {
                    throw Problem(kind: .internalError, detail: "the request cannot be served")
                }
                isHandedOff = true
            }
            state = .passing
            context.fireChannelRead(data)
        } catch {
            refuse(error, head)
        }
    }

    private func receive(_ bytes: ByteBuffer, context: ChannelHandlerContext, data: NIOAny) {
        switch state {
        case .collecting(let request):
            guard body.readableBytes + bytes.readableBytes <= settings.bodyBytesMax else {
                refuse(settings.bodyTooLarge, request.head)
                return
            }
            if body.readableBytes == 0 {
                body = bytes
            } else {
                body.writeImmutableBuffer(bytes)
            }
        case .passing: context.fireChannelRead(data)
        case .idle, .waiting, .discarding, .closing: break
        }
    }

    private func receiveEnd(context: ChannelHandlerContext, data: NIOAny) {
        switch state {
        case .collecting(let request): publish(request)
        case .passing:
            state = .idle
            context.fireChannelRead(data)
        case .discarding: state = .idle
        case .idle, .waiting, .closing: break
        }
    }

    private func publish(_ request: PublishRequest) {
        let bytes = Array(body.readableBytesView)
        body = ByteBuffer()
        do throws(Problem) {
            if let refusal = loop.bus.refusal { throw Problem(refusal) }
            switch try loop.intake.read(request, body: bytes[...]) {
            case .single(let single):
                state = .waiting(request, single)
                loop.submit(single.message, for: self)
            case .batch(let plan):
                let job = BatchJob(plan, request: request)
                if let refusal = job.refusal() { throw refusal }
                state = .waiting(request, nil)
                if job.waiting == 0 { published(job) } else { loop.submit(job, for: self) }
            }
        } catch {
            state = .idle
            finish(error, requestID: request.requestID, head: request.head)
        }
    }

    /// The outcome of a single event.
    func published(_ result: Result<Receipt, PublishError>) {
        guard case .waiting(let request, .some(let single)) = state else { return }
        state = .idle
        switch result {
        case .success(let receipt):
            PublishLog.accepted(single, receipt, request, logger)
            guard !request.wantsMinimal else { return write(PublishAnswer.minimal(.accepted), request.requestID) }
            write(
                PublishAnswer.stored(
                    id: single.id,
                    source: single.source,
                    stream: receipt.stream,
                    sequence: receipt.sequence,
                    duplicate: receipt.isDuplicate,
                    shortForm: request.route == .shortForm
                ),
                request.requestID
            )
        case .failure(let error):
            finish(Problem(error), requestID: request.requestID, head: request.head, event: single)
        }
    }

    /// The last outcome of a batch.
    func published(_ job: BatchJob) {
        guard case .waiting(let request, nil) = state else { return }
        state = .idle
        let answer = job.answer()
        PublishLog.batch(job, answer.status, request, logger)
        write(answer, request.requestID)
    }

    /// Closes the connection if it is idle, or its request did not arrive, for too long.
    func sweep(now: NIODeadline) {
        guard let context, !isHandedOff else { return }
        let quiet = now - lastActivity
        switch state {
        case .idle where quiet > settings.idleTimeout: context.close(promise: nil)
        case .collecting(let request) where quiet > settings.requestTimeout:
            refuse(
                Problem(
                    kind: .requestTimeout,
                    detail: "the body did not arrive within \(settings.requestTimeout.nanoseconds / 1_000_000_000) s"
                ),
                request.head
            )
        case .closing where quiet > settings.lingerTimeout: context.close(promise: nil)
        default: break
        }
    }
}

extension PublishHandler {
    /// Answers a request whose body has not come in full: the connection ends, since the rest of it cannot be told
    /// from the next request cheaply and may never end.
    private func refuse(_ problem: Problem, _ head: HTTPRequestHead) {
        var problem = problem
        if head.announcesBody {
            problem.closes = true
            body = ByteBuffer()
        }
        state = .discarding
        finish(problem, requestID: KnownFields.requestID(head), head: head)
    }

    /// Logs a problem and writes it.
    private func finish(_ problem: Problem, requestID: String?, head: HTTPRequestHead, event: Intake.Single? = nil) {
        let id = requestID ?? RequestID.make()
        PublishLog.refused(problem, requestID: id, event: event, head: head, logger)
        write(problem.answer(requestID: id), id)
    }

    private func proceed(_ context: ChannelHandlerContext) {
        context.writeAndFlush(
            wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .continue))),
            promise: nil
        )
    }

    /// Writes a complete answer and, if it is the connection's last, ends the connection.
    private func write(_ answer: HTTPAnswer, _ requestID: String?) {
        guard let context else { return }
        lastActivity = .now()
        let closes = answer.closes || !keepAlive || edge.isQuiescing
        edge.write(
            loop.writer.render(answer, requestID: requestID, closes: closes, allocator: context.channel.allocator)
        )
        // Tells the pipelining handler that the answer is complete; the encoder adds nothing to it.
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        if closes {
            state = .closing
            // Half-close and go on reading for a while: closing with unread bytes would reset the connection and take the
            // answer with it (RFC 9112 §9.6).
            context.close(mode: .output, promise: nil)
        }
    }

    /// A request that is no HTTP: the answer says so and the connection ends.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let parserError = error as? HTTPParserError else {
            context.fireErrorCaught(error)
            return
        }
        switch state {
        case .passing: context.fireErrorCaught(error)
        case .closing, .waiting: context.close(promise: nil)
        case .idle, .collecting, .discarding:
            keepAlive = false
            let tooLarge = parserError == .headerOverflow
            let problem = Problem(
                kind: tooLarge ? .headerTooLarge : .malformedRequest,
                detail: tooLarge
                    ? "the header fields may have \(PublishSettings.headerBytesMax) bytes in all and \(PublishSettings.headerFieldsMax) fields"
                    : "not HTTP/1.1: \(parserError)",
                limit: tooLarge ? PublishSettings.headerBytesMax : nil,
                closes: true
            )
            logger.info(
                "request refused",
                metadata: ["problem": "\(problem.kind.rawValue)", "detail": "\(problem.detail)"]
            )
            write(problem.answer(requestID: RequestID.make()), nil)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // The client will send no more, but may well wait for the answer.
        if case .inputClosed? = event as? ChannelEvent {
            switch state {
            case .passing: break
            case .waiting: keepAlive = false
            case .idle where isHandedOff: break
            default: return context.close(promise: nil)
            }
        }
        context.fireUserInboundEventTriggered(event)
    }
}
