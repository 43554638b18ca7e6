import Foundation
import ServerFixtures

/// One nats-server with one gateway in front of it, and a way to look into the stream past the gateway.
///
/// Ends both when it goes away. Not thread-safe: one test uses it at a time.
final class GatewayStack {
    static let stream = "SLUICE_EVENTS"

    let server: NATSServer
    let gateway: GatewayProcess

    /// - Parameters:
    ///   - settings: Environment variables of the gateway's configuration.
    ///   - prepare: What to do with the server before the gateway starts.
    init(
        _ binary: NATSServer.Binary,
        settings: [String: String] = [:],
        until readiness: GatewayProcess.Readiness = .ready,
        prepare: (StreamReader) throws -> Void = { _ in }
    ) throws {
        server = try NATSServer(binary)
        try prepare(StreamReader(url: server.url))
        gateway = try GatewayProcess(natsURL: server.url, settings: settings, until: readiness)
    }

    /// A new look into the stream; an old one does not survive a restart of the server.
    func reader() throws -> StreamReader {
        try StreamReader(url: server.url)
    }

    /// Sends one request on a connection of its own.
    func exchange(_ request: HTTPRequest) throws -> HTTPResponse {
        try gateway.exchange(request)
    }

    /// Waits until the gateway says that it is ready.
    func waitUntilReady() -> Bool {
        waitUntil(timeout: .seconds(30)) { gateway.status(of: "/health/ready") == 200 }
    }
}

/// A message as the stream holds it.
struct StoredMessage {
    let subject: String
    /// Names and values in order, as they stand on the wire.
    let headers: [(name: String, value: String)]
    let payload: [UInt8]

    subscript(name: String) -> String? {
        headers.first { $0.name == name }?.value
    }

    func event() throws -> StoredEvent {
        try StoredEvent(payload: payload)
    }
}

/// Reads the stream through JetStream's own API on a connection that has nothing of Sluice in it.
struct StreamReader {
    private let probe: NATSProbe
    private let stream: String

    init(url: String, stream: String = GatewayStack.stream) throws {
        probe = try NATSProbe(url: url)
        self.stream = stream
    }

    /// Calls `$JS.API.<subject>` and returns the answer, which may be an error object.
    func api(_ subject: String, _ payload: String = "") throws -> WireJSON {
        try WireJSON(parsing: probe.request("$JS.API.\(subject)", Array(payload.utf8)))
    }

    /// How many messages the stream holds.
    func messageCount() throws -> Int {
        try api("STREAM.INFO.\(stream)")["state"]["messages"].int ?? -1
    }

    /// The sequence of the last message, 0 before the first.
    func lastSequence() throws -> Int {
        try api("STREAM.INFO.\(stream)")["state"]["last_seq"].int ?? -1
    }

    /// The message with this sequence, or `nil` when there is none.
    func message(_ sequence: Int) throws -> StoredMessage? {
        let message = try api("STREAM.MSG.GET.\(stream)", "{\"seq\":\(sequence)}")["message"]
        guard let subject = message["subject"].string else { return nil }
        let head = message["hdrs"].string.flatMap { Data(base64Encoded: $0) } ?? Data()
        let payload = message["data"].string.flatMap { Data(base64Encoded: $0) } ?? Data()
        return StoredMessage(subject: subject, headers: Self.fields(head), payload: Array(payload))
    }

    /// Every message of the stream, in order.
    func allMessages() throws -> [StoredMessage] {
        let last = try lastSequence()
        return last < 1 ? [] : try (1...last).compactMap { try message($0) }
    }

    /// How many copies of each event id the stream holds.
    func copiesByID() throws -> [String: Int] {
        try allMessages().reduce(into: [:]) { counts, message in
            counts[try message.event().attributes["id"] ?? "", default: 0] += 1
        }
    }

    /// `NATS/1.0` and then one field on a line.
    private static func fields(_ head: Data) -> [(name: String, value: String)] {
        let lines = String(decoding: head, as: UTF8.self).components(separatedBy: "\r\n")
        return lines.dropFirst().filter { !$0.isEmpty }.map { line in
            let parts = line.components(separatedBy: ":")
            let value = parts.dropFirst().joined(separator: ":")
            return (parts.first ?? "", value.hasPrefix(" ") ? String(value.dropFirst()) : value)
        }
    }
}
