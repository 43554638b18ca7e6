import Foundation
import ServerFixtures
import Testing

extension EndToEnd {
    /// the wall clock is for telling the time; nothing waits by it.
    @Suite(.serialized) struct WallClockTests {
        private let folder = TemporaryDirectory()

        /// A gateway whose wall clock is as far from ours as the file says; all other clocks are as they are.
        ///
        /// (libfaketime 0.9.10 moves absolute timers of the monotonic clock as well, which no real step of the clock does.)
        private func start(
            _ server: NATSServer,
            clock: String,
            _ settings: [String: String]
        ) throws -> GatewayProcess {
            let library = "\(folder.path)/wall_clock.so"
            let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(
                path: "Fixtures/wall_clock.c"
            )
            let arguments = ["-O1", "-shared", "-fPIC", "-o", library, source.path]
            let compiler = try #require(ChildProcess("clang", arguments, logPath: "\(folder.path)/clang.log"))
            #expect(waitUntil(timeout: .seconds(60)) { !compiler.isRunning })
            try #require(compiler.exitStatus == 0, "\(compiler.log)")
            let moved = ["LD_PRELOAD": library, "WALL_CLOCK_OFFSET_FILE": clock]
            return try GatewayProcess(natsURL: server.url, settings: settings.merging(moved) { $1 })
        }

        /// How far the gateway's wall clock is from ours, in seconds.
        private func offset(_ gateway: GatewayProcess) throws -> Double {
            let text = try #require(try gateway.get("/health/live").json["timestamp"].string)
            let style = Date.ISO8601FormatStyle(includingFractionalSeconds: text.contains("."))
            return try style.parse(text).timeIntervalSinceNow
        }

        @Test func `R-38: jumps of an hour, forth and back, move no deadline`() throws {
            let file = "\(folder.path)/time"
            func jump(_ seconds: Int) throws {
                try "\(seconds)\n".write(toFile: file, atomically: true, encoding: .utf8)
            }
            try jump(0)
            let server = try NATSServer()
            let gateway = try start(server, clock: file, ["IDLE_TIMEOUT": "600"])
            let idle = try gateway.connect()
            #expect(try idle.get("/health/live").status == 200)
            let clients = RetryingClients(count: 4, ports: [gateway.port], policy: .note)
            for seconds in [3600, -3600, 0, -3600, 3600] {
                try jump(seconds)
                #expect(try waitUntil { abs(try offset(gateway) - Double(seconds)) < 600 }, "the clock did not jump")
                #expect(clients.waitForMore(200))
                // A few periods of the canary, of the sweep and of the probes.
                for _ in 0..<20 {
                    #expect(gateway.status(of: "/health/ready") == 200)
                    #expect(clients.waitForMore(20))
                    #expect(!idle.hasSomethingToRead(within: .milliseconds(100)), "the idle connection was closed")
                }
            }
            #expect(clients.stop())
            #expect(clients.current.failures.isEmpty, "\(clients.current.failures.prefix(5))")
            #expect(try clients.current.lost(StreamReader(url: server.url)).isEmpty)
            #expect(try idle.exchange(TestEvent().structured()).status == 202)
        }

        @Test func `R-38: a publish that waits for a hung server ends in time although the clock went back`() throws {
            let file = "\(folder.path)/time"
            try "0\n".write(toFile: file, atomically: true, encoding: .utf8)
            let server = try NATSServer()
            let gateway = try start(server, clock: file, ["PUBLISH_TIMEOUT": "2"])
            server.pause()
            let waiting = try gateway.connect()
            try waiting.send(TestEvent().structured())
            #expect(!waiting.hasSomethingToRead(within: .milliseconds(200)))
            try "-3600\n".write(toFile: file, atomically: true, encoding: .utf8)
            #expect([503, 504].contains(try waiting.receive().status))
            #expect(waitUntil(timeout: .seconds(20)) { gateway.status(of: "/health/ready") == 503 })
            server.resume()
            #expect(waitUntil(timeout: .seconds(30)) { gateway.status(of: "/health/ready") == 200 })
            #expect(try gateway.exchange(TestEvent().structured()).status == 202)
        }
    }
}
