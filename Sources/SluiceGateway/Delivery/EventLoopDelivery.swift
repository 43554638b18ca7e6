import EventBus
import NIOCore

/// An event loop as the thread of deliveries: what is decided there and what is sent by HTTP need no hop between them.
final class EventLoopDelivery: DeliveryLoop {
    let eventLoop: any EventLoop

    init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    func execute(_ task: @escaping @Sendable () -> Void) { eventLoop.execute(task) }

    func execute(after delay: Duration, _ task: @escaping @Sendable () -> Void) {
        _ = eventLoop.scheduleTask(in: TimeAmount(delay), task)
    }
}
