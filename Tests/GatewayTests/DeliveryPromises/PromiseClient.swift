import Foundation
import ServerFixtures
import Testing

extension DeliveryClient {
    /// A push subscription's definition: members beside `protocol`, `sink` and `config`, and the members of `config`.
    static func hook(_ url: String, _ members: [String] = [], config: [String] = []) -> String {
        let all = ["\"protocol\":\"HTTP\"", "\"sink\":\(quoted(url))"] + members
        return "{\((all + ["\"config\":{\(config.joined(separator: ","))}"]).joined(separator: ","))}"
    }

    /// Pushes to a receiver.
    func push(
        _ id: String = "s",
        to receiver: WebhookReceiver,
        _ members: [String] = [],
        config: [String] = []
    ) throws {
        try subscribe(id, Self.hook(receiver.url, members, config: config))
    }

    /// Waits for so many dead letters of a subscription and returns them.
    func letters(_ id: String = "s", count: Int = 1) throws -> [WireJSON] {
        let came = try waitUntil(timeout: .seconds(60)) { try deadLetters(id).count >= count }
        let found = try deadLetters(id)
        try #require(came, "\(found.count) dead letters; \((try? status(id).text) ?? "no status")")
        return found
    }

    /// Waits until everything that the subscription wanted has been settled.
    func isSettled(_ id: String = "s") throws -> Bool {
        try waitUntil(timeout: .seconds(60)) {
            let status = try status(id)
            return status["pending"].int == 0 && status["inFlight"].int == 0
        }
    }

    /// Stores a message past the gateway, as a native producer would; it is in the stream on return.
    func publishNatively(
        _ payload: [UInt8],
        headers: [String] = ["Content-Type: application/cloudevents+json"],
        type: String = "com.example.tested"
    ) throws {
        let probe = try NATSProbe(url: stack.server.url)
        let answer = probe.request("ce.\(tenant).normal.\(type)", headers: headers, payload: payload)
        try #require(answer?.text.contains("\"seq\"") == true, "\(answer?.text ?? "no PubAck")")
    }
}

extension WebhookReceiver {
    /// How often each event came, by id; in binary mode.
    var copiesByID: [String: Int] { posts.reduce(into: [:]) { $0[$1["ce-id"] ?? "", default: 0] += 1 } }

    /// Waits for so many deliveries.
    func hasGot(_ count: Int, timeout: Duration = .seconds(60)) -> Bool {
        waitUntil(timeout: timeout) { posts.count >= count }
    }
}

extension HTTPResponse {
    /// The pointers of a problem's violations.
    var pointers: [String] { json["violations"].items.compactMap { $0["pointer"].string } }
}

extension PythonProgram {
    /// The interpreter that has the packages the tests need, for programs that run beside a test.
    static func interpreter() throws -> String {
        try #require(ProcessInfo.processInfo.environment["SLUICE_TEST_PYTHON"], "SLUICE_TEST_PYTHON is not set")
    }
}
