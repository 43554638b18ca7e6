import Foundation
import ServerFixtures
import Testing

/// The example of `deploy/examples/platform-events`, as the package builds it.
@Suite struct TypedExampleTests {
    /// Where the products of this build are: beside the test bundle.
    private static var program: String {
        let environment = ProcessInfo.processInfo.environment
        if let path = environment["SLUICE_TEST_EXAMPLE"] { return path }
        return Bundle.main.bundleURL.appending(path: "PlatformEvents").path
    }

    @Test(arguments: NATSServer.available)
    func `the platform's story completes`(binary: NATSServer.Binary) async throws {
        let server = try NATSServer(binary)
        let folder = TemporaryDirectory()
        // The second run finds the durables and the dead letters of the first.
        for run in 1...2 {
            let child = try Self.start(server.url, logPath: "\(folder.path)/\(run)")
            #expect(await eventually(timeout: .seconds(120)) { !child.isRunning })
            let lines = child.log.split(separator: "\n")
            #expect(child.exitStatus == 0, "\(child.log)")
            #expect(lines.last == "the story is complete")
            #expect(
                lines.contains { $0.hasPrefix("registry") && $0.hasSuffix("checkout is active, approved by on-call") }
            )
            #expect(lines.filter { $0.hasPrefix("dead letter") }.count == 2, "\(child.log)")
        }
        server.terminate()
    }

    @Test func `without NATS it can be stopped, and says that the story is incomplete`() async throws {
        let folder = TemporaryDirectory()
        let child = try Self.start("nats://127.0.0.1:\(try freePort())", logPath: "\(folder.path)/log")
        await letPass(.seconds(1))
        #expect(child.isRunning)
        child.signal(SIGTERM)
        #expect(await eventually(timeout: .seconds(60)) { !child.isRunning })
        #expect(child.exitStatus == 1 << 8, "\(child.log)")
    }

    /// The example could not be started.
    private struct NotBuilt: Error, CustomStringConvertible {
        let description = "no product PlatformEvents beside the tests, and none in SLUICE_TEST_EXAMPLE"
    }

    private static func start(_ url: String, logPath: String) throws -> ChildProcess {
        let environment = ProcessInfo.processInfo.environment.merging(["NATS_URL": url]) { $1 }
        guard let child = ChildProcess(program, [], environment: environment, logPath: logPath) else {
            throw NotBuilt()
        }
        return child
    }
}
