import Foundation
import Glibc

/// The routes between the nodes of a cluster: a TCP relay for each ordered pair of nodes, so that a node can be cut off.
///
/// One thread of its own moves the bytes of all relays. Thread-safe: every member may be called from any thread.
package final class NATSClusterRoutes: Sendable {
    /// How a node is cut off from all others.
    package enum Isolation: Sendable {
        /// Its connections are closed and new ones are closed at once.
        case cut
        /// Its connections stay, and nothing passes: what was sent comes when the node is back.
        case silent
    }

    private struct Orders {
        var isolations: [Int: Isolation] = [:]
        var targets: [UInt16]
        var isStopped = false
        var given = 0
        /// The number of the last order that the thread has carried out.
        var done = 0
    }

    private let ports: [[UInt16]]
    private let orders: Shared<Orders>

    /// Opens the relays.
    ///
    /// - Parameter targets: The port on which each node takes route connections.
    /// - Throws: ``NoFreePort``.
    package init(targets: [UInt16]) throws {
        let relays = try targets.indices.flatMap { from in
            try targets.indices.filter { $0 != from }.map { try RouteRelay(from: from, to: $0) }
        }
        ports = targets.indices.map { from in
            targets.indices.map { to in relays.first { $0.from == from && $0.to == to }?.port ?? 0 }
        }
        let orders = Shared(Orders(targets: targets))
        self.orders = orders
        let thread = Thread { Self.run(relays, orders) }
        thread.name = "cluster routes"
        thread.start()
    }

    deinit { orders.withLock { $0.isStopped = true } }

    /// The port on which node `from` reaches node `to`.
    package func port(from: Int, to: Int) -> UInt16 { ports[from][to] }

    /// Cuts a node off; when this returns nothing passes any more.
    package func isolate(_ node: Int, _ isolation: Isolation = .cut) { order { $0.isolations[node] = isolation } }

    /// Lets a node's connections pass again.
    package func heal(_ node: Int) { order { $0.isolations[node] = nil } }

    private func order(_ change: (inout Orders) -> Void) {
        let number = orders.withLock { orders in
            change(&orders)
            orders.given += 1
            return orders.given
        }
        _ = waitUntil { orders.current.done >= number }
    }

    private static func run(_ relays: [RouteRelay], _ orders: Shared<Orders>) {
        while true {
            let now = orders.current
            if now.isStopped {
                for relay in relays { relay.closeAll() }
                return
            }
            for relay in relays {
                let isolations = [now.isolations[relay.from], now.isolations[relay.to]]
                relay.isSilent = isolations.contains(.silent)
                relay.isCut = isolations.contains(.cut)
                if relay.isCut { relay.closeAll() }
            }
            orders.withLock { $0.done = now.given }
            var entries = relays.flatMap(\.interests)
            guard poll(&entries, nfds_t(entries.count), 10) > 0 else { continue }
            let ready = Set(entries.filter { $0.revents != 0 }.map(\.fd))
            for relay in relays where !relay.isSilent { relay.turn(ready, target: now.targets[relay.to]) }
        }
    }
}

/// The relay of one ordered pair of nodes.
///
/// Not thread-safe: it belongs to the thread of its ``NATSClusterRoutes``.
private final class RouteRelay: @unchecked Sendable {
    // Safe: after it is made, only the one thread of the routes touches it.
    let from: Int
    let to: Int
    let port: UInt16
    var isCut = false
    var isSilent = false
    private let listener: TestSocket
    private var flows: [Flow] = []

    /// Two connections, and what was read from one and not yet taken by the other.
    private struct Flow {
        let ends: [TestSocket]
        /// Bytes on their way to each end.
        var pending: [[UInt8]] = [[], []]
        var hasEnded = false

        /// Ends the connections themselves: a child process may have inherited the descriptors.
        func close() { for end in ends { end.close() } }
    }

    init(from: Int, to: Int) throws {
        guard let listener = TestSocket.listen(port: 0) else { throw NoFreePort() }
        (self.from, self.to, self.listener) = (from, to, listener)
        port = listener.localPort
    }

    private static let pendingMax = 1 << 20

    func closeAll() {
        for flow in flows { flow.close() }
        flows = []
    }

    /// What to wait for; nothing while it is silent.
    var interests: [pollfd] {
        if isSilent { return [] }
        return [pollfd(fd: listener.descriptor, events: Int16(POLLIN), revents: 0)]
            + flows.flatMap { flow in
                flow.ends.indices.map { end in
                    let reads = flow.pending[1 - end].count < Self.pendingMax ? POLLIN : 0
                    let writes = flow.pending[end].isEmpty ? 0 : POLLOUT
                    return pollfd(fd: flow.ends[end].descriptor, events: Int16(reads | writes), revents: 0)
                }
            }
    }

    func turn(_ ready: Set<Int32>, target: UInt16) {
        for index in flows.indices { move(&flows[index], ready) }
        for flow in flows where flow.hasEnded { flow.close() }
        flows.removeAll(where: \.hasEnded)
        guard ready.contains(listener.descriptor), let client = listener.accept(timeoutMilliseconds: 0) else { return }
        guard !isCut, let server = TestSocket.connect(port: target) else { return client.close() }
        flows.append(Flow(ends: [client, server]))
    }

    private func move(_ flow: inout Flow, _ ready: Set<Int32>) {
        for end in flow.ends.indices where ready.contains(flow.ends[end].descriptor) {
            if flow.pending[1 - end].count < Self.pendingMax { read(&flow, end) }
            write(&flow, end)
        }
        for end in flow.ends.indices { write(&flow, end) }
    }

    private func read(_ flow: inout Flow, _ end: Int) {
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = recv(flow.ends[end].descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT))
        if count > 0 {
            flow.pending[1 - end] += bytes[..<count]
        } else if count == 0 || errno != EAGAIN && errno != EINTR {
            flow.hasEnded = true
        }
    }

    private func write(_ flow: inout Flow, _ end: Int) {
        guard !flow.pending[end].isEmpty else { return }
        let flags = Int32(MSG_DONTWAIT | MSG_NOSIGNAL)
        let count = flow.pending[end].withUnsafeBytes {
            send(flow.ends[end].descriptor, $0.baseAddress, $0.count, flags)
        }
        if count > 0 {
            flow.pending[end].removeFirst(count)
        } else if errno != EAGAIN && errno != EINTR {
            flow.hasEnded = true
        }
    }
}
