import Foundation
import Glibc

/// Nodes of nats-server with a clustered JetStream on loopback, each with a store of its own.
///
/// Their routes go through ``NATSClusterRoutes``. A server tells its peers where the others are, and they would connect
/// past the relays; the address that each tells refuses every connection, so that the relays are the only way. Thread-safe.
package final class NATSCluster: Sendable {
    /// The nats-server that clusters are tested with: version 2.10 or later.
    ///
    /// 2.9.10 itself loses what a stream with three copies has acknowledged when leaders are killed, stopped and step
    /// down: also for a publisher that has nothing of Sluice in it, which finds other messages at its sequences.
    ///
    /// - Throws: ``NoServer`` when there is only an older one.
    package static func binary() throws -> NATSServer.Binary {
        let usable = NATSServer.available.last { binary in
            let numbers = binary.version.split(separator: ".").compactMap { Int($0) }
            return numbers.count == 3 && (numbers[0], numbers[1]) >= (2, 10)
        }
        guard let usable else { throw NoServer() }
        return usable
    }

    /// No nats-server of version 2.10 or later is at hand; `SLUICE_TEST_NATS_SERVER_CURRENT` names one.
    package struct NoServer: Error {}

    package let nodes: [NATSServer]
    private let routes: NATSClusterRoutes
    /// Ports that are taken and refuse every connection.
    private let refusing: [RefusingPort]
    /// Nodes that cannot be asked now: killed, stopped, or cut off.
    private let away = Shared<Set<Int>>([])

    /// Starts the nodes and waits until JetStream has a leader.
    ///
    /// - Parameter binary: ``binary()`` unless a test is about another.
    /// - Throws: `NATSServer.StartFailure`, with the logs of all nodes when they find no leader.
    package init(_ binary: NATSServer.Binary? = nil, size: Int = 3) throws {
        let binary = try binary ?? Self.binary()
        let ports = try (0..<size).map { _ in try freePort() }
        let routes = try NATSClusterRoutes(targets: ports)
        let refusing = try (0..<size).map { _ in try RefusingPort() }
        (self.routes, self.refusing) = (routes, refusing)
        nodes = try (0..<size).map { node in
            let urls = (0..<size).filter { $0 != node }
                .map { "\"nats-route://127.0.0.1:\(routes.port(from: node, to: $0))\"" }
            return try NATSServer(
                binary,
                extraConfiguration: """
                    cluster {
                        name: "test"
                        listen: "127.0.0.1:\(ports[node])"
                        advertise: "127.0.0.1:\(refusing[node].port)"
                        no_advertise: true
                        routes: [\(urls.joined(separator: ", "))]
                    }
                    """
            )
        }
        guard waitUntil(timeout: .seconds(60), { hasMetaLeader }) else {
            throw NATSServer.StartFailure(log: nodes.map(\.log).joined(separator: "\n"))
        }
    }

    /// The URLs of all nodes, as a client's setting.
    package var url: String { url(of: nodes.indices) }

    package func url(of nodes: some Sequence<Int>) -> String {
        nodes.map { self.nodes[$0].url }.joined(separator: ",")
    }

    // MARK: Faults

    /// SIGKILL, at once.
    package func kill(_ node: Int) {
        away.withLock { _ = $0.insert(node) }
        nodes[node].kill()
    }

    /// SIGSTOP: it hangs with its connections open.
    package func pause(_ node: Int) {
        away.withLock { _ = $0.insert(node) }
        nodes[node].pause()
    }

    /// SIGCONT.
    package func resume(_ node: Int) {
        nodes[node].resume()
        away.withLock { _ = $0.remove(node) }
    }

    /// Starts a killed node again with its port and store.
    package func restart(_ node: Int) throws {
        try nodes[node].start()
        away.withLock { _ = $0.remove(node) }
    }

    /// Cuts a node off from the others; its clients keep it.
    package func isolate(_ node: Int, _ isolation: NATSClusterRoutes.Isolation = .cut) {
        away.withLock { _ = $0.insert(node) }
        routes.isolate(node, isolation)
    }

    /// Lets a node reach the others again.
    package func heal(_ node: Int) {
        routes.heal(node)
        away.withLock { _ = $0.remove(node) }
    }

    /// Asks the stream's leader to step down.
    ///
    /// - Returns: Whether the leader agreed.
    package func stepDown(_ stream: String) -> Bool {
        api("STREAM.LEADER.STEPDOWN.\(stream)")?["success"].bool == true
    }

    // MARK: State

    /// A request to `$JS.API.<subject>` through the first node that can be asked.
    ///
    /// - Returns: `nil` without an answer, as happens while there is no leader.
    package func api(_ subject: String, _ payload: String = "") -> WireJSON? {
        let away = away.current
        guard let node = nodes.indices.first(where: { !away.contains($0) }) else { return nil }
        return api(subject, payload, through: node)
    }

    package func api(_ subject: String, _ payload: String = "", through node: Int) -> WireJSON? {
        guard let probe = try? NATSProbe(port: nodes[node].port),
            let answer = probe.request("$JS.API.\(subject)", payload: Array(payload.utf8), timeoutMilliseconds: 2000)
        else { return nil }
        return try? WireJSON(parsing: answer.payload)
    }

    /// The node that leads a stream, or `nil` while nobody does.
    package func leader(of stream: String) -> Int? {
        let name = api("STREAM.INFO.\(stream)")?["cluster"]["leader"].string ?? ""
        return nodes.firstIndex { "test-\($0.port)" == name }
    }

    /// Waits until the stream has a leader that is none of these nodes.
    package func waitForLeader(of stream: String, except nodes: Set<Int> = [], timeout: Duration = .seconds(60)) -> Int?
    {
        var found: Int?
        _ = waitUntil(timeout: timeout) {
            found = leader(of: stream).flatMap { nodes.contains($0) ? nil : $0 }
            return found != nil
        }
        return found
    }

    /// Waits until so many copies of the stream, the leader's included, are there and have all of it; all unless said.
    ///
    /// nats-server (2.15.1 here) may leave a copy that was cut off behind for minutes while nothing is published.
    package func waitUntilCurrent(_ stream: String, copies: Int? = nil, timeout: Duration = .seconds(60)) -> Bool {
        waitUntil(timeout: timeout) {
            guard let cluster = api("STREAM.INFO.\(stream)")?["cluster"], cluster["leader"].string?.isEmpty == false
            else { return false }
            let replicas = cluster["replicas"].items
            let current = replicas.count { replica in
                replica["current"].bool == true && replica["offline"].bool != true && replica["lag"].int ?? 0 == 0
            }
            return replicas.count == nodes.count - 1 && current + 1 >= copies ?? nodes.count
        }
    }

    /// How the copies of a stream stand, as the server tells it: for the message of a test that failed.
    package func copies(of stream: String) -> String {
        "\(api("STREAM.INFO.\(stream)")?["cluster"] ?? .null)"
    }

    /// JetStream answers when its own group has a leader.
    private var hasMetaLeader: Bool {
        nodes.indices.allSatisfy { node in
            guard let names = api("STREAM.NAMES", through: node) else { return false }
            return names["error"].isNull && !names["total"].isNull
        }
    }
}

/// A port of loopback that nobody else gets and that refuses every connection.
private struct RefusingPort: Sendable {
    let port: UInt16
    private let socket: TestSocket

    init() throws {
        socket = TestSocket(descriptor: Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr = in_addr(s_addr: UInt32(0x7F00_0001).bigEndian)
        let descriptor = socket.descriptor
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else { throw NoFreePort() }
        port = socket.localPort
    }
}
