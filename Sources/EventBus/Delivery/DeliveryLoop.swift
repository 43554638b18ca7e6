/// The thread on which a shard decides its deliveries: an event loop in the gateway, a thread of its own in a library.
///
/// Everything executed on one loop runs one after the other, in the order in which it was handed over. Both functions may
/// be called from any thread, the loop's own included, and return at once.
package protocol DeliveryLoop: AnyObject, Sendable {
    /// Runs the task on the loop, after what was handed over before.
    func execute(_ task: @escaping @Sendable () -> Void)
    /// Runs the task on the loop when the time has passed.
    func execute(after delay: Duration, _ task: @escaping @Sendable () -> Void)
}
