import Foundation
import ServerFixtures
import Testing

/// A cluster of three nats-servers with one gateway in front of it whose streams have three copies.
///
/// Ends all of them when it goes away. Not thread-safe: one test uses it at a time.
final class ClusterStack {
    static let stream = GatewayStack.stream

    let cluster: NATSCluster
    let gateway: GatewayProcess
    let oracle = EventOracle()

    /// - Parameter settings: Environment variables of the gateway's configuration.
    init(settings: [String: String] = [:]) throws {
        cluster = try NATSCluster()
        gateway = try Self.gateway(url: cluster.url, settings: settings)
        try #require(cluster.waitUntilCurrent(Self.stream), "the copies of the stream never became equal")
    }

    /// A gateway for a cluster.
    static func gateway(url: String, settings: [String: String] = [:]) throws -> GatewayProcess {
        let own = ["STREAM_REPLICAS": "3", "PUBLISH_TIMEOUT": "2"]
        return try GatewayProcess(natsURL: url, settings: own.merging(settings) { $1 })
    }

    /// The node that leads the stream.
    func leader() throws -> Int {
        try #require(cluster.waitForLeader(of: Self.stream), "the stream has no leader")
    }

    /// Waits until a majority has everything and the gateway is ready, and compares the clients' answers with the stream.
    func verdict() throws -> EventOracle.Verdict {
        try #require(
            cluster.waitUntilCurrent(Self.stream, copies: 2),
            "the copies of the stream never became equal: \(cluster.copies(of: Self.stream))"
        )
        try #require(
            waitUntil(timeout: .seconds(30)) { gateway.status(of: "/health/ready") == 200 },
            "the gateway did not become ready: \(gateway.log.suffix(5))"
        )
        return try oracle.verdict(StreamReader(url: cluster.nodes[try leader()].url))
    }
}

/// Clients on threads of their own that publish one event after the other until they are told to stop.
///
/// Every second event is sent again until it is acknowledged, as a client does that wants it stored; the others are
/// sent once, so that a 503 can be held against the gateway.
final class ClusterLoad: Sendable {
    private struct State {
        var isStopping = false
        var running = 0
        /// Events acknowledged, by client.
        var acknowledged: [Int]
    }

    private let state: Shared<State>
    private let port: UInt16
    private let oracle: EventOracle

    init(_ gateway: GatewayProcess, _ oracle: EventOracle, clients: Int, firstClient: Int = 0) {
        (port, self.oracle) = (gateway.port, oracle)
        state = Shared(State(running: clients, acknowledged: Array(repeating: 0, count: clients)))
        for index in 0..<clients {
            Thread { [self] in
                run(index, client: firstClient + index)
                state.withLock { $0.running -= 1 }
            }.start()
        }
    }

    deinit { state.withLock { $0.isStopping = true } }

    /// Waits until every client has had an acknowledgement that it did not have when this was called.
    func waitForProgress(timeout: Duration = .seconds(60)) -> Bool {
        let before = state.current.acknowledged
        return waitUntil(timeout: timeout) { zip(state.current.acknowledged, before).allSatisfy { $0 > $1 } }
    }

    /// Lets every client end what it does, and waits for that.
    func stop() -> Bool {
        state.withLock { $0.isStopping = true }
        return waitUntil(timeout: .seconds(60)) { state.current.running == 0 }
    }

    private func run(_ index: Int, client: Int) {
        var connection: HTTPConnection?
        var count = 0
        while !state.current.isStopping {
            let event = EventOracle.event(client: client, count: count)
            let isRepeated = count % 2 == 0
            oracle.attempt(event.id)
            repeat {
                if connection == nil { connection = try? HTTPConnection(port: port, timeout: .seconds(30)) }
                guard let open = connection else {
                    _ = waitUntil(timeout: .milliseconds(50)) { state.current.isStopping }
                    continue
                }
                let response = try? open.exchange(event.structured())
                if response == nil { connection = nil }
                oracle.answer(event.id, response)
                if response?.status == 202 {
                    state.withLock { $0.acknowledged[index] += 1 }
                    break
                }
                _ = waitUntil(timeout: .milliseconds(50)) { state.current.isStopping }
            } while isRepeated && !state.current.isStopping
            count += 1
        }
    }
}
