import RedisStore
import ServerFixtures
import Testing

/// A server that speaks something like the protocol and means harm.
@Suite struct HostileServerTests {
    private static let kilobyte = String(repeating: "x", count: 1024)

    /// After each of these the connection is not used again (H-06), and a well-behaved one follows.
    @Test(arguments: [
        ("S-31, H-03: nine levels", String(repeating: "*1\r\n", count: 9) + ":1\r\n", "depth > 7"),
        ("S-31, H-03: a thousand levels", String(repeating: "*1\r\n", count: 1000), "depth > 7"),
        ("S-31, H-01: 2^30 elements", "*1073741824\r\n", "an array of 1073741824 elements"),
        ("H-01: 2^31 - 1 elements", "*2147483647\r\n", "an array of 2147483647 elements"),
        // hiredis 0.14 says that it is out of range, hiredis 1 leaves it to us.
        ("H-01: 2^31 elements", "*2147483648\r\n", "protocol error"),
        ("H-01: 2^30 elements inside", "*2\r\n:1\r\n*1073741824\r\n", "an array of 1073741824 elements"),
        ("H-02, S-31: a negative length", "$-2\r\n", "Bulk string length out of range"),
        ("H-02: a negative count", "*-2\r\n", "Multi-bulk length out of range"),
        ("H-02: no length", "$\r\n", "Bad bulk string length"), ("H-02: no count", "*x\r\n", "Bad multi-bulk length"),
        ("H-02: no number", ":1x\r\n", "Bad integer value"),
        ("H-02: a number too large", ":9223372036854775808\r\n", "Bad integer value"),
        ("garbage", "HTTP/1.1 400 Bad Request\r\n\r\n", "as reply type byte"), ("NUL", "\0\0\0\0", "reply type byte"),
        ("H-03: a map of RESP3", "%1\r\n+a\r\n+b\r\n", "as reply type byte"),
        ("H-05: two replies", "+OK\r\n+OK\r\n", "a reply to nothing"),
        ("H-05: a reply and half of one", "+OK\r\n+O", "a reply to nothing"),
    ])
    func `an answer that is none ends the connection`(name: String, answer: String, reason: String) async throws {
        let server = try ScriptedRedis { command in command.number == 0 ? .raw(answer) : .raw("+FINE\r\n") }
        try await withClient(server.url) { (test) async throws in
            let error = await test.failure("FIRST")
            // A reply that is complete before the nonsense is the command's own.
            if let error { #expect(error.isProtocolError, "\(error)") } else { #expect(answer.hasPrefix("+OK")) }
            #expect(await test.disconnection(containing: reason))
            #expect(await test.connected())
            #expect(try await test.run("SECOND") == .status("FINE"))
            #expect(server.connectionCount == 2)
        }
    }

    @Test(arguments: [
        ("a bulk string without end", "$536870912\r\n", kilobyte), ("a line without end", "+", kilobyte),
        ("elements without end", "*262144\r\n", ":1\r\n:1\r\n:1\r\n:1\r\n"),
        ("a length of 63 bits", "$9223372036854775807\r\n", kilobyte), ("arrays without end", "*3\r\n", "*1\r\n:1\r\n"),
        ("replies without end", "", "$-1\r\n"),
    ])
    func `S-31, H-08: what never ends is cut off`(name: String, start: String, more: String) async throws {
        let server = try ScriptedRedis { command in
            command.number == 0 ? .endless(start, more) : .raw("+FINE\r\n")
        }
        try await withClient(server.url, adjust: { $0.replyBytesMax = 1 << 20 }) { (test) async throws in
            let error = await test.failure("FIRST")
            if let error { #expect(error.isProtocolError, "\(error)") }
            #expect(await test.disconnection(containing: "protocol error"))
            #expect(await test.connected())
            #expect(try await test.run("SECOND") == .status("FINE"))
        }
    }

    @Test func `H-08: the bound is on all replies of a batch, and replies below it pass`() async throws {
        let server = try ScriptedRedis { _ in .raw("$1000\r\n" + String(repeating: "x", count: 1000) + "\r\n") }
        try await withClient(server.url, adjust: { $0.replyBytesMax = 100_000 }) { (test) async throws in
            let command = RedisCommand("GET", "a")
            for _ in 0..<10 {
                #expect(try await test.client.run([RedisCommand](repeating: command, count: 99)).count == 99)
            }
            #expect(server.connectionCount == 1)
            var failure: RedisError?
            do throws(RedisError) {
                _ = try await test.client.run([RedisCommand](repeating: command, count: 200))
            } catch {
                failure = error
            }
            #expect(failure == .protocolError("more than 100000 bytes of replies"))
        }
    }

    @Test func `H-03: seven levels pass`() async throws {
        let server = try ScriptedRedis { _ in .raw(String(repeating: "*1\r\n", count: 7) + ":1\r\n") }
        try await withClient(server.url) { (test) async throws in
            var expected = RedisReply.integer(1)
            for _ in 0..<7 { expected = .array([expected]) }
            #expect(try await test.run("FIRST") == expected)
        }
    }

    @Test(arguments: [
        "+OK\r\n", "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n", "*1\r\n$12\r\npunsubscribe\r\n", "-ERR\r\n", "+",
        "x",
        "*3\r\n$9\r\nsubscribe\r\n$-1\r\n:0\r\n",
    ])
    func `H-05, S-31: a reply that nobody asked for is taken for nobody's`(push: String) async throws {
        let server = try ScriptedRedis { command in .raw("+\(command.text(1))\r\n") }
        try await withClient(server.url) { (test) async throws in
            #expect(try await test.run("FIRST", "mine") == .status("mine"))
            server.push(push)
            #expect(await test.disconnection(containing: "protocol error"))
            #expect(await test.connected())
            #expect(try await test.run("SECOND", "yours") == .status("yours"))
        }
    }

    @Test func `S-31, H-06: a server that trickles is cut off at the deadline of the whole`() async throws {
        let server = try ScriptedRedis { command in
            // One byte each 100 ms would take for ever, though something always comes.
            command.number == 0
                ? .all([.raw("$1000000\r\n"), .trickle("x", .milliseconds(100))]) : .raw("+FINE\r\n")
        }
        try await withClient(server.url, adjust: { $0.commandTimeout = .seconds(1) }) { (test) async throws in
            #expect(await test.failure("FIRST") == .timedOut)
            #expect(await test.connected())
            #expect(try await test.run("SECOND") == .status("FINE"))
        }
    }

    @Test func `half a reply and then the end has an unknown outcome`() async throws {
        let server = try ScriptedRedis { command in
            switch command.number {
            case 0: .all([.raw("+O"), .close])
            case 1: .all([.raw("*2\r\n:1\r\n"), .close])
            case 2: .reset
            default: .raw("+FINE\r\n")
            }
        }
        try await withClient(server.url) { (test) async throws in
            for _ in 0..<3 {
                #expect(await test.failure("FIRST")?.isConnectionLost ?? false)
                #expect(await test.connected())
            }
            #expect(try await test.run("SECOND") == .status("FINE"))
        }
    }

    @Test func `of a batch that is half answered nothing is told, and what was not sent is told apart`() async throws {
        let server = try ScriptedRedis { command in
            command.name == "LAST" ? .close : .raw("+\(command.name)\r\n")
        }
        try await withClient(server.url) { (test) async throws in
            let first = RedisCommand("FIRST")
            await #expect(throws: RedisError.connectionLost("Server closed the connection")) {
                try await test.client.run([first, first, RedisCommand("LAST"), first])
            }
        }
    }

    @Test(arguments: [
        ("never answers", ScriptedRedis.Greeting.silent, "no answer in time"),
        ("ends at once", .close, "closed the connection"), ("garbage", .raw("\0\u{1}\u{2}"), "protocol error"),
        ("always an error", .always("-ERR max number of clients reached\r\n"), "max number of clients"),
        ("control characters", .always("-ERR a\u{1B}[31m\u{7}\r\n"), "ERR a?[31m?"),
        ("always an array", .always("*1\r\n:1\r\n"), "SELECT 1 refused: unexpected reply"),
        ("more replies than asked for", .always("+OK\r\n+OK\r\n"), "a reply to nothing"),
        ("an endless first line", .raw(String(repeating: "+" + kilobyte, count: 1100)), "bytes of replies"),
    ])
    func `S-31: a greeting that is none leads to the next attempt, and the next to a connection`(
        name: String,
        greeting: ScriptedRedis.Greeting,
        reason: String
    ) async throws {
        let server = try ScriptedRedis(greeting: greeting)
        let test = try TestClient(server.url + "/1") {
            $0.connectTimeout = .seconds(1)
            $0.replyBytesMax = 1 << 20
        }
        #expect(await test.connectFailure(containing: reason))
        #expect(await test.failure("PING")?.isNotConnected ?? false)
        server.setGreeting(.normal)
        #expect(await test.connected())
        #expect(try await test.run("PING") == .status("PONG"))
        await test.client.close()
        #expect(await eventually { server.openConnectionCount == 0 })
    }

    @Test func `a server that stops reading holds nobody longer than the deadline`() async throws {
        let server = try RedisServer()
        try await withClient(server.url, adjust: { $0.commandTimeout = .seconds(1) }) { (test) async throws in
            server.pause()
            // More than the system's buffers take, so that a part is never written.
            let value = [UInt8](repeating: 0, count: 16 << 20)
            let large = RedisCommand("SET", [Array("a".utf8), value])
            #expect(await test.error(of: large) == .timedOut)
            server.resume()
            #expect(await test.connected())
            // Half a command is no command.
            #expect(try await test.run("EXISTS", "a") == .integer(0))
        }
    }

    @Test func `a flapping server is neither stormed nor does it fill the log`() async throws {
        let server = try ScriptedRedis(greeting: .close)
        let test = try TestClient(server.url) {
            $0.reconnectPauseMin = .milliseconds(1)
            $0.reconnectPauseMax = .milliseconds(2)
        }
        #expect(await eventually(timeout: .seconds(30)) { server.connectionCount > 200 })
        await test.client.close()
        #expect(test.events.current.count < 40)
    }
}
