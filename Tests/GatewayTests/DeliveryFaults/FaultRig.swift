import Foundation
import ServerFixtures
import Testing

/// One nats-server and several gateways in front of it that deliver to loopback; any of them may be killed at any time.
///
/// Ends all when it goes away. Not thread-safe: one test uses it at a time.
final class FaultRig {
    static let tenant = "faults"
    /// Sinks may be on loopback, without TLS, and are not asked; they have three seconds for an answer.
    static let settings = [
        "SINK_ALLOW_NETWORKS": "127.0.0.0/8,::1/128", "SINK_ALLOW_HTTP": "true", "SINK_HANDSHAKE": "off",
        "SINK_TIMEOUT": "3",
    ]

    let server: NATSServer
    let gateways: [GatewayProcess]
    private var probe: NATSProbe?

    /// - Parameters:
    ///   - relay: the port at which the gateways reach the server, given its own.
    ///   - settings: environment variables beside ``settings``.
    init(
        _ binary: NATSServer.Binary = NATSServer.standard,
        replicas: Int = 1,
        settings: [String: String] = [:],
        relay: (UInt16) -> UInt16 = { $0 }
    ) throws {
        let server = try NATSServer(binary)
        self.server = server
        let url = "nats://127.0.0.1:\(relay(server.port))"
        let all = Self.settings.merging(settings) { $1 }
        gateways = try (0..<replicas).map { _ in try GatewayProcess(natsURL: url, settings: all) }
    }

    var gateway: GatewayProcess { gateways[0] }

    // MARK: HTTP

    /// Sends a request with a JSON body or none to one of the gateways.
    func call(
        _ method: String,
        _ target: String,
        _ json: String? = nil,
        at replica: Int = 0,
        timeout: Duration = .seconds(60)
    ) throws -> HTTPResponse {
        var fields = [("X-Tenant-ID", Self.tenant)]
        if json != nil { fields.append(("Content-Type", "application/json")) }
        let request = HTTPRequest(method, target, headers: fields, body: Array((json ?? "").utf8))
        return try gateways[replica].connect(timeout: timeout).exchange(request)
    }

    /// Makes or replaces a subscription, which must work.
    func subscribe(_ id: String, _ sink: FaultSink?, types: [String] = [], config: String) throws {
        let protocolMember = sink.map { #""protocol":"HTTP","sink":"\#($0.url)""# } ?? #""protocol":"PULL""#
        let list = types.map(quoted).joined(separator: ",")
        let members = [protocolMember, types.isEmpty ? nil : "\"types\":[\(list)]", "\"config\":{\(config)}"]
        let json = "{\(members.compactMap(\.self).joined(separator: ","))}"
        var answer = try call("PUT", "/v1/subscriptions/\(id)", json)
        // A gateway that has just begun may still be reading the subscriptions.
        _ = try waitUntil(timeout: .seconds(30)) {
            if answer.status != 503 { return true }
            answer = try call("PUT", "/v1/subscriptions/\(id)", json)
            return false
        }
        try #require([200, 201].contains(answer.status), "\(answer.status) \(answer.text)")
        for replica in gateways.indices { try waitUntilKnown(id, at: replica) }
    }

    /// Waits until a gateway knows of a subscription: it may have just begun, or the news may be on its way.
    func waitUntilKnown(_ id: String, at replica: Int = 0) throws {
        let isKnown = waitUntil(timeout: .seconds(30)) {
            (try? call("GET", "/v1/subscriptions/\(id)", at: replica).status) == 200
        }
        try #require(isKnown, "gateway \(replica) does not know \(id)")
    }

    /// Starts a gateway that ended, and waits until it knows of a subscription.
    func restart(_ id: String, at replica: Int = 0) throws {
        try gateways[replica].start()
        try waitUntilKnown(id, at: replica)
    }

    func status(_ id: String, at replica: Int = 0) throws -> WireJSON {
        try call("GET", "/v1/subscriptions/\(id)/status", at: replica).json
    }

    /// Deliveries that this gateway counted since it began.
    func delivered(_ id: String, at replica: Int = 0) throws -> Int {
        try status(id, at: replica)["thisReplica"]["delivered"].int ?? -1
    }

    /// What publishes to all gateways.
    var publisher: FaultPublisher { FaultPublisher(ports: gateways.map(\.port)) }

    /// Publishes events with these ids, in batches, each until it is acknowledged.
    func publish(_ ids: [String], type: String = "com.example.faults") throws {
        try #require(publisher.publish(ids, type: type), "the events cannot be published")
    }

    // MARK: Past the gateway

    /// Calls `$JS.API.<subject>` on a connection that has nothing of Sluice in it; `.null` while the server is away.
    func api(_ subject: String, _ payload: String = "") -> WireJSON {
        if probe == nil { probe = try? NATSProbe(port: server.port) }
        guard let answer = try? probe?.request("$JS.API.\(subject)", Array(payload.utf8)),
            let json = try? WireJSON(parsing: answer)
        else {
            probe = nil
            return .null
        }
        return json
    }

    /// What the server says of a subscription's consumer.
    func consumer(_ id: String) -> WireJSON { api("CONSUMER.INFO.SLUICE_EVENTS.\(Self.tenant)_\(id)") }

    func messageCount(_ stream: String) -> Int { api("STREAM.INFO.\(stream)")["state"]["messages"].int ?? -1 }

    /// Waits until nothing is pending and nothing is unsettled.
    func waitUntilSettled(_ id: String, timeout: Duration = .seconds(120)) -> Bool {
        waitUntil(timeout: timeout) {
            let info = consumer(id)
            return info["num_pending"].int == 0 && info["num_ack_pending"].int == 0
        }
    }

    /// Every message of a stream, read past the gateway.
    func messages(of stream: String) throws -> [StoredMessage] {
        try StreamReader(url: server.url, stream: stream).allMessages()
    }

    /// How often each event's id stands in a stream.
    func copies(in stream: String) throws -> [String: Int] {
        try messages(of: stream).reduce(into: [:]) { counts, message in
            counts[try message.event().attributes["id"] ?? "", default: 0] += 1
        }
    }

    /// The dead letters, read past the gateway.
    func letters() throws -> [FaultLetter] {
        try messages(of: "SLUICE_DEAD_LETTERS").map { message in
            FaultLetter(
                id: try message.event().attributes["id"] ?? "",
                original: message["Sluice-Sequence"].flatMap { Int($0) } ?? 0,
                subscription: message["Sluice-Subscription"] ?? "",
                reason: message["Sluice-Reason"] ?? "",
                attempts: message["Sluice-Attempts"].flatMap { Int($0) } ?? -1
            )
        }
    }
}

/// What a dead letter says.
struct FaultLetter {
    let id: String
    let original: Int
    let subscription: String
    let reason: String
    let attempts: Int
}

/// Publishes to whichever gateway takes it, again and again until one does: the same identity is stored once.
struct FaultPublisher: Sendable {
    private static let batchSize = 200
    let ports: [UInt16]

    /// - Returns: Whether all were acknowledged within a minute each batch.
    func publish(_ ids: [String], type: String) -> Bool {
        var rest = ids[...]
        var position = 0
        while !rest.isEmpty {
            let events = rest.prefix(Self.batchSize).map { TestEvent(id: $0, type: type).json }
            let request = batch(events, headers: [("X-Tenant-ID", FaultRig.tenant)])
            let isDone = waitUntil(timeout: .seconds(60)) {
                position += 1
                let port = ports[position % ports.count]
                let answer = try? HTTPConnection(port: port, timeout: .seconds(15)).exchange(request)
                return answer?.status == 202
            }
            guard isDone else { return false }
            rest = rest.dropFirst(Self.batchSize)
        }
        return true
    }
}
