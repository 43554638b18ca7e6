import EventBus
import Logging
import NIOCore
import NIOHTTP1

/// What a connection answers, and when it ends.
extension PublishHandler {
    /// The outcome of a single event; `false` when nobody waits for it any more.
    func published(_ result: Result<Receipt, PublishError>) -> Bool {
        guard case .waiting(let request, .some(let single)) = state else { return false }
        defer { answered(result, single, request) }
        return true
    }

    private func answered(_ result: Result<Receipt, PublishError>, _ single: Intake.Single, _ request: PublishRequest) {
        state = .idle
        loop.account.acknowledged(.now() - submittedAt)
        switch result {
        case .success(let receipt):
            loop.account.stored(single, receipt)
            trace?.stored(receipt)
            PublishLog.accepted(single, receipt, request, trace, logger)
            if request.route == .eventGrid { return write(EventGridError.stored, request.requestID) }
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

    /// The last outcome of a batch; `false` when nobody waits for it any more.
    func published(_ job: BatchJob) -> Bool {
        guard case .waiting(let request, nil) = state else { return false }
        state = .idle
        loop.account.acknowledged(.now() - submittedAt)
        loop.account.count(job)
        let answer = job.answer()
        PublishLog.batch(job, answer.status, request, trace, logger)
        write(answer, request.requestID)
        return true
    }

    /// Answers a request whose body has not come in full: the connection ends, since the rest of it cannot be told
    /// from the next request cheaply and may never end.
    func refuse(_ problem: Problem, _ head: HTTPRequestHead) {
        var problem = problem
        if head.announcesBody { problem.closes = true }
        dropBody()
        state = .discarding
        finish(problem, requestID: KnownFields.requestID(head), head: head)
    }

    /// Refuses a complete request whose body was not looked at: under overload, nothing is cheaper.
    func refuseForOverload(_ request: PublishRequest) {
        dropBody()
        state = .idle
        if request.route == .eventGrid {
            return finish(PublishLoop.overload, requestID: request.requestID, head: request.head)
        }
        loop.account.refused(.overloaded, request.tenant)
        trace?.failed(PublishLoop.overload)
        let rendered = request.requestID == nil ? context.map { loop.overloadRefusal($0.channel.allocator) } : nil
        write(PublishLoop.overloadAnswer, request.requestID, rendered: rendered)
    }

    /// Answers a request of another route whose body is not what it should be, in that route's place.
    func refusePassed(_ problem: Problem) {
        keepAlive = false
        // The answer that has begun goes on, and is the last.
        if !passedAnswerHasBegun { refuseUnread(problem) }
    }

    /// Logs a problem, counts it for `events` events and writes it.
    func finish(
        _ problem: Problem,
        requestID: String?,
        head: HTTPRequestHead,
        event: Intake.Single? = nil,
        events: Int = 1
    ) {
        if route == .events || route == .publish {
            loop.account.refused(problem.kind, event?.tenant ?? KnownFields.tenant(head), count: events)
        }
        trace?.failed(problem)
        let id = requestID ?? RequestID.make()
        PublishLog.refused(problem, requestID: id, event: event, head: head, trace, logger)
        let isEventGrid = PublishRequest.route(head) == .eventGrid
        write(isEventGrid ? EventGridError.answer(problem, requestID: id) : problem.answer(requestID: id), id)
    }

    func proceed(_ context: ChannelHandlerContext) {
        context.writeAndFlush(
            wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .continue))),
            promise: nil
        )
    }

    /// Writes a complete answer and, if it is the connection's last, ends the connection.
    ///
    /// The end of an answer makes the pipelining handler deliver the next request, which may be refused at once: its
    /// answer then waits until this one's calls have returned. Otherwise a client could pile up calls until the stack ends.
    ///
    /// - Parameter rendered: The answer's bytes for a connection that goes on, if they are there already.
    private func write(_ answer: HTTPAnswer, _ requestID: String?, rendered: ByteBuffer? = nil) {
        guard let context else { return }
        guard !isAnswering else {
            deferredAnswer = (answer, requestID)
            context.eventLoop.assumeIsolated().execute { self.writeDeferred() }
            return
        }
        isAnswering = true
        lastActivity = .now()
        lastAnswerBytes = answer.body.count
        loop.account.answered(route, answer.status.code, startedAt: startedAt, now: lastActivity)
        endTrace(answer.status)
        edge.hasRead = false
        let closes = answer.closes || !keepAlive || isLeaving
        // Before the write: from within it the next request may come.
        if closes { state = .closing }
        if let rendered, !closes {
            edge.write(rendered)
        } else {
            let allocator = context.channel.allocator
            edge.write(loop.writer.render(answer, requestID: requestID, closes: closes, allocator: allocator))
        }
        // Tells the pipelining handler that the answer is complete; the encoder adds nothing to it.
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        isAnswering = false
        // Half-close and go on reading for a while: closing with unread bytes would reset the connection and take the
        // answer with it (RFC 9112 §9.6).
        if closes { edge.closeAfterWrites(.output) }
    }

    private func writeDeferred() {
        guard let deferred = deferredAnswer else { return }
        deferredAnswer = nil
        write(deferred.answer, deferred.requestID)
    }

    /// A request that is no HTTP: the answer says so and the connection ends.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let parserError = error as? HTTPParserError else {
            context.fireErrorCaught(error)
            return
        }
        switch state {
        case .passing: refusePassed(Self.problem(of: parserError))
        // What comes behind the last answer is thrown away; closing now could take the answer with it.
        case .closing: break
        case .waiting: context.close(promise: nil)
        case .idle, .collecting, .discarding:
            refuseUnread(Self.problem(of: parserError))
        }
    }

    /// Answers what is not, or not yet, a request; the connection ends.
    private func refuseUnread(_ problem: Problem) {
        keepAlive = false
        switch state {
        case .collecting(let request): loop.account.refused(problem.kind, request.tenant)
        case .idle, .discarding: route = .other
        case .waiting, .passing, .closing: break
        }
        let id = RequestID.make()
        PublishLog.refused(problem, requestID: id, logger)
        write(problem.answer(requestID: id), id)
    }

    private static func problem(of error: HTTPParserError) -> Problem {
        guard error == .headerOverflow else {
            return Problem(kind: .malformedRequest, detail: "not HTTP/1.1: \(error)", closes: true)
        }
        return Problem(
            kind: .headerTooLarge,
            detail: "the header fields may have \(PublishSettings.headerBytesMax) bytes in all and "
                + "\(PublishSettings.headerFieldsMax) fields",
            limit: PublishSettings.headerBytesMax,
            closes: true
        )
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // The client will send no more, but may well wait for the answer.
        if case .inputClosed? = event as? ChannelEvent {
            switch state {
            case .passing: break
            case .waiting: keepAlive = false
            case .closing: return edge.closeAfterWrites(.all)
            case .collecting: return close()
            case .idle where deferredAnswer != nil: keepAlive = false
            case .idle, .discarding:
                state = .closing
                return edge.closeAfterWrites(.all)
            }
        }
        if event is ChannelShouldQuiesceEvent {
            // The handlers behind would close at once, and with it drop what has come but was not read.
            context.eventLoop.assumeIsolated().scheduleTask(in: Self.quiescePause) { self.closeIfUntouched() }
            return
        }
        context.fireUserInboundEventTriggered(event)
    }

    /// Whether every answer is the connection's last.
    var isLeaving: Bool { edge.isQuiescing || loop.isLeaving }

    /// Long enough for the loop to look at the socket once more.
    private static let quiescePause = TimeAmount.milliseconds(5)

    /// How long a connection is left open after it was made, or after its last answer: a request may be on its way.
    private static let requestPause = TimeAmount.milliseconds(500)

    /// Closes a connection on which nothing of a request has come since the last answer.
    private func closeIfUntouched() {
        guard case .idle = state, !edge.hasRead, deferredAnswer == nil, let context else { return }
        let quiet = NIODeadline.now() - lastActivity
        guard quiet >= Self.requestPause else {
            context.eventLoop.assumeIsolated().scheduleTask(in: Self.requestPause - quiet) { self.closeIfUntouched() }
            return
        }
        if !SocketRest.hasUnread(context.channel) { close() }
    }

    /// Closes the connection if nothing was heard, or nothing taken, for too long.
    func sweep(now: NIODeadline) {
        let quiet = now - lastActivity
        if !edge.isWritable && quiet > settings.writeAllowance(lastAnswerBytes) { return close() }
        switch state {
        case .idle where edge.isQuiescing && !edge.hasRead: closeIfUntouched()
        case .idle where quiet > settings.idleTimeout: close()
        case .idle:
            guard let headStartedAt, now - max(headStartedAt, lastActivity) > settings.headerTimeout else { break }
            let seconds = settings.headerTimeout.nanoseconds / 1_000_000_000
            refuseUnread(Problem(kind: .requestTimeout, detail: "the header did not arrive within \(seconds) s"))
        case .collecting(let request) where quiet > bodyAllowance:
            let seconds = bodyAllowance.nanoseconds / 1_000_000_000
            refuse(Problem(kind: .requestTimeout, detail: "the body did not arrive within \(seconds) s"), request.head)
        case .passing(false, _) where quiet > bodyAllowance:
            if passedAnswerHasBegun { return close() }
            refusePassed(Problem(kind: .requestTimeout, detail: "the body did not arrive in time"))
        case .discarding where quiet > settings.requestTimeout: close()
        case .closing:
            if let flushedAt = edge.flushedAt {
                if now - flushedAt > settings.lingerTimeout { close() }
            } else if quiet > settings.writeAllowance(lastAnswerBytes) {
                close()
            }
        default: break
        }
    }

    /// Closes at once.
    func close() { context?.close(promise: nil) }
}
