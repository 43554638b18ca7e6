/// What a lane asks for, handed over together.
struct LaneBatch: Sendable {
    struct Pull: Sendable {
        let consumer: ConsumerName
        let stream: StreamName
        var count: Int
        let bytesMax: Int?
        let expires: Nanoseconds
        let noWait: Bool
        /// Whether one message of it is asked for although the lane holds its bound already.
        var isUrgent: Bool
        let tag: DeliveryLane.Tag
        /// When it was asked for.
        let asked: Nanoseconds

        /// The request's payload.
        func body(bytesMax: Int) -> String {
            // With both, the server waits where there is nothing: `expires` is left to our own clock then.
            let end = noWait ? "\"no_wait\":true" : "\"expires\":\(expires)"
            return "{\"batch\":\(count),\"max_bytes\":\(bytesMax),\(end)}"
        }
    }

    struct Order: Sendable {
        let envelope: MessageEnvelope
        let how: Settlement
        let tag: DeliveryLane.Tag
        let isConfirmed: Bool
    }

    var pulls: [Pull] = []
    var cancelled: [DeliveryLane.Tag] = []
    var hurried: [DeliveryLane.Tag] = []
    var orders: [Order] = []

    var isEmpty: Bool { pulls.isEmpty && cancelled.isEmpty && hurried.isEmpty && orders.isEmpty }

    /// Gives everything from `start` on its end, without a lock held.
    func refuse(_ end: PullEnd, _ mailbox: LaneMailbox) {
        var events: [DeliveryLane.Event] = pulls.map { .pullEnded($0.tag, end) }
        for order in orders where order.isConfirmed { events.append(.settled(order.tag, confirmed: false)) }
        mailbox.append(movingFrom: &events)
    }
}
