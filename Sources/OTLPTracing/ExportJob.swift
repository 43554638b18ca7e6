import Logging
import NIOCore

/// The work of a ``SpanExporter``: one batch at a time, repeated as the collector asks (OTLP specification, "OTLP/HTTP
/// Response").
///
/// Safe: everything runs on the event loop; the counts have a lock for those who read them.
final class ExportJob: @unchecked Sendable {
    private let eventLoop: any EventLoop
    private let configuration: OTLPConfiguration
    private let queue: SpanQueue
    private let counts: Locked<OTLPStatus>
    private let connection: CollectorConnection
    private let request: ExportRequest
    private var backoff: Backoff
    private var log: ExportLog

    /// Spans that were taken out of the queue and have not come to an end; the first `inRequest` are in `body`.
    private var batch: [Locked<SpanRecord>] = []
    private var body: [UInt8] = []
    private var inRequest = 0
    private var repeatUntil = NIODeadline.now()
    private var isSending = false
    private var isPaused = false
    private var timer: Scheduled<Void>?
    private var shutdownDeadline: NIODeadline?
    private var onEnd: (() -> Void)?
    private var hasEnded = false

    init(
        eventLoop: any EventLoop,
        configuration: OTLPConfiguration,
        queue: SpanQueue,
        counts: Locked<OTLPStatus>,
        logger: Logger
    ) {
        self.eventLoop = eventLoop
        self.configuration = configuration
        self.queue = queue
        self.counts = counts
        connection = CollectorConnection(eventLoop: eventLoop, configuration: configuration)
        request = ExportRequest(configuration)
        backoff = Backoff(first: configuration.retryDelay, max: configuration.retryDelayMax)
        log = ExportLog(logger: logger, endpoint: configuration.endpoint)
    }

    /// Begins; `onEnd` is called once, after ``shutDown()``.
    func start(onEnd: @escaping () -> Void) {
        self.onEnd = onEnd
        export()
    }

    /// Exports now, unless something is on its way or a pause is due.
    func wake() {
        guard !isSending, !isPaused, onEnd != nil else { return }
        export()
    }

    /// Exports what is left, once and without pauses, and ends at the latest when the time for that is over.
    func shutDown() {
        guard shutdownDeadline == nil else { return }
        let time = TimeAmount(configuration.shutdownTimeout)
        shutdownDeadline = .now() + time
        _ = eventLoop.assumeIsolated().scheduleTask(in: time) { self.giveUp("the time for it is over") }
        if !isSending, onEnd != nil { export() }
    }

    private func export() {
        guard !hasEnded else { return }
        timer?.cancel()
        isPaused = false
        if batch.isEmpty {
            batch = queue.take()
            counts.withLock { $0.pending = batch.count }
        }
        guard !batch.isEmpty else {
            if shutdownDeadline == nil { pause(configuration.delay, isBackoff: false) } else { end() }
            return
        }
        if inRequest == 0 {
            (body, inRequest) = request.encode(batch[...])
            repeatUntil = .now() + TimeAmount(configuration.retryBudget)
        }
        send()
    }

    private func send() {
        isSending = true
        counts.withLock { $0.requests &+= 1 }
        connection.send(body, timeout: configuration.timeout) { result in
            self.isSending = false
            guard !self.hasEnded else { return }
            switch result {
            case .success(let answer): self.take(answer)
            case .failure(let failure): self.retry(failure.reason, after: nil)
            }
        }
    }

    private func take(_ answer: CollectorAnswer) {
        switch answer.status {
        case 200...299: accepted(ExportResponse(accepted: answer.body))
        case 429, 502, 503, 504:
            let now = Int64(SpanClock.wall() / 1_000_000_000)
            let delay = answer.retryAfter.flatMap { RetryAfter.delay($0, now: now) }
            retry(Self.reason(answer), after: delay)
        default:
            failed(Self.reason(answer), isFinal: true)
            proceed()
        }
    }

    private static func reason(_ answer: CollectorAnswer) -> String {
        let words = ExportResponse(refused: answer.body).message
        return words.isEmpty ? "status \(answer.status)" : "status \(answer.status): \(words)"
    }

    private func accepted(_ response: ExportResponse) {
        let rejected = min(response.rejected, UInt64(inRequest))
        let taken = UInt64(inRequest) - rejected
        counts.withLock { counts in
            counts.exported &+= taken
            counts.rejected &+= rejected
            counts.lastFailure = nil
        }
        log.succeeded()
        if rejected > 0 || !response.message.isEmpty { log.partial(rejected: rejected, message: response.message) }
        backoff.reset()
        finishRequest()
        proceed()
    }

    /// Goes on with the next request, at once if there is a whole batch.
    private func proceed() {
        if !batch.isEmpty || shutdownDeadline != nil || queue.counts.waiting >= configuration.batchMax {
            export()
        } else {
            pause(configuration.delay, isBackoff: false)
        }
    }

    private func retry(_ reason: String, after asked: Duration?) {
        guard shutdownDeadline == nil else {
            failed(reason, isFinal: false)
            giveUp(reason)
            return
        }
        let delay = max(backoff.next(), min(asked ?? .zero, configuration.retryBudget))
        failed(reason, isFinal: NIODeadline.now() + TimeAmount(delay) > repeatUntil)
        pause(delay, isBackoff: true)
    }

    /// Counts a failed request; one that is not repeated takes its spans with it.
    private func failed(_ reason: String, isFinal: Bool) {
        let lost = isFinal ? UInt64(inRequest) : 0
        counts.withLock { counts in
            counts.failures &+= 1
            counts.droppedByFailure &+= lost
            counts.lastFailure = reason
        }
        log.failed(reason, dropped: lost)
        if isFinal { finishRequest() }
    }

    private func finishRequest() {
        batch.removeFirst(inRequest)
        inRequest = 0
        body = []
        counts.withLock { $0.pending = batch.count }
    }

    private func pause(_ delay: Duration, isBackoff: Bool) {
        isPaused = isBackoff
        timer?.cancel()
        timer = eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(delay)) { self.export() }
    }

    /// Drops all that is left, and ends.
    private func giveUp(_ reason: String) {
        guard !hasEnded else { return }
        var lost = UInt64(batch.count)
        while case let more = queue.take(), !more.isEmpty { lost += UInt64(more.count) }
        batch = []
        counts.withLock { counts in
            counts.pending = 0
            counts.droppedByFailure &+= lost
        }
        if lost > 0 { log.failed("shutting down: \(reason)", dropped: lost) }
        end()
    }

    private func end() {
        hasEnded = true
        timer?.cancel()
        connection.close()
        onEnd?()
        onEnd = nil
    }
}
