import ArgumentParser
import NIOCore
import NIOHTTP1

/// What `bench deliver` measures.
struct DeliverBenchPlan: Sendable {
    let mode: DeliverBenchMode
    /// A text that no other run has: part of the type, of every id and of the subscription's name.
    let run: String
    /// Events of the backlog, numbered from 0.
    let events: Int
    /// Events at a steady rate, numbered on.
    let pacedEvents: Int
    let rate: Double
    let dataBytes: Int
    let connections: Int
    let batchSize: Int
    let maxInFlight: Int
    let host: String

    /// The subscription's id.
    var subscription: String { "bench-\(run)" }
    /// The type that all events have, and no others.
    var type: String { "com.example.bench.deliver.\(run)" }

    /// The subscription's definition.
    ///
    /// - Parameter port: Where the webhook listens.
    func definition(port: Int) -> [UInt8] {
        var config = JSONWriter()
        config.add("maxInFlight", maxInFlight)
        var object = JSONWriter()
        object.add("types", json: "[\"\(type)\"]")
        switch mode {
        case .pull: object.add("protocol", "PULL")
        case .webhook:
            object.add("protocol", "HTTP")
            object.add("sink", "http://\(host.contains(":") ? "[\(host)]" : host):\(port)/")
        }
        object.add("config", json: config.text)
        return Array(object.text.utf8)
    }
}

/// One measurement.
struct DeliverBenchRun: Sendable {
    /// How long nothing may arrive before what is missing is given up.
    static let patience = Duration.seconds(30)

    let gateway: GatewayOptions
    let plan: DeliverBenchPlan

    init(gateway: GatewayOptions, plan: DeliverBenchPlan) {
        self.gateway = gateway
        self.plan = plan
    }

    private func client() throws(CommandFailure) -> GatewayClient {
        try GatewayClient(gateway, timeoutSeconds: 30)
    }

    private var path: String { DeliverPath.subscription(plan.subscription) }

    /// Removes the subscription, if it is there; what keeps it there is told.
    func cleanUp() async {
        do throws(CommandFailure) {
            var client = try client()
            try await client.send(.DELETE, path, accepting: [404])
            client.close()
        } catch {
            Console.note("sluice: the subscription \(plan.subscription) is still there: \(error.message)")
        }
    }

    /// Measures.
    ///
    /// - Throws: ``CommandFailure``; ``cleanUp()`` is left to the caller.
    func run() async throws -> DeliverBenchReport {
        let tally = DeliverBenchTally(events: plan.events + plan.pacedEvents)
        let publisher = DeliverBenchPublisher(plan: plan, gateway: gateway, tally: tally)
        guard plan.mode == .webhook else {
            try await subscribe(port: 0)
            return try await measure(tally, publisher)
        }
        let webhook = try await DeliverBenchWebhook(host: plan.host, run: plan.run, tally: tally)
        do {
            try await subscribe(port: webhook.port)
            let report = try await measure(tally, publisher)
            await webhook.close()
            return report
        } catch {
            await webhook.close()
            throw error
        }
    }

    private func subscribe(port: Int) async throws(CommandFailure) {
        var client = try client()
        let object: JSONSlice
        do throws(CommandFailure) {
            object = try await client.object(.PUT, path, body: plan.definition(port: port))
        } catch {
            guard plan.mode == .webhook, error.code == ExitStatus.refused else { throw error }
            throw CommandFailure(
                error.message + "\nmay the gateway send to this machine? See SINK_ALLOW_NETWORKS and SINK_ALLOW_HTTP",
                code: error.code
            )
        }
        _ = try await SubscriptionWait(seconds: 30).untilActive(object, &client)
        client.close()
    }

    private func measure(
        _ tally: DeliverBenchTally,
        _ publisher: DeliverBenchPublisher
    ) async throws -> DeliverBenchReport {
        var report = DeliverBenchReport(mode: plan.mode.rawValue)
        if plan.events > 0 { report.backlog = try await backlog(tally, publisher) }
        if plan.pacedEvents > 0, tally.fault == nil, report.missing == 0 {
            report.paced = try await paced(tally, publisher)
        }
        report.duplicates = tally.count.duplicates
        if report.missing > 0 {
            report.fault = tally.fault ?? "nothing more came within \(Self.patience.components.seconds) s"
        }
        return report
    }

    /// Publishes while nothing is delivered, then delivers.
    private func backlog(
        _ tally: DeliverBenchTally,
        _ publisher: DeliverBenchPublisher
    ) async throws -> DeliverBenchReport.Backlog {
        var client = try client()
        if plan.mode == .webhook { _ = try await client.object(.POST, path + ":pause") }
        try await publisher.publishBacklog()
        let cpu = BenchRun.cpuSeconds()
        let start = NIODeadline.now().uptimeNanoseconds
        if plan.mode == .webhook { _ = try await client.object(.POST, path + ":resume") }
        client.close()
        try await receive(tally, until: plan.events)
        let count = tally.count
        return DeliverBenchReport.Backlog(
            events: plan.events,
            delivered: count.delivered,
            seconds: count.lastArrival > start ? Double(count.lastArrival - start) / 1e9 : 0,
            cpuSeconds: BenchRun.cpuSeconds() - cpu
        )
    }

    /// Publishes and delivers at a time.
    private func paced(
        _ tally: DeliverBenchTally,
        _ publisher: DeliverBenchPublisher
    ) async throws -> DeliverBenchReport.Paced {
        let cpu = BenchRun.cpuSeconds()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                do {
                    try await publisher.publishPaced()
                } catch {
                    tally.fail("publishing failed")
                    throw error
                }
            }
            group.addTask { try await receive(tally, until: plan.events + plan.pacedEvents) }
            try await group.waitForAll()
        }
        return DeliverBenchReport.Paced(
            rate: plan.rate,
            events: plan.pacedEvents,
            delivered: tally.count.delivered - plan.events,
            delays: tally.delays,
            cpuSeconds: BenchRun.cpuSeconds() - cpu
        )
    }

    /// Takes what is delivered until so many events have arrived, or nothing more comes.
    private func receive(_ tally: DeliverBenchTally, until events: Int) async throws {
        guard plan.mode == .pull else {
            _ = try await tally.wait(for: events, patience: Self.patience)
            return
        }
        let gateway = gateway
        let plan = plan
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<plan.connections {
                group.addTask {
                    let client = try GatewayClient(gateway, timeoutSeconds: 30)
                    try await DeliverBenchPoller(plan: plan, tally: tally).run(client, until: events)
                }
            }
            try await group.waitForAll()
        }
    }
}

/// Polls and acknowledges on one connection.
struct DeliverBenchPoller: Sendable {
    let plan: DeliverBenchPlan
    let tally: DeliverBenchTally

    /// Runs until so many events have arrived over all connections, or none has for a time.
    func run(_ client: GatewayClient, until events: Int) async throws(CommandFailure) {
        var client = client
        defer { client.close() }
        let base = DeliverPath.subscription(plan.subscription)
        let path = "\(base):receive?maxEvents=\(plan.batchSize)&maxWaitTime=1"
        var deadline = ContinuousClock.now + DeliverBenchRun.patience
        while tally.count.delivered < events, tally.fault == nil, ContinuousClock.now < deadline {
            let answer = try await client.object(.POST, path)
            let arrival = NIODeadline.now().uptimeNanoseconds
            var tokens: [ReceiveToken] = []
            var numbers: [Int] = []
            for item in answer["value"]?.elements ?? [] {
                guard let token = item["brokerProperties"]?["lockToken"]?.string,
                    let id = item["event"]?["id"]?.string, id.hasPrefix(plan.run),
                    let number = Int(id.dropFirst(plan.run.count + 1))
                else { throw CommandFailure("\(client.name): an event that is not ours", code: ExitStatus.unavailable) }
                tokens.append(ReceiveToken(text: token))
                numbers.append(number)
            }
            guard !tokens.isEmpty else { continue }
            deadline = .now + DeliverBenchRun.patience
            let failures = try await ReceiveSettlement.acknowledge.settle(tokens, of: plan.subscription, &client)
            for failure in failures { Console.note(failure) }
            // What could not be settled comes again, and counts then.
            if failures.isEmpty { for number in numbers { tally.arrived(number, at: arrival) } }
        }
    }
}
