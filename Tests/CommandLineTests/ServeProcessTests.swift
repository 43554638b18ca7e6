import Foundation
import Glibc
import ServerFixtures
import Testing

/// `sluice serve` as a process, and a client that has to wait for it.
@Suite(.serialized)
struct ServeProcessTests {
    private let directory = TemporaryDirectory()

    private func serve(port: UInt16, natsURL: String) throws -> ToolProcess {
        try ToolProcess(
            ["serve"],
            environment: [
                "API_HOST": "127.0.0.1", "API_PORT": String(port), "NATS_URL": natsURL, "REDIS_URL": "off",
                "LOG_FORMAT": "text",
            ],
            in: directory
        )
    }

    @Test func `it runs while NATS is away, a publisher waits for it, and SIGTERM ends it with 0`() async throws {
        let (port, natsPort) = (try freePort(), try freePort())
        let gateway = try serve(port: port, natsURL: "nats://127.0.0.1:\(natsPort)")
        try await gateway.waitFor("listening")
        let publisher = try ToolProcess(
            ["publish", "--type", "a", "--source", "/b", "--id", "1", "--url", "http://127.0.0.1:\(port)"],
            in: directory
        )
        try await publisher.waitFor("the gateway answered 503")
        let server = try NATSServer(port: natsPort)
        #expect(try await publisher.exitCode(timeout: .seconds(60)) == 0)
        #expect(publisher.log.hasSuffix("stored: SLUICE_EVENTS #1, id 1\n"), "\(publisher.log)")
        gateway.child.signal(SIGTERM)
        #expect(try await gateway.exitCode() == 0)
        server.terminate()
    }

    @Test func `a port that is taken is named`() async throws {
        let taken = try #require(TestSocket.listen(port: 0))
        let gateway = try serve(port: taken.localPort, natsURL: "nats://127.0.0.1:1")
        #expect(try await gateway.exitCode() == 69)
        #expect(
            gateway.log.contains("cannot listen on 127.0.0.1:\(taken.localPort): address already in use"),
            "\(gateway.log)"
        )
        taken.close()
    }

    @Test func `S-18: a publisher's hostile strings do not forge lines on its terminal`() async throws {
        let (port, natsPort) = (try freePort(), try freePort())
        let server = try NATSServer(port: natsPort)
        let gateway = try serve(port: port, natsURL: "nats://127.0.0.1:\(natsPort)")
        try await gateway.waitFor("streams verified")
        let publisher = try ToolProcess(
            [
                "publish", "--type", "a\u{1B}[31mb", "--source", "/\u{202E}x", "--id", "i\nsluice: all is well",
                "--url", "http://127.0.0.1:\(port)",
            ],
            in: directory
        )
        #expect(try await publisher.exitCode() == 65)
        let lines = publisher.log.split(separator: "\n")
        #expect(lines.allSatisfy { !$0.hasPrefix("sluice: all is well") })
        #expect(publisher.log.unicodeScalars.allSatisfy { $0 == "\n" || $0.properties.generalCategory != .control })
        #expect(!publisher.log.unicodeScalars.contains("\u{202E}"))
        gateway.child.signal(SIGTERM)
        #expect(try await gateway.exitCode() == 0)
        server.terminate()
    }
}
