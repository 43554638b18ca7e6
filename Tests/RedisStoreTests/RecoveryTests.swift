import Foundation
import Glibc
import RedisStore
import ServerFixtures
import Testing

/// What happens to callers and the connection when a real server goes away or hangs.
@Suite struct RecoveryTests {
    /// A command that the server holds back until told otherwise.
    private static let held = RedisCommand("BLPOP", "never", "0")

    @Test func `H-06: a connection that the server ends is replaced, and what was on its way has an unknown outcome`()
        async throws
    {
        let server = try RedisServer()
        try await withClient(server.url) { (test) async throws in
            let onTheirWay = (0..<50).map { _ in Task { await test.error(of: Self.held) } }
            #expect(await eventually { server.statistic("blocked_clients") == 1 })
            server.command("CLIENT", "KILL", "TYPE", "normal")
            for task in onTheirWay { #expect(await task.value?.isConnectionLost ?? false) }
            #expect(await test.disconnection(containing: "Server closed the connection"))
            #expect(await test.connected())
            #expect(try await test.run("INCR", "n") == .integer(1))
        }
    }

    @Test func `commands that run while connections are killed happen at most once`() async throws {
        let server = try RedisServer()
        try await withClient(server.url) { (test) async throws in
            let outcomes = Shared((certain: 0, unknown: 0))
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        for _ in 0..<200 {
                            _ = await eventually(timeout: .seconds(30)) { test.client.state.isConnected }
                            let error = await test.error(of: RedisCommand("INCR", "n"))
                            outcomes.withLock {
                                if error == nil { $0.certain += 1 }
                                if let error, !error.isCertainlyNotSent { $0.unknown += 1 }
                            }
                        }
                    }
                }
                group.addTask {
                    for _ in 0..<20 {
                        _ = await eventually(timeout: .seconds(30)) { test.client.state.isConnected }
                        server.command("CLIENT", "KILL", "TYPE", "normal")
                    }
                }
            }
            let count = try #require(server.command("GET", "n").flatMap { Int($0) })
            let (certain, unknown) = outcomes.current
            #expect(certain <= count && count <= certain + unknown, "\(certain) \(count) \(unknown)")
            #expect(certain > 0)
        }
    }

    @Test func `R-30: a killed server is missed at once and found again when it is back`() async throws {
        let server = try RedisServer()
        try await withClient(server.url) { (test) async throws in
            for _ in 0..<3 {
                let onItsWay = Task { await test.error(of: Self.held) }
                #expect(await eventually { server.statistic("blocked_clients") == 1 })
                server.kill()
                #expect(await onItsWay.value?.isConnectionLost ?? false)
                let refused = RedisState.connecting(lastFailure: "Connection refused")
                #expect(await eventually { test.client.state == refused })
                #expect(await test.failure("PING") == .notConnected("Connection refused"))
                try server.start()
                #expect(await test.connected())
                #expect(try await test.run("PING") == .status("PONG"))
            }
        }
    }

    @Test func `R-30: with a hung server calls end at their deadline, later ones at once, until it goes on`()
        async throws
    {
        let server = try RedisServer()
        let adjust: (inout RedisConfiguration) -> Void = {
            $0.commandTimeout = .seconds(1)
            $0.connectTimeout = .seconds(1)
        }
        try await withClient(server.url, adjust: adjust) { (test) async throws in
            server.pause()
            let onTheirWay = (0..<20).map { _ in Task { await test.error(of: RedisCommand("INCR", "n")) } }
            let errors = await onTheirWay.asyncMap { await $0.value }
            #expect(errors.contains(.timedOut))
            for error in errors { #expect(error == .timedOut || error?.isConnectionLost == true || error.isRefusal) }
            #expect(await test.failure("PING")?.isNotConnected ?? false)
            // The system takes connections for a stopped process: what is missing is the greeting.
            #expect(await test.connectFailure(containing: "no answer in time"))
            #expect(await test.failure("PING")?.isNotConnected ?? false)
            server.resume()
            #expect(await test.connected())
            let count = try await test.run("INCR", "n").integer ?? 0
            #expect((1...21).contains(count))
        }
    }

    @Test func `an idle connection to a hung server is noticed without any call`() async throws {
        let server = try RedisServer()
        let adjust: (inout RedisConfiguration) -> Void = {
            $0.commandTimeout = .milliseconds(500)
            $0.idleProbeInterval = .milliseconds(100)
        }
        try await withClient(server.url, adjust: adjust) { (test) async throws in
            let probed = await eventually {
                server.command("INFO", "commandstats")?.contains("cmdstat_ping:calls=") ?? false
            }
            #expect(probed)
            server.pause()
            #expect(await test.disconnection(containing: "no answer in time"))
            server.resume()
            #expect(await test.connected())
        }
    }

    @Test func `a client that starts before its server finds it`() async throws {
        let port = try freePort()
        let test = try TestClient("redis://localhost:\(port)")
        #expect(await test.connectFailure(containing: "Connection refused"))
        #expect(await test.failure("PING")?.isNotConnected ?? false)
        let server = try RedisServer(port: port)
        #expect(await test.connected())
        #expect(try await test.run("PING") == .status("PONG"))
        #expect(server.port == port)
        await test.client.close()
        #expect(await test.failure("PING") == .closed)
        test.client.start()
        await test.client.close()
        #expect(test.client.state == .closed)
    }

    @Test func `a host without an address is told`() async throws {
        let test = try TestClient("redis://no-such-host.invalid")
        #expect(await test.connectFailure(containing: "the host name"))
        await test.client.close()
    }

    @Test func `a client that was never started is closed at once, and one that is forgotten ends by itself`()
        async throws
    {
        let server = try RedisServer()
        let unused = RedisClient(configuration: try RedisConfiguration(url: server.url))
        await unused.close()
        #expect(unused.state == .closed)
        var forgotten: TestClient? = try TestClient(server.url)
        #expect(await forgotten?.connected() ?? false)
        forgotten = nil
        // The one that asks.
        #expect(await eventually { server.statistic("connected_clients") == 1 })
    }
}

extension RedisError? {
    fileprivate var isRefusal: Bool { self?.isCertainlyNotSent ?? false }
}

extension Array where Element: Sendable {
    fileprivate func asyncMap<Result>(_ transform: (Element) async -> Result) async -> [Result] {
        var results: [Result] = []
        for element in self { results.append(await transform(element)) }
        return results
    }
}
