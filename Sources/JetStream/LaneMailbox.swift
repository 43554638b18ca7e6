/// What comes in for a lane, on its way to the owner's thread.
final class LaneMailbox: Sendable {
    private struct State {
        var events: [DeliveryLane.Event] = []
        var notified = false
    }

    let account = LaneAccount()
    private let state = Locked(State())
    private let notify: @Sendable () -> Void

    init(notify: @escaping @Sendable () -> Void) {
        self.notify = notify
    }

    func append(_ event: DeliveryLane.Event) {
        let first = state.withLock { state in
            state.events.append(event)
            return Self.mark(&state)
        }
        if first { notify() }
    }

    /// Moves all events over; one wake-up at most.
    func append(movingFrom events: inout [DeliveryLane.Event]) {
        if events.isEmpty { return }
        let first = state.withLock { state in
            if state.events.isEmpty { swap(&state.events, &events) } else { state.events += events }
            return Self.mark(&state)
        }
        events.removeAll(keepingCapacity: true)
        if first { notify() }
    }

    private static func mark(_ state: inout State) -> Bool {
        defer { state.notified = true }
        return !state.notified
    }

    /// Exchanges the waiting events for `empty`, whose storage is used for the next ones.
    func take(into empty: inout [DeliveryLane.Event]) {
        state.withLock { state in
            swap(&state.events, &empty)
            state.notified = false
        }
    }
}
