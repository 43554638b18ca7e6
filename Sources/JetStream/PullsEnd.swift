extension JetStreamClient {
    /// Ends the deliveries to this client for good: at the server, before any settlement that is sent from then on.
    ///
    /// Returns when everything that was on its way has been handed to its lane, after `timeout` at the latest. What is given
    /// back then is not delivered to this client again. Pulls, also those to come, end when they are cancelled or at
    /// the end of their time, and bring nothing more.
    package func endPulls(within timeout: Duration) async {
        guard hasStarted else { return }
        let deadline = monotonicNow() + timeout.nanoseconds
        await withCheckedContinuation { continuation in
            core.endPulls(by: deadline) { continuation.resume() }
        }
        await clearPulls(by: deadline)
    }

    /// How many consumers are asked about at a time.
    private static let questionsMax = 16

    /// Has older servers forget the pulls in which nobody is interested any more.
    ///
    /// Before 2.10.16 (nats-server, `loopAndGatherMsgs`), they first count a message that was given back as delivered again
    /// and then find that nobody wants it: it is one delivery short, and waits for the consumer's `ack_wait`. Who
    /// asks for the consumer's state has them look at the pulls before.
    private func clearPulls(by deadline: Nanoseconds) async {
        guard let server = serverInfo, !server.isAtLeast(2, 10, 16) else { return }
        var keys = core.pulls.withLock { $0.consumerKeys }
        await withTaskGroup(of: Void.self) { questions in
            for count in 1... {
                if count > Self.questionsMax { await questions.next() }
                let left = deadline - monotonicNow()
                guard left > 0, let key = keys.popLast() else { break }
                let names = key.split(separator: UInt8(ascii: ".")).map { String(decoding: $0, as: UTF8.self) }
                guard names.count == 2, let stream = StreamName(names[0]), let consumer = ConsumerName(names[1]) else {
                    continue
                }
                questions.addTask {
                    // Whatever the answer is, it cannot be had in a better way.
                    _ = try? await self.consumerInfo(consumer, in: stream, timeout: .nanoseconds(left))
                }
            }
        }
    }
}
