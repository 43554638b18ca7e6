import JetStream

/// A delivery lane for one task: what comes in is awaited.
final class LaneSession {
    let lane: DeliveryLane
    private let continuation: AsyncStream<Void>.Continuation
    private var wakes: AsyncStream<Void>.Iterator
    private var pulls: DeliveryLane.Tag = 0

    init(_ client: JetStreamClient) {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        self.continuation = continuation
        wakes = stream.makeAsyncIterator()
        lane = client.makeDeliveryLane { continuation.yield() }
    }

    deinit { continuation.finish() }

    /// A tag that no earlier pull or settlement of this lane had.
    func nextTag() -> DeliveryLane.Tag {
        pulls += 1
        return pulls
    }

    /// Waits until something has come in and returns it; empty once the task is cancelled.
    func events() async -> [DeliveryLane.Event] {
        var events: [DeliveryLane.Event] = []
        while true {
            lane.drain { events.append($0) }
            if !events.isEmpty { return events }
            guard await wakes.next(isolation: nil) != nil else { return [] }
        }
    }
}
