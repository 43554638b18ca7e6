import CloudEvents
import EventBus
import Hummingbird
import JetStream
import NIOCore
import RedisStore

/// The answers of `/health`, `/health/live`, `/health/ready` and `/ready`.
///
/// Live: this process answers; never depends on NATS. Ready: a canary was acknowledged within seconds and the
/// streams are as configured, so a publish can be expected to succeed, and the subscriptions were read once or cannot be:
/// what becomes of them later shows in the details, and keeps nobody from publishing. Overall: both, with details, for
/// people.
struct Health: Sendable {
    let bus: EventBus
    let deliveries: DeliveryHost
    let observation: Observation
    let durability: DurabilityWatch
    let clusterID: String?

    /// From this share on a stream counts as nearly full.
    static let nearlyFull = 0.8

    func live() -> Response {
        var body = head("live")
        body.appendJSON(raw: "}")
        return response(.ok, body)
    }

    func ready() -> Response {
        let state = State(bus.status, deliveries)
        var body = head(state.isReady ? "ready" : "not ready")
        write(reasons: state.reasons, into: &body)
        body.appendJSON(raw: "}")
        return response(state.isReady ? .ok : .serviceUnavailable, body)
    }

    /// What is known at one moment.
    private struct State {
        let bus: BusStatus
        let deliveries: DeliveryReadiness

        init(_ bus: BusStatus, _ host: DeliveryHost) {
            self.bus = bus
            deliveries = host.readiness(publishingSince: bus.readySince)
        }

        var isReady: Bool { bus.isReady && deliveries != .reading }

        var reasons: [String] {
            // Without a connection nothing else is worth saying.
            bus.reasons + (bus.connection.isConnected ? [deliveries.reason].compactMap { $0 } : [])
        }

        /// The word for the subscriptions in `details`.
        var subscriptions: String {
            switch deliveries {
            case .reading: "reading"
            case .current: "current"
            case .behind: "behind"
            case .refused: "unavailable"
            }
        }
    }

    func overall() -> Response {
        let state = State(bus.status, deliveries)
        let status = state.bus
        let isNearlyFull = (status.fill?.share ?? 0) >= Self.nearlyFull
        let redis = observation.redis?.state.isConnected
        let isDegraded =
            isNearlyFull || status.storeIsFull || !status.auditFaults.isEmpty || redis == false
            || state.deliveries != .current
        var body = head(!state.isReady ? "unhealthy" : isDegraded ? "degraded" : "healthy")
        body.appendJSON(raw: ",\"details\":{\"nats_connected\":")
        append(status.connection.isConnected, to: &body)
        // Null when there is none to connect to: REDIS_URL=off.
        body.appendJSON(raw: ",\"redis_connected\":")
        if let redis { append(redis, to: &body) } else { body.appendJSON(raw: "null") }
        body.appendJSON(raw: ",\"running\":")
        append(!status.draining, to: &body)
        // What an acknowledged event survives: killed processes always, a power cut only with evidence.
        let durability = durability.current
        body.appendJSON(raw: ",\"durability\":")
        body.appendJSON(string: durability.name)
        body.appendJSON(raw: ",\"durability_evidence\":")
        body.appendJSON(string: durability.evidence)
        body.appendJSON(raw: ",\"ready\":")
        append(state.isReady, to: &body)
        var reasons = state.reasons
        if redis == false { reasons.append("Redis is not connected; the tenants' counts are kept until it is") }
        if isNearlyFull, !status.storeIsFull, let share = status.fill?.share {
            reasons.append("the event stream is \(Int(share * 100)) % full")
        }
        write(reasons: reasons, into: &body)
        body.appendJSON(raw: ",\"subscriptions\":")
        body.appendJSON(string: state.subscriptions)
        body.appendJSON(raw: ",\"version\":")
        body.appendJSON(string: GatewayConfiguration.version)
        if let clusterID {
            body.appendJSON(raw: ",\"nats_cluster_id\":")
            body.appendJSON(string: clusterID)
        }
        if let server = bus.client.serverInfo {
            body.appendJSON(raw: ",\"nats_server_version\":")
            body.appendJSON(string: server.version)
            body.appendJSON(raw: ",\"max_event_bytes\":")
            body.appendJSON(integer: UInt64(max(bus.eventBytesMax, 0)))
        }
        if let fill = status.fill { write(fill, into: &body) }
        body.appendJSON(raw: "}}")
        return response(state.isReady ? .ok : .serviceUnavailable, body)
    }

    private func head(_ status: String) -> [UInt8] {
        var body: [UInt8] = []
        body.reserveCapacity(512)
        body.appendJSON(raw: "{\"status\":")
        body.appendJSON(string: status)
        body.appendJSON(raw: ",\"timestamp\":")
        body.appendJSON(string: Timestamp.now().text)
        return body
    }

    private func write(reasons: [String], into body: inout [UInt8]) {
        body.appendJSON(raw: ",\"reasons\":[")
        for (index, reason) in reasons.enumerated() {
            if index > 0 { body.append(UInt8(ascii: ",")) }
            body.appendJSON(string: reason)
        }
        body.append(UInt8(ascii: "]"))
    }

    private func write(_ fill: BusStatus.Fill, into body: inout [UInt8]) {
        body.appendJSON(raw: ",\"stream\":{\"name\":")
        body.appendJSON(string: bus.streamName.description)
        body.appendJSON(raw: ",\"messages\":")
        body.appendJSON(integer: fill.messages)
        body.appendJSON(raw: ",\"bytes\":")
        body.appendJSON(integer: fill.bytes)
        body.appendJSON(raw: ",\"fill_percent\":")
        body.appendJSON(integer: UInt64(min(max(fill.share, 0), 10) * 100))
        body.append(UInt8(ascii: "}"))
    }

    private func append(_ value: Bool, to body: inout [UInt8]) {
        body.appendJSON(raw: value ? "true" : "false")
    }

    private func response(_ status: HTTPResponse.Status, _ body: [UInt8]) -> Response {
        Response(
            status: status,
            headers: [.contentType: HTTPAnswer.MediaType.json, .cacheControl: "no-store"],
            body: .init(byteBuffer: ByteBuffer(bytes: body))
        )
    }
}
