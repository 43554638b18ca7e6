import EventBus
import JetStream
import Logging
import NIOCore
import NIOHTTP1

/// The publishing path of one connection: takes the publishing requests and lets all others fall through.
///
/// NIO's pipelining handler stands in front, so a request's head comes only after the answer to the one before: the
/// order of pipelined answers needs no care here. Confined to the connection's event loop.
final class PublishHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    enum State {
        /// Between requests.
        case idle
        /// A publishing request whose body is arriving.
        case collecting(PublishRequest)
        /// Submitted: the outcome is on its way.
        case waiting(PublishRequest, Intake.Single?)
        /// Answered before the request was complete; the rest of it is thrown away.
        case discarding
        /// Another route's request: its parts are passed on, and so is its answer.
        case passing(requestIsComplete: Bool, answerIsComplete: Bool)
        /// The last answer is written; whatever still comes is thrown away.
        case closing
    }

    let loop: PublishLoop
    let edge: ConnectionEdge
    let settings: PublishSettings
    let logger: Logger
    /// Installs the handlers of all other routes, when the first such request comes.
    private let handOff: (ChannelHandlerContext) throws -> Void
    private var isHandedOff = false
    var state = State.idle
    private var body = ByteBuffer()
    var keepAlive = true
    /// The other route's answer has begun.
    var passedAnswerHasBegun = false
    /// Where the bodies of the request began, by the bytes of the connection, and how many bytes of body have come since.
    private var framingStart = 0
    var bodyBytes = 0
    /// When the head that is arriving was first seen, if it is arriving piece by piece.
    var headStartedAt: NIODeadline?
    /// Something was decoded since the last read.
    private var hasDecoded = false
    var lastActivity = NIODeadline.now()
    /// When the head of the request under way was read, and which route it took.
    private(set) var startedAt = NIODeadline.now()
    var route = RouteLabel.other
    /// When its events were handed to JetStream.
    private(set) var submittedAt = NIODeadline.now()
    /// The spans of the publishing request under way.
    private(set) var trace: RequestTrace?
    /// The status of another route's answer that passes by.
    private var passingStatus: UInt = 0
    var context: ChannelHandlerContext?
    /// The size of the answer that was written last, in bytes.
    var lastAnswerBytes = 0
    /// An answer is being written, and the pipelining handler may deliver the next request from within.
    var isAnswering = false
    /// The answer to a request that was delivered and refused from within another's answer.
    var deferredAnswer: (answer: HTTPAnswer, requestID: String?)?

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

    func handlerRemoved(context: ChannelHandlerContext) { end() }

    func channelInactive(context: ChannelHandlerContext) {
        // The events of a request whose client has gone are still on their way; nobody gets the answer.
        end()
        context.fireChannelInactive()
    }

    private func end() {
        state = .closing
        trace?.abandoned()
        trace = nil
        context = nil
        dropBody()
        loop.remove(self)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        hasDecoded = true
        switch unwrapInboundIn(data) {
        case .head(let head): receive(head, context: context)
        case .body(let bytes): receive(bytes, context: context, data: data)
        case .end: receiveEnd(context: context, data: data)
        }
    }

    private func receive(_ received: HTTPRequestHead, context: ChannelHandlerContext) {
        if case .closing = state { return }
        var head = received
        lastActivity = .now()
        startedAt = lastActivity
        route = .other
        edge.hasRead = false
        headStartedAt = nil
        keepAlive = head.isKeepAlive && !RequestRules.endsHTTP(head)
        framingStart = edge.received
        bodyBytes = 0
        do throws(Problem) {
            try RequestRules.normalise(&head)
            guard let route = PublishRequest.route(head) else {
                self.route = RouteLabel(target: head.uri)
                return try pass(head, context: context)
            }
            self.route = RouteLabel(route)
            trace = loop.tracer.map { RequestTrace($0, head, self.route) }
            let limit = loop.intake.eventBytesMax
            let request = try PublishRequest(route, head, settings, eventBytesMax: limit)
            if loop.bodyBytes > PublishSettings.bodyBytesInAllMax { throw Self.overloaded }
            // A batch is answered entry by entry, so that it has to be read.
            guard request.isBatch || loop.admits(head: head, expectsContinue: request.expectsContinue) else {
                throw PublishLoop.overload
            }
            state = .collecting(request)
            if request.expectsContinue { proceed(context) }
        } catch {
            refuse(error, head)
        }
    }

    /// Leaves a request to the other routes.
    private func pass(_ head: HTTPRequestHead, context: ChannelHandlerContext) throws(Problem) {
        let codings = head.headers["transfer-encoding"]
        let hosts = head.headers["host"]
        try RequestRules.check(
            head,
            hosts: hosts.count,
            host: hosts.first,
            transferCoding: codings.isEmpty ? nil : codings.joined(separator: ", ")
        )
        if head.uri.utf8.contains(UInt8(ascii: "#")) {
            throw RequestRules.malformed("the request target has a fragment")
        }
        let expectations = head.headers["expect"]
        let expectation = expectations.isEmpty ? nil : expectations.joined(separator: ", ")
        try settings.check(head.uri)
        try settings.check(expectation: expectation)
        try settings.check(length: head.headers.first(name: "content-length"), settings.bodyLimit)
        if expectation != nil && head.isHTTP11 { proceed(context) }
        if !isHandedOff {
            do {
                try handOff(context)
            } catch {
                throw Problem(kind: .internalError, detail: "the request cannot be served")
            }
            isHandedOff = true
        }
        state = .passing(requestIsComplete: false, answerIsComplete: false)
        passedAnswerHasBegun = false
        var head = head
        // Hummingbird goes by this field alone.
        if !keepAlive { head.headers.replaceOrAdd(name: "connection", value: "close") }
        context.fireChannelRead(wrapInboundOut(.head(head)))
    }

    private func receive(_ bytes: ByteBuffer, context: ChannelHandlerContext, data: NIOAny) {
        bodyBytes += bytes.readableBytes
        switch state {
        case .collecting(let request):
            guard body.readableBytes + bytes.readableBytes <= request.bodyLimit.bytes else {
                return refuse(request.bodyLimit.problem, request.head)
            }
            guard loop.bodyBytes <= PublishSettings.bodyBytesInAllMax else {
                return refuse(Self.overloaded, request.head)
            }
            loop.bodyBytes += bytes.readableBytes
            if body.readableBytes == 0 {
                body = bytes
            } else {
                body.writeImmutableBuffer(bytes)
            }
        case .passing:
            if bodyBytes > settings.bodyBytesMax { return refusePassed(settings.bodyLimit.problem) }
            context.fireChannelRead(data)
        case .idle, .waiting, .discarding, .closing: break
        }
    }

    private func receiveEnd(context: ChannelHandlerContext, data: NIOAny) {
        switch state {
        case .collecting(let request):
            if let problem = framingProblem { return refuse(problem, request.head) }
            publish(request)
        case .passing(_, let answerIsComplete):
            if let problem = framingProblem, !passedAnswerHasBegun { return refusePassed(problem) }
            passed(requestIsComplete: true, answerIsComplete: answerIsComplete)
            context.fireChannelRead(data)
        case .discarding: state = .idle
        case .idle, .waiting, .closing: break
        }
    }

    /// The answer of another route passes by.
    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard case .passing(let requestIsComplete, _) = state else {
            // The connection has been given its last answer.
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        switch unwrapOutboundIn(data) {
        case .head(var head) where head.status.code >= 200:
            passedAnswerHasBegun = true
            passingStatus = head.status.code
            // What is still to come of the request may be wrong, or never come: the next one is not waited for.
            if !requestIsComplete || isLeaving { keepAlive = false }
            if !keepAlive { head.headers.replaceOrAdd(name: "connection", value: "close") }
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .end:
            lastActivity = .now()
            loop.account.answered(route, passingStatus, startedAt: startedAt, now: lastActivity)
            passed(requestIsComplete: requestIsComplete, answerIsComplete: true)
            context.write(data, promise: promise)
            if case .closing = state { edge.closeAfterWrites(.output) }
        case .head, .body: context.write(data, promise: promise)
        }
    }

    private func passed(requestIsComplete: Bool, answerIsComplete: Bool) {
        if answerIsComplete && (requestIsComplete || !keepAlive) {
            state = keepAlive && !edge.isQuiescing ? .idle : .closing
            edge.hasRead = false
        } else {
            state = .passing(requestIsComplete: requestIsComplete, answerIsComplete: answerIsComplete)
        }
    }

    private func publish(_ request: PublishRequest) {
        let isAdmitted = loop.admits()
        guard isAdmitted || request.isBatch else { return refuseForOverload(request) }
        let bytes = Array(body.readableBytesView)
        dropBody()
        do throws(Problem) {
            if let refusal = loop.bus.refusal { throw Problem(refusal) }
            trace?.validate()
            let plan = try loop.intake.read(request, body: bytes[...], trace: trace?.context ?? request.trace)
            trace?.publish(plan, stream: loop.bus.streamName.description)
            switch plan {
            case .single(let single):
                state = .waiting(request, single)
                submittedAt = .now()
                loop.submit(single, for: self)
            case .batch(let plan):
                let job = BatchJob(plan, request: request)
                loop.account.batch(plan.count)
                if let refusal = job.refusal() {
                    state = .idle
                    return finish(refusal, requestID: request.requestID, head: request.head, events: plan.count)
                }
                if !isAdmitted { job.failAll(PublishLoop.overload) }
                state = .waiting(request, nil)
                submittedAt = .now()
                if job.waiting == 0 { _ = published(job) } else { loop.submit(job, for: self) }
            }
        } catch {
            state = .idle
            finish(error, requestID: request.requestID, head: request.head)
        }
    }

    /// Ends the request's spans.
    func endTrace(_ status: HTTPResponseStatus) {
        trace?.answered(status)
        trace = nil
    }

    /// After every read: looks for a body that is all framing, and for a head that comes in pieces.
    func channelReadComplete(context: ChannelHandlerContext) {
        switch state {
        case .collecting(let request):
            if let problem = framingProblem { refuse(problem, request.head) }
        case .passing(requestIsComplete: false, _):
            if let problem = framingProblem { refusePassed(problem) }
        case .idle where !hasDecoded && headStartedAt == nil: headStartedAt = .now()
        default: break
        }
        hasDecoded = false
        context.fireChannelReadComplete()
    }

    /// What is wrong with a body whose chunk sizes, extensions and trailers are out of all proportion to the chunks.
    private var framingProblem: Problem? {
        let framing = edge.received - framingStart - bodyBytes
        guard framing > PublishSettings.framingBytesMax + 8 * bodyBytes else { return nil }
        return RequestRules.malformed("the chunked body has \(framing) bytes that are not in its chunks")
    }

    func dropBody() {
        loop.bodyBytes -= body.readableBytes
        body = ByteBuffer()
    }

    /// How long the body that is arriving may take in all.
    var bodyAllowance: TimeAmount {
        settings.requestTimeout + .seconds(Int64(bodyBytes / PublishSettings.bodyBytesPerSecondMin))
    }

    private static let overloaded = Problem(
        kind: .overloaded,
        detail: "too many request bodies are arriving at once",
        closes: true
    )
}
