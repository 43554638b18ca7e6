import NIOCore

/// Publishes the events of `bench deliver`.
struct DeliverBenchPublisher: Sendable {
    /// Events of a request that fills the backlog.
    private static let batchSize = 100
    /// Connections that keep the pace: more than one, since each waits for its answer.
    private static let pacers = 32

    let plan: DeliverBenchPlan
    let gateway: GatewayOptions
    let tally: DeliverBenchTally

    /// Publishes the backlog in batches.
    ///
    /// - Throws: ``CommandFailure`` when an event is not stored.
    func publishBacklog() async throws {
        // One request at a time is never more than the gateway lets in.
        var sender = try sender()
        defer { sender.close() }
        for start in stride(from: 0, to: plan.events, by: Self.batchSize) {
            let numbers = start..<min(start + Self.batchSize, plan.events)
            let body = "[\(numbers.map(event).joined(separator: ","))]"
            try check(await sender.send(.batch(Array(body.utf8))))
        }
    }

    /// Publishes one event after the other, each at its time.
    ///
    /// - Throws: ``CommandFailure`` when an event is not stored.
    func publishPaced() async throws {
        let start = NIODeadline.now().uptimeNanoseconds + 50_000_000
        try await withThrowingTaskGroup(of: Void.self) { group in
            for pacer in 0..<min(Self.pacers, plan.pacedEvents) {
                group.addTask {
                    var sender = try sender()
                    defer { sender.close() }
                    for index in stride(from: pacer, to: plan.pacedEvents, by: Self.pacers) {
                        let due = start + UInt64(Double(index) * 1e9 / plan.rate)
                        let now = NIODeadline.now().uptimeNanoseconds
                        if due > now {
                            try await Task.sleep(for: .nanoseconds(Int64(due - now)), tolerance: .zero)
                        }
                        let number = plan.events + index
                        tally.sent(number, at: due)
                        try check(await sender.send(.structured(Array(event(number).utf8))))
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    private func sender() throws(CommandFailure) -> PublishSender {
        PublishSender(address: try gateway.address(), timeoutSeconds: 30, tenant: gateway.tenant)
    }

    private func event(_ number: Int) -> String {
        let data = "{\"fill\":\"\(String(repeating: "x", count: max(0, plan.dataBytes - 11)))\"}"
        return "{\"specversion\":\"1.0\",\"id\":\"\(plan.run)-\(number)\",\"source\":\"/sluice/bench\","
            + "\"type\":\"\(plan.type)\",\"datacontenttype\":\"application/json\",\"data\":\(data)}"
    }

    private func check(_ outcome: PublishOutcome) throws(CommandFailure) {
        switch outcome {
        case .unreachable(let reason): throw CommandFailure(reason, code: ExitStatus.unavailable)
        case .answer(let answer):
            guard answer.status != 202 else { return }
            throw DeliverProblem.failure(answer)
        }
    }
}
