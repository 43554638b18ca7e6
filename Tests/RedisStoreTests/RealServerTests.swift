import Foundation
import RedisStore
import ServerFixtures
import Testing

/// The client against a real redis-server.
@Suite struct RealServerTests {
    @Test func `thousands of commands go in one pipeline, and each reply is in its place`() async throws {
        let server = try RedisServer()
        try await withClient(server.url) { (test) async throws in
            #expect(test.client.state == .connected(serverVersion: server.statisticText("redis_version")))
            let commands = (0..<6000).map { RedisCommand("HINCRBY", "h\($0 % 10)", "f\($0)", "\($0)") }
            #expect(try await test.client.run(commands) == (0..<6000).map { .integer(Int64($0)) })
            let big = [UInt8](repeating: 0xA5, count: 5 << 20)
            let replies = try await test.client.run([
                RedisCommand("SET", [Array("big".utf8), big]), RedisCommand("GET", "big"), RedisCommand("GET", "no"),
                RedisCommand("LPUSH", "list", "a", "b"), RedisCommand("LRANGE", "list", "0", "-1"),
                RedisCommand("HGET", "list", "f"), RedisCommand("ECHO", ""), RedisCommand("LRANGE", "none", "0", "1"),
            ])
            #expect(replies[0] == .status("OK"))
            #expect(replies[1] == .bytes(big))
            #expect(replies[2] == .null)
            #expect(replies[3...4] == [.integer(2), .array([.bytes(Array("b".utf8)), .bytes(Array("a".utf8))])])
            #expect(replies[5].errorText?.hasPrefix("WRONGTYPE ") ?? false)
            #expect(replies[6...7] == [.bytes([]), .array([])])
            #expect(try await test.client.run([]) == [])
        }
    }

    @Test func `H-10: many callers at once get their own replies`() async throws {
        let server = try RedisServer()
        try await withClient(server.url) { (test) async throws in
            await withTaskGroup(of: Bool.self) { group in
                for caller in 0..<200 {
                    group.addTask {
                        for turn in 0..<20 {
                            let text = "\(caller)-\(turn)"
                            let echo = RedisCommand("ECHO", text)
                            let expected = RedisReply.bytes(Array(text.utf8))
                            guard let replies = try? await test.client.run([echo, RedisCommand("INCR", "n"), echo]),
                                replies.count == 3, replies[0] == expected, replies[2] == expected
                            else { return false }
                        }
                        return true
                    }
                }
                for await succeeded in group { #expect(succeeded) }
            }
            #expect(server.command("GET", "n") == "4000")
            #expect(test.client.pendingCommandCount == 0)
        }
    }

    @Test func `what all callers have queued goes out in one write`() async throws {
        let server = try RedisServer()
        let gate = DispatchSemaphore(value: 0)
        let configuration = try RedisConfiguration(url: server.url)
        // The client's thread stands in this closure while the callers queue.
        let client = RedisClient(configuration: configuration) { event in
            if case .connected = event { gate.wait() }
        }
        client.start()
        #expect(await eventually(timeout: .seconds(30)) { client.state.isConnected })
        let probe = try #require(RedisProbe(port: server.port))
        let before = try #require(RedisServer.statistic("total_reads_processed", in: probe))
        let callers = (0..<300).map { number in
            Task { try await client.run([RedisCommand("INCR", "n\(number)")]) }
        }
        #expect(await eventually(timeout: .seconds(30)) { client.pendingCommandCount == 300 })
        gate.signal()
        for caller in callers { #expect(try await caller.value == [.integer(1)]) }
        let after = try #require(RedisServer.statistic("total_reads_processed", in: probe))
        // One is of the second look itself.
        #expect(after - before == 2)
        await client.close()
    }

    @Test func `S-36, H-09: arguments are bytes, whatever they look like`() async throws {
        let server = try RedisServer()
        let hostile: [[UInt8]] = [
            Array("%s%n%d%b%%".utf8), Array("a\r\nDEL x\r\n*1\r\n$8\r\nFLUSHALL\r\n".utf8), [0], [0, 13, 10, 0, 255],
            Array("a b \"c\" 'd'".utf8), [], Array(0...255), Array("$-1\r\n".utf8),
        ]
        try await withClient(server.url) { (test) async throws in
            let monitor = try #require(RedisProbe(port: server.port))
            #expect(monitor.command(["MONITOR"]) == "OK")
            for (number, bytes) in hostile.enumerated() {
                let key = bytes + Array("-\(number)".utf8)
                let replies = try await test.client.run([
                    RedisCommand("SET", [key, bytes]), RedisCommand("GET", [key]),
                    RedisCommand("EXISTS", [key]), RedisCommand("HSET", [Array("h".utf8), bytes, bytes]),
                    RedisCommand("HGET", [Array("h".utf8), bytes]),
                ])
                let expected: [RedisReply] = [
                    .status("OK"), .bytes(bytes), .integer(1), .integer(1), .bytes(bytes),
                ]
                #expect(replies == expected)
                let script = RedisScript("return {KEYS[1], ARGV[1]}")
                let reply = try await test.client.run(script, keys: [key], arguments: [bytes])
                #expect(reply == .array([.bytes(key), .bytes(bytes)]))
            }
            #expect(server.command("DBSIZE") == "\(hostile.count + 1)")
            // The server saw these arguments and no others: its own quoting of the second one.
            let first = try #require(Self.line(of: monitor, containing: "DEL x"))
            let value = #""a\r\nDEL x\r\n*1\r\n$8\r\nFLUSHALL\r\n""#
            #expect(first.hasSuffix(#""SET" "a\r\nDEL x\r\n*1\r\n$8\r\nFLUSHALL\r\n-1" "# + value))
        }
    }

    private static func line(of monitor: RedisProbe, containing text: String) -> String? {
        while let line = monitor.read() { if line.contains(text) { return line } }
        return nil
    }

    @Test func `a script that the server lost is loaded again and runs once`() async throws {
        let server = try RedisServer()
        try await withClient(server.url) { (test) async throws in
            let script = RedisScript("return redis.call('INCRBY', KEYS[1], ARGV[1])")
            #expect(server.command("SCRIPT", "LOAD", script.source) == script.digest)
            for turn in 1...5 {
                #expect(server.command("SCRIPT", "FLUSH") == "OK")
                for half in 0...1 {
                    let reply = try await test.client.run(script, keys: [Array("n".utf8)], arguments: [Array("2".utf8)])
                    #expect(reply == .integer(Int64(turn * 4 - 2 + half * 2)))
                }
            }
            let broken = RedisScript("return redis.call('NOSUCH')")
            #expect(try await test.client.run(broken, keys: [], arguments: []).errorText != nil)
            let empty = RedisScript("")
            #expect(try await test.client.run(empty, keys: [], arguments: []) == .null)
        }
    }

    @Test(arguments: [0, 1, 54, 55, 56, 63, 64, 65, 119, 120, 128, 1000])
    func `the digest of a script is the server's, whatever its length`(count: Int) throws {
        let server = Self.shared
        let script = RedisScript("return 1" + String(repeating: " ", count: count))
        #expect(server?.command("SCRIPT", "LOAD", script.source) == script.digest)
    }

    private static let shared = try? RedisServer()

    @Test func `a socket in the file system does as well, and its commands go to the database of the address`()
        async throws
    {
        let server = try RedisServer()
        try await withClient("unix://\(server.socketPath)?db=5") { (test) async throws in
            #expect(try await test.run("SET", "a", "1") == .status("OK"))
            #expect(server.command("INFO", "keyspace")?.contains("db5:keys=1") ?? false)
            #expect(server.command("CLIENT", "LIST")?.contains("name=sluice ") ?? false)
        }
    }

    @Test func `SELECT is done at every connection, and a database that is not there is told`() async throws {
        let server = try RedisServer()
        try await withClient(server.url + "/7") { (test) async throws in
            #expect(try await test.run("SET", "a", "1") == .status("OK"))
            server.command("CLIENT", "KILL", "TYPE", "normal")
            #expect(await test.disconnection(containing: ""))
            #expect(await test.connected())
            #expect(try await test.run("GET", "a") == .bytes([49]))
        }
        let test = try TestClient(server.url + "/16")
        #expect(await test.connectFailure(containing: "SELECT 16 refused: ERR DB index is out of range"))
        await test.client.close()
    }

    @Test func `refusals of a full, read-only or misused server are replies`() async throws {
        let server = try RedisServer()
        try await withClient(server.url) { (test) async throws in
            server.command("CONFIG", "SET", "maxmemory", "1")
            #expect(try await test.run("SET", "a", "1").errorText?.hasPrefix("OOM ") ?? false)
            let script = RedisScript("return redis.call('SET', KEYS[1], '1')")
            let reply = try await test.client.run(script, keys: [Array("a".utf8)], arguments: [])
            #expect(reply.errorText?.hasPrefix("OOM ") ?? false)
            server.command("CONFIG", "SET", "maxmemory", "0")
            #expect(try await test.run("SET", "a", "1") == .status("OK"))
            server.command("REPLICAOF", "127.0.0.1", "1")
            #expect(try await test.run("SET", "a", "2").errorText?.hasPrefix("READONLY ") ?? false)
            #expect(try await test.run("GET", "a") == .bytes([49]))
            server.command("REPLICAOF", "NO", "ONE")
            #expect(try await test.run("SET", "a", "2") == .status("OK"))
            #expect(try await test.run("NOSUCH").errorText?.hasPrefix("ERR unknown command") ?? false)
            #expect(test.events.current.count == 1)
        }
    }

    @Test func `a server that still loads is connected, and its LOADING is a reply`() async throws {
        let server = try RedisServer(extraConfiguration: "enable-debug-command yes")
        server.command("DEBUG", "POPULATE", "2000")
        server.command("SAVE")
        // Loads the snapshot anew, two milliseconds a key, looking after clients in between.
        server.command("CONFIG", "SET", "key-load-delay", "2000")
        server.command("CONFIG", "SET", "loading-process-events-interval-bytes", "1024")
        let reloading = try #require(RedisProbe(port: server.port))
        #expect(reloading.send(["DEBUG", "RELOAD", "NOSAVE"]))
        let sawLoading = await eventually(timeout: .seconds(20)) {
            server.command("GET", "a")?.hasPrefix("-LOADING ") ?? false
        }
        #expect(sawLoading)
        try await withClient(server.url) { (test) async throws in
            #expect(try await test.run("GET", "a").errorText?.hasPrefix("LOADING ") ?? false)
            #expect(reloading.read() == "OK")
            #expect(try await test.run("GET", "a") == .null)
        }
    }

    @Test func `a full queue refuses at once, and only what is too much`() async throws {
        let server = try RedisServer()
        let adjust: (inout RedisConfiguration) -> Void = {
            $0.queuedCommandsMax = 100
            $0.queuedBytesMax = 10_000
        }
        try await withClient(server.url, adjust: adjust) { (test) async throws in
            let ping = RedisCommand("PING")
            await #expect(throws: RedisError.overloaded) {
                try await test.client.run([RedisCommand](repeating: ping, count: 101))
            }
            #expect(try await test.client.run([RedisCommand](repeating: ping, count: 100)).count == 100)
            #expect(await test.failure("ECHO", String(repeating: "a", count: 10_001)) == .overloaded)
            server.pause()
            let waiting = Task { try await test.client.run([RedisCommand](repeating: ping, count: 100)) }
            #expect(await eventually { test.client.pendingCommandCount == 100 })
            #expect(await test.failure("PING") == .overloaded)
            server.resume()
            #expect(try await waiting.value.count == 100)
            #expect(try await test.run("PING") == .status("PONG"))
        }
    }
}

extension RedisServer {
    /// A text in the answer to INFO.
    fileprivate func statisticText(_ name: String) -> String? {
        let lines = command("INFO", "all")?.split(whereSeparator: \.isNewline) ?? []
        return lines.first { $0.hasPrefix(name + ":") }.map { String($0.dropFirst(name.count + 1)) }
    }
}
