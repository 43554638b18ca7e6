/// A delivery loop without a thread of its own: tasks run one after the other on Swift's cooperative pool.
final class TaskLoop: DeliveryLoop {
    private let tasks: AsyncStream<@Sendable () -> Void>
    private let input: AsyncStream<@Sendable () -> Void>.Continuation

    init() {
        (tasks, input) = AsyncStream.makeStream()
    }

    func execute(_ task: @escaping @Sendable () -> Void) { input.yield(task) }

    func execute(after delay: Duration, _ task: @escaping @Sendable () -> Void) {
        let input = input
        Task {
            try? await Task.sleep(for: delay)
            input.yield(task)
        }
    }

    /// Runs what is executed until ``finish()``; once, whether or not the surrounding task is cancelled.
    func run() async {
        let tasks = tasks
        // An iteration in a cancelled task would end at once, and with it what still has to be settled.
        await Task {
            for await task in tasks { task() }
        }.value
    }

    /// Ends ``run()`` when everything that waits has run.
    func finish() { input.finish() }
}
