/// The ended spans that wait for export: bounded, and never in the way of those who end them.
final class SpanQueue: Sendable {
    private struct State {
        var spans: [Locked<SpanRecord>] = []
        var dropped: UInt64 = 0
        var wake: (@Sendable () -> Void)?
    }

    private let state: Locked<State>
    private let countMax: Int
    private let batchMax: Int

    init(countMax: Int, batchMax: Int) {
        self.countMax = countMax
        self.batchMax = batchMax
        var state = State()
        state.spans.reserveCapacity(countMax)
        self.state = Locked(state)
    }

    /// What is called, on the thread of the one who ends a span, each time a whole batch has come together.
    func setWake(_ wake: (@Sendable () -> Void)?) { state.withLock { $0.wake = wake } }

    /// Calls what ``setWake(_:)`` was given.
    func wake() { state.withLock { $0.wake }?() }

    /// Takes a span, or drops and counts it when the queue is full.
    func append(_ span: Locked<SpanRecord>) {
        let wake: (@Sendable () -> Void)? = state.withLock { state in
            guard state.spans.count < countMax else {
                state.dropped &+= 1
                return nil
            }
            state.spans.append(span)
            return state.spans.count == batchMax ? state.wake : nil
        }
        wake?()
    }

    /// Takes the oldest spans out, at most one batch.
    func take() -> [Locked<SpanRecord>] {
        state.withLock { state in
            let batch = Array(state.spans.prefix(batchMax))
            state.spans.removeFirst(batch.count)
            return batch
        }
    }

    /// How many wait, and how many were dropped so far.
    var counts: (waiting: Int, dropped: UInt64) { state.withLock { ($0.spans.count, $0.dropped) } }
}
