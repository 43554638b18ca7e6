import Logging
import NIOCore
import NIOPosix

/// Takes the spans out of the queue and brings them to the collector, on a thread of its own.
final class SpanExporter: Sendable {
    private let configuration: OTLPConfiguration
    private let queue: SpanQueue
    private let logger: Logger
    private let counts = Locked(OTLPStatus())
    private let isStarted = Locked(false)

    init(configuration: OTLPConfiguration, queue: SpanQueue, logger: Logger) {
        self.configuration = configuration
        self.queue = queue
        self.logger = logger
    }

    /// What became of the spans so far.
    var status: OTLPStatus {
        var status = counts.withLock { $0 }
        let (waiting, dropped) = queue.counts
        status.pending += waiting
        status.droppedByQueue = dropped
        return status
    }

    /// Asks for an export now, if ``run()`` is under way.
    func flush() { queue.wake() }

    /// Exports until the task is cancelled, and then what is left; see ``OTLPTracer/run()``.
    func run() async {
        let isFirst = isStarted.withLock { started in
            defer { started = true }
            return !started
        }
        guard isFirst else { return }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let eventLoop = group.next()
        let job = ExportJob(
            eventLoop: eventLoop,
            configuration: configuration,
            queue: queue,
            counts: counts,
            logger: logger
        )
        queue.setWake { eventLoop.execute { job.wake() } }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                eventLoop.execute { job.start { continuation.resume() } }
            }
        } onCancel: {
            eventLoop.execute { job.shutDown() }
        }
        queue.setWake(nil)
        do {
            try await group.shutdownGracefully()
        } catch {
            logger.warning("the exporter's thread did not end", metadata: ["error": "\(error)"])
        }
    }
}
