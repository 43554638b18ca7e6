import ServerFixtures
import Testing

/// Gives a suite one gateway for each nats-server that delivers to loopback, and ends it after the suite.
///
/// Tests keep apart by tenants.
struct DeliveryStacks: SuiteTrait, TestScoping {
    func provideScope(
        for test: Test,
        testCase: Test.Case?,
        performing function: @Sendable () async throws -> Void
    ) async throws {
        let pool = DeliveryPool()
        defer { pool.stop() }
        try await DeliveryPool.$current.withValue(pool, operation: function)
    }
}

extension Trait where Self == DeliveryStacks {
    static var deliveryStacks: Self { DeliveryStacks() }
}

// Safe: the tests that use it run one after another (`EndToEnd` is serialized).
final class DeliveryPool: @unchecked Sendable {
    @TaskLocal static var current: DeliveryPool?
    private var stacks: [String: GatewayStack] = [:]

    /// Sinks may be on loopback, without TLS, and are not asked.
    static let settings = ["SINK_ALLOW_NETWORKS": "127.0.0.0/8", "SINK_ALLOW_HTTP": "true", "SINK_HANDSHAKE": "off"]

    /// The suite's gateway in front of this nats-server, and a tenant that nobody else uses.
    static func client(_ binary: NATSServer.Binary = NATSServer.standard) throws -> DeliveryClient {
        let pool = try #require(current, "the suite lacks the trait .deliveryStacks")
        if let stack = pool.stacks[binary.description] { return DeliveryClient(stack) }
        let client = try DeliveryClient.make(binary)
        pool.stacks[binary.description] = client.stack
        return client
    }

    func stop() { stacks = [:] }
}

/// What a client of one tenant does.
struct DeliveryClient {
    let stack: GatewayStack
    let tenant = uniqueID("t")

    init(_ stack: GatewayStack) { self.stack = stack }

    /// A client of a gateway of its own, which has read its subscriptions.
    static func make(
        _ binary: NATSServer.Binary = NATSServer.standard,
        settings: [String: String] = DeliveryPool.settings
    ) throws -> DeliveryClient {
        let client = DeliveryClient(try GatewayStack(binary, settings: settings))
        try #require(client.waitUntilReady())
        return client
    }

    /// Waits until the gateway knows all subscriptions.
    func waitUntilReady() -> Bool {
        waitUntil(timeout: .seconds(30)) { (try? call("GET", "/v1/subscriptions").status) == 200 }
    }

    /// A client of another tenant of the same gateway.
    var neighbour: DeliveryClient { DeliveryClient(stack) }

    /// Sends a request with a JSON body or none.
    func call(
        _ method: String,
        _ target: String,
        _ json: String? = nil,
        headers: [(String, String)] = []
    ) throws -> HTTPResponse {
        var fields = [("X-Tenant-ID", tenant)] + headers
        if json != nil { fields.append(("Content-Type", "application/json")) }
        return try stack.exchange(HTTPRequest(method, target, headers: fields, body: Array((json ?? "").utf8)))
    }

    /// Makes or replaces a subscription; it must work.
    func subscribe(_ id: String, _ json: String) throws {
        let answer = try call("PUT", "/v1/subscriptions/\(id)", json)
        try #require([200, 201].contains(answer.status), "\(answer.status) \(answer.text)")
    }

    /// Publishes events and returns their sequences.
    @discardableResult
    func publish(_ events: TestEvent...) throws -> [Int] {
        try events.map { event in
            let answer = try stack.exchange(event.structured(headers: [("X-Tenant-ID", tenant)]))
            try #require(answer.status == 202, "\(answer.text)")
            return try #require(answer.json["sequence"].int)
        }
    }

    /// Receives events with their tokens.
    func receive(_ id: String, max: Int = 1, wait: Int = 20) throws -> [WireJSON] {
        let target = "/v1/subscriptions/\(id):receive?maxEvents=\(max)&maxWaitTime=\(wait)"
        let answer = try stack.gateway.connect(timeout: .seconds(60)).exchange(
            HTTPRequest("POST", target, headers: [("X-Tenant-ID", tenant)])
        )
        try #require(answer.status == 200, "\(answer.text)")
        return answer.json["value"].items
    }

    /// Settles received events with one verb.
    func settle(_ id: String, _ verb: String, _ events: [WireJSON], query: String = "") throws -> HTTPResponse {
        let tokens = events.map { quoted($0["brokerProperties"]["lockToken"].string ?? "") }
        return try call(
            "POST",
            "/v1/subscriptions/\(id):\(verb)\(query)",
            "{\"lockTokens\":[\(tokens.joined(separator: ","))]}"
        )
    }

    func status(_ id: String) throws -> WireJSON { try call("GET", "/v1/subscriptions/\(id)/status").json }

    /// How many events of a subscription are not settled; a pull that was on its way may have taken some and given them
    /// back.
    func unsettled(_ id: String) throws -> Int? {
        let status = try status(id)
        guard let pending = status["pending"].int, let inFlight = status["inFlight"].int else { return nil }
        return pending + inFlight
    }

    /// The tenant's dead letters of a subscription.
    func deadLetters(_ id: String) throws -> [WireJSON] {
        try call("GET", "/v1/dead-letters?subscription=\(id)").json["items"].items
    }
}
