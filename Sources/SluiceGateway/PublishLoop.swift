import EventBus
import JetStream
import NIOCore
import OTLPTracing

/// The publishing state of one event loop: its lane to JetStream and who waits for which PubAck.
///
/// What many connections submit in one turn of the loop goes to JetStream together, and what comes back together is
/// answered together: one lock and one wake-up in each direction for many events.
///
/// Safe: everything but the lane's `notify` runs on the event loop, which `preconditionInEventLoop` checks in debug builds.
final class PublishLoop: @unchecked Sendable {
    /// Who gets an outcome.
    private enum Waiter {
        case single(PublishHandler)
        case batch(PublishHandler, BatchJob, Int)
        case free(next: Int)
    }

    let eventLoop: any EventLoop
    let bus: EventBus
    private var lane: PublishLane?
    private var waiters: [Waiter] = []
    private var firstFree = -1
    private var flushIsScheduled = false
    private var connections: [ObjectIdentifier: PublishHandler] = [:]
    /// What turns requests into messages, with the limits as of the last second.
    private(set) var intake: Intake
    /// Bytes of bodies that are arriving, on all connections of this loop.
    var bodyBytes = 0
    /// When to close what is still open, once the gateway is shutting down.
    private var drainDeadline: NIODeadline?
    /// Renders the answers.
    var writer = AnswerWriter()
    /// Makes the spans of requests; `nil` without a collector.
    let tracer: OTLPTracer?
    /// What this loop counts.
    var account: LoopAccount

    init(eventLoop: any EventLoop, bus: EventBus, batchEventsMax: Int, observation: Observation) {
        self.eventLoop = eventLoop
        account = LoopAccount(observation.accounting)
        tracer = observation.tracer
        self.bus = bus
        intake = Intake(
            stream: bus.streamName,
            prefix: bus.configuration.subjectPrefix,
            eventBytesMax: bus.eventBytesMax,
            batchEventsMax: batchEventsMax
        )
        lane = bus.client.makeLane { [weak self] in
            guard let self else { return }
            self.eventLoop.execute { self.drain() }
        }
    }

    /// Submits one message; its outcome goes to the handler's `published(_:)`.
    func submit(_ message: OutboundMessage, for handler: PublishHandler) {
        lane?.submit(message, tag: reserve(.single(handler)))
        scheduleFlush()
    }

    /// Submits all messages of a batch; the handler's `published(_:)` follows the last outcome.
    func submit(_ job: BatchJob, for handler: PublishHandler) {
        job.forEachWaiting { index, message in
            lane?.submit(message, tag: reserve(.batch(handler, job, index)))
        }
        scheduleFlush()
    }

    /// Keeps an eye on a connection for the idle sweep.
    func add(_ handler: PublishHandler) { connections[ObjectIdentifier(handler)] = handler }

    /// Forgets a connection.
    func remove(_ handler: PublishHandler) { connections[ObjectIdentifier(handler)] = nil }

    /// Once a second: brings the limits up to date and closes connections that were idle, or whose request did not arrive,
    /// for too long.
    func sweep(now: NIODeadline) {
        intake.eventBytesMax = bus.eventBytesMax
        if let drainDeadline, now >= drainDeadline {
            for handler in connections.values { handler.close() }
            return
        }
        for handler in connections.values { handler.sweep(now: now) }
    }

    /// Starts what the loop does by itself: the sweep of idle connections, and its accounts.
    func startTimers() {
        eventLoop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { _ in self.sweep(now: .now()) }
        guard account.isActive else { return }
        eventLoop.scheduleRepeatedTask(initialDelay: LoopAccount.tick, delay: LoopAccount.tick) { _ in
            self.account.ticked(now: .now())
        }
    }

    /// What the loop holds now, with its counts handed on.
    func settle() -> LoopState {
        account.fold()
        return LoopState(connections: connections.count, bodyBytes: bodyBytes)
    }

    /// Closes every connection that is still open at the deadline; answered ones close by themselves.
    func drain(until deadline: NIODeadline) { drainDeadline = deadline }

    private func scheduleFlush() {
        guard !flushIsScheduled else { return }
        flushIsScheduled = true
        eventLoop.execute {
            self.flushIsScheduled = false
            self.lane?.flush()
        }
    }

    private func drain() {
        let stream = bus.streamName
        lane?.drain { tag, outcome in
            switch release(Int(tag)) {
            case .single(let handler): handler.published(outcome.receipt(stream: stream))
            case .batch(let handler, let job, let index):
                if job.note(outcome.receipt(stream: stream), at: index) { handler.published(job) }
            case .free: break
            }
        }
    }

    private func reserve(_ waiter: Waiter) -> UInt64 {
        if firstFree >= 0, case .free(let next) = waiters[firstFree] {
            let slot = firstFree
            firstFree = next
            waiters[slot] = waiter
            return UInt64(slot)
        }
        waiters.append(waiter)
        return UInt64(waiters.count - 1)
    }

    private func release(_ slot: Int) -> Waiter {
        let waiter = waiters[slot]
        waiters[slot] = .free(next: firstFree)
        firstFree = slot
        return waiter
    }
}

/// What an event loop holds at an instant.
struct LoopState: Sendable {
    var connections = 0
    var bodyBytes = 0
}
