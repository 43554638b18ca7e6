import Foundation
import Glibc
import RedisStore
import ServerFixtures
import Testing

/// What the client leaves behind in its process, each in a process of its own.
@Suite struct ThreadTests {
    @Test func `H-04: a broken pipe does not end the process`() async {
        await #expect(processExitsWith: .success) {
            signal(SIGPIPE, SIG_DFL)
            let server = try RedisServer()
            let test = try TestClient(server.url)
            try #require(await test.connected())
            // Stopped, so that it does not answer the end of our stream by its own.
            server.pause()
            // The next write says EPIPE and raises SIGPIPE, while reading goes on as before.
            let socket = try #require(Descriptors.sockets(to: server.port).first)
            #expect(shutdown(socket, Int32(SHUT_WR)) == 0)
            let error = await test.failure("PING")
            #expect(error == .notConnected("Broken pipe"))
            server.resume()
            #expect(await test.connected())
            #expect(try await test.run("PING") == .status("PONG"))
            await test.client.close()
            // The disposition is the program's, and is as it was.
            var action = sigaction()
            sigaction(SIGPIPE, nil, &action)
            #expect(unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 0)
        }
    }

    @Test func `S-31: closing ends the thread and leaves no descriptor, whatever the server does`() async {
        await #expect(processExitsWith: .success) {
            // What the system's libraries open at their first use stays.
            try await closeAmidAll()
            let before = Descriptors.count
            try await closeAmidAll()
            #expect(await eventually { Descriptors.threads(named: "redis-io") == 0 })
            #expect(await eventually { Descriptors.count <= before }, "\(before) \(Descriptors.names)")
        }
    }

    @Test func `hundreds of connections that come and go leave no descriptor and no thread`() async {
        await #expect(processExitsWith: .success) {
            let server = try RedisServer()
            try await comeAndGo(server, times: 5)
            let before = Descriptors.count
            try await comeAndGo(server, times: 300)
            #expect(await eventually { Descriptors.threads(named: "redis-io") == 0 })
            #expect(await eventually { Descriptors.count <= before }, "\(before) \(Descriptors.names)")
        }
    }
}

/// Closes a client amid everything that a server can do to it.
private func closeAmidAll() async throws {
    let reactions: [ScriptedRedis.Reaction] = [
        .silence, .endless("$1000000\r\n", "x"), .trickle("*2\r\n:1\r\n$", .milliseconds(1)), .raw("+O"), .close,
        .reset, .raw("\0"), .raw("*1073741824\r\n"), .raw("+OK\r\n+OK\r\n"), .raw("+OK\r\n"),
    ]
    for reaction in reactions {
        let server = try ScriptedRedis { _ in reaction }
        let test = try TestClient(server.url)
        try #require(await test.connected())
        let waiting = Task { await test.failure("FIRST") }
        #expect(await eventually { !server.commands.isEmpty })
        await test.client.close()
        _ = await waiting.value
        #expect(Descriptors.sockets(to: server.port).isEmpty)
        server.stop()
    }
    let greetings: [ScriptedRedis.Greeting] = [.silent, .close, .raw("+"), .raw("\0"), .always("-ERR\r\n")]
    for greeting in greetings {
        let server = try ScriptedRedis(greeting: greeting)
        let test = try TestClient(server.url)
        #expect(await eventually { server.connectionCount > 0 })
        await test.client.close()
        #expect(Descriptors.sockets(to: server.port).isEmpty)
        server.stop()
    }
}

/// A client whose connection the server ends again and again.
private func comeAndGo(_ server: RedisServer, times: Int) async throws {
    let test = try TestClient(server.url) {
        $0.reconnectPauseMin = .milliseconds(1)
        $0.reconnectPauseMax = .milliseconds(1)
    }
    let probe = try #require(RedisProbe(port: server.port))
    for _ in 0..<times {
        try #require(await test.connected())
        _ = probe.command(["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])
    }
    try #require(await test.connected())
    #expect(Descriptors.sockets(to: server.port).count <= 2)
    await test.client.close()
}

/// What the process has open.
private enum Descriptors {
    static var all: [Int32] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
        // The listing's own descriptor is gone by now.
        return names.compactMap { Int32($0) }.filter { fcntl($0, F_GETFD) != -1 }
    }

    static var count: Int { all.count }

    /// What they are, for messages.
    static var names: [String] {
        all.map { (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")) ?? "?" }
    }

    /// Sockets that are connected to a port.
    static func sockets(to port: UInt16) -> [Int32] {
        all.filter { descriptor in
            var address = sockaddr_in()
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let status = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(descriptor, $0, &length) }
            }
            return status == 0 && Int32(address.sin_family) == AF_INET && UInt16(bigEndian: address.sin_port) == port
        }
    }

    static func threads(named name: String) -> Int {
        let tasks = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task")) ?? []
        return tasks.count { task in
            let comm = try? String(contentsOfFile: "/proc/self/task/\(task)/comm", encoding: .utf8)
            return comm?.trimmingCharacters(in: .newlines) == name
        }
    }
}
