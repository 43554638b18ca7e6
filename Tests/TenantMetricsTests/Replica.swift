import Foundation
import RedisStore
import ServerFixtures
import TenantMetrics
import Testing

/// The tenant metrics of one gateway, running against a real Redis.
final class Replica: Sendable {
    private let port: UInt16
    let client: RedisClient
    let metrics: TenantMetrics
    let events = Shared<[TenantMetricsEvent]>([])
    private let runner: Task<Void, Never>

    init(
        port: UInt16,
        name: String = "r1",
        commandTimeout: Duration = .seconds(5),
        bounds: TenantBounds = .init()
    ) throws {
        var configuration = try RedisConfiguration(url: "redis://127.0.0.1:\(port)")
        configuration.commandTimeout = commandTimeout
        configuration.reconnectPauseMax = .milliseconds(200)
        let client = RedisClient(configuration: configuration)
        let events = events
        let metrics = TenantMetrics(client: client, replica: name, bounds: bounds) { event in
            events.withLock { $0.append(event) }
        }
        client.start()
        (self.port, self.client, self.metrics) = (port, client, metrics)
        runner = Task {
            _ = await eventually { client.state.isConnected }
            await metrics.run()
        }
    }

    /// Ends without a last flush.
    func stop() async {
        runner.cancel()
        await runner.value
        await client.close()
    }

    var status: TenantMetricsStatus { metrics.status }

    /// Counts some random events and folds them.
    func count(_ events: Int, of traffic: inout Traffic, at time: Int64) {
        let tally = TenantTally()
        traffic.count(events, at: time, in: tally)
        if let delta = tally.take() { metrics.fold(delta, at: time) }
    }

    /// Waits until nothing waits any more.
    func settle(sourceLocation: SourceLocation = #_sourceLocation) async {
        let metrics = metrics
        let isDone = await eventually(timeout: .seconds(60)) {
            let status = metrics.status
            let pending = status.pendingEvents + status.pendingSeriesEvents + status.pendingDeliveries
            return pending == 0 && status.pendingTenants == 0
        }
        #expect(isDone, "\(status)", sourceLocation: sourceLocation)
        let status = status
        #expect(status.recordedEvents + status.droppedEvents == status.foldedEvents, sourceLocation: sourceLocation)
        let series = status.recordedSeriesEvents + status.droppedSeriesEvents
        #expect(series == status.foldedEvents, sourceLocation: sourceLocation)
        let deliveries = status.recordedDeliveries + status.droppedDeliveries
        #expect(deliveries == status.foldedDeliveries, sourceLocation: sourceLocation)
    }

    /// Waits until so many attempts have failed since.
    func failsAgain(_ count: UInt64 = 1, sourceLocation: SourceLocation = #_sourceLocation) async {
        let metrics = metrics
        let before = metrics.status.failures
        let failed = await eventually(timeout: .seconds(60)) { metrics.status.failures >= before + count }
        #expect(failed, "\(status)", sourceLocation: sourceLocation)
    }

    /// Compares what Redis has with what was counted, over a connection of its own.
    func expectReports(
        _ traffic: Traffic,
        at time: Int64,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        var configuration = try RedisConfiguration(url: "redis://127.0.0.1:\(port)")
        configuration.commandTimeout = .seconds(30)
        let client = RedisClient(configuration: configuration)
        client.start()
        #expect(await eventually { client.state.isConnected }, sourceLocation: sourceLocation)
        let reader = TenantMetrics(client: client, replica: "reader")
        for (tenant, expected) in traffic.expected {
            let report = try await reader.report(of: tenant, at: time)
            #expect(Expected(report) == expected, "\(tenant)", sourceLocation: sourceLocation)
            #expect(report.unreadable == [], sourceLocation: sourceLocation)
            #expect(report.otherTypes == 0, sourceLocation: sourceLocation)
        }
        let listed = try await reader.reports(after: nil, limit: 1000, at: time).items
        #expect(listed.map(\.tenant) == traffic.expected.keys.sorted(), sourceLocation: sourceLocation)
        #expect(
            listed.map { Expected($0) } == traffic.expected.sorted { $0.key < $1.key }.map(\.value),
            sourceLocation: sourceLocation
        )
        await client.close()
    }
}

/// The start of the minute before this one: Redis would take a later time for one in the future.
let recently = Int64(Date().timeIntervalSince1970) / 60 * 60 - 60
