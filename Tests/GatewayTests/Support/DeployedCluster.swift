import Foundation
import ServerFixtures
import Testing

/// nats-servers on loopback with the configuration that `deploy/nats` gives to servers in production.
///
/// Ends all of them when it goes away. Thread-safe.
final class DeployedCluster: Sendable {
    /// The users of `deploy/nats/accounts.conf`.
    enum User: String, CaseIterable {
        case gateway, auditor, `operator`, system

        /// Looks like a number, which nats-server would make of it without quotes.
        var password: String { "12e4\(rawValue)" }
    }

    /// One of the servers.
    struct Node: Sendable {
        let port: UInt16
        let routePort: UInt16
        let monitorPort: UInt16
        let child: ChildProcess
    }

    let nodes: [Node]
    private let directory = TemporaryDirectory()
    private static let routePassword = "20m"

    /// The folder `deploy` of the repository.
    static var folder: String {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "../../../deploy").standardized.path
    }

    /// Starts the servers and waits until the operator of each can use JetStream.
    ///
    /// - Parameter size: 3 for `cluster.conf`, 1 for `single.conf`.
    init(size: Int = 3) throws {
        let binary = try NATSCluster.binary()
        let ports = try (0..<size).map { _ in try (client: freePort(), route: freePort(), monitor: freePort()) }
        let directory = directory.path
        nodes = try ports.indices.map { node in
            let routes = ports.indices.filter { $0 != node }
                .map { "\"nats-route://route:\(Self.routePassword)@127.0.0.1:\(ports[$0].route)\"" }
            var environment = [
                "NATS_SERVER_NAME": "nats-\(node + 1)",
                "NATS_LISTEN": "127.0.0.1:\(ports[node].client)",
                "NATS_CLUSTER_LISTEN": "127.0.0.1:\(ports[node].route)",
                "NATS_MONITOR": "127.0.0.1:\(ports[node].monitor)",
                "NATS_STORE_DIR": "\"\(directory)/\(node)\"",
                "NATS_MAX_FILE_STORE": "1GB",
                "NATS_ROUTES": "[\(routes.joined(separator: ", "))]",
                "NATS_ROUTE_PASSWORD": "\"\(Self.routePassword)\"",
            ]
            for user in User.allCases {
                environment["NATS_\(user.rawValue.uppercased())_PASSWORD"] = "\"\(user.password)\""
            }
            let arguments = ["-c", "\(Self.folder)/nats/\(size == 1 ? "single" : "cluster").conf"]
            let log = "\(directory)/\(node).log"
            let child = ChildProcess(binary.path, arguments, environment: environment, logPath: log)
            return Node(
                port: ports[node].client,
                routePort: ports[node].route,
                monitorPort: ports[node].monitor,
                child: try #require(child)
            )
        }
        let isUp = waitUntil(timeout: .seconds(180)) {
            nodes.indices.allSatisfy { (try? probe(.operator, $0))?.json("$JS.API.STREAM.NAMES")?["total"] != nil }
        }
        try #require(isUp, "\(nodes.map(\.child.log).joined(separator: "\n"))")
    }

    /// The gateway's setting.
    var url: String {
        nodes.map { "nats://gateway:\(User.gateway.password)@127.0.0.1:\($0.port)" }.joined(separator: ",")
    }

    /// The gateway's setting for the monitoring of every server.
    var monitorURL: String { nodes.map { "http://127.0.0.1:\($0.monitorPort)" }.joined(separator: ",") }

    /// A client with the rights of one user.
    func probe(_ user: User, _ node: Int = 0) throws -> NATSProbe {
        try NATSProbe(port: nodes[node].port, user: user.rawValue, password: user.password)
    }

    /// How many messages the servers have had from the connection whose name ends like this.
    func received(from name: String) throws -> Int {
        try nodes.reduce(0) { sum, node in
            let report = try HTTPConnection(port: node.monitorPort, timeout: .seconds(20)).get("/connz").json
            let links = report["connections"].items
            return sum
                + links.filter { $0["name"].string?.hasSuffix(name) == true }.reduce(0) {
                    $0 + ($1["in_msgs"].int ?? 0)
                }
        }
    }

    /// What the servers say of clients that did what they may not.
    var violations: [Substring] {
        nodes.flatMap { $0.child.log.split(separator: "\n") }.filter { $0.contains("Violation") }
    }
}
