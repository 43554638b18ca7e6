import Foundation
import Glibc
import ServerFixtures
import Testing

/// `sluice serve` whose standard error is a pipe that nobody reads.
@Suite(.serialized)
struct LogProcessTests {
    private let directory = TemporaryDirectory()
    /// Whose lines are far more than a pipe holds.
    private static let requests = 600

    private struct Stalled {
        let server: NATSServer
        let child: ChildProcess
        let pipe: LogPipe
        let port: UInt16
    }

    /// Starts the gateway and has it log until its log goes nowhere.
    private func start() async throws -> Stalled {
        let path = directory.path + "/log"
        let pipe = try LogPipe(path: path)
        let server = try NATSServer()
        let port = try freePort()
        let environment = [
            "API_HOST": "127.0.0.1", "API_PORT": String(port), "NATS_URL": server.url, "REDIS_URL": "off",
            "LOG_FORMAT": "json", "LOG_LEVEL": "info", "PATH": "/usr/bin:/bin",
        ]
        let child = try #require(
            ChildProcess(try GatewayProcess.binary(), ["serve"], environment: environment, logPath: path)
        )
        let stalled = Stalled(server: server, child: child, pipe: pipe, port: port)
        try #require(await eventually(timeout: .seconds(30)) { isHealthy(port, "ready") })
        let statuses = try await onThread {
            Result {
                let connection = try HTTPConnection(port: port)
                return try (0..<Self.requests).map { _ in
                    try connection.post(
                        "/v1/events",
                        headers: [("Content-Type", "application/cloudevents+json")],
                        body: "{}"
                    ).status
                }
            }
        }.get()
        #expect(statuses.allSatisfy { $0 == 400 }, "\(Set(statuses))")
        #expect(await eventually { pipe.isFull })
        return stalled
    }

    @Test func `a log that nobody reads stops no request, and is complete when it is read after all`() async throws {
        let gateway = try await start()
        let port = gateway.port
        #expect(await onThread { isHealthy(port, "live") })

        let pipe = gateway.pipe
        let isComplete = await eventually(timeout: .seconds(20)) { refusals(pipe.read()) >= Self.requests }
        #expect(isComplete)
        #expect(pipe.read().allSatisfy { $0.message != nil && $0.dropped == nil })
        let child = gateway.child
        child.signal(SIGTERM)
        #expect(await eventually(timeout: .seconds(30)) { !child.isRunning })
        #expect(child.exitStatus == 0)
        #expect(refusals(pipe.read()) == Self.requests)
        gateway.server.terminate()
    }

    @Test func `a log that nobody reads does not keep the process from ending`() async throws {
        let gateway = try await start()
        let child = gateway.child
        child.signal(SIGTERM)
        #expect(await eventually(timeout: .seconds(20)) { !child.isRunning })
        #expect(child.exitStatus == 0)
        #expect(gateway.pipe.read().allSatisfy { $0.message != nil })
        gateway.server.terminate()
    }
}

private func isHealthy(_ port: UInt16, _ kind: String) -> Bool {
    (try? HTTPConnection(port: port, timeout: .seconds(5)).get("/health/\(kind)").status) == 200
}

private func refusals(_ lines: [LoggedLine]) -> Int {
    lines.count { $0.message == "request refused" }
}
