import RedisStore
import ServerFixtures
import Testing

/// Passwords and ACL users against a real server, and that no secret shows.
@Suite struct AuthenticationTests {
    private static let secret = "hunter2-%s\r\n\"geheim\""
    private static let encoded = "hunter2-%25s%0d%0a%22geheim%22"

    /// A server with a password of its own and a user with few rights.
    private func protectedServer() throws -> RedisServer {
        let server = try RedisServer()
        server.command("ACL", "SETUSER", "anna", "on", ">" + Self.secret, "~sluice:*", "+get", "+set", "+ping")
        server.command("CONFIG", "SET", "requirepass", "open sesame")
        return server
    }

    private func address(_ server: RedisServer, _ credentials: String) -> String {
        "redis://\(credentials)@127.0.0.1:\(server.port)"
    }

    @Test func `requirepass: the right password is let in, at each connection`() async throws {
        let server = try protectedServer()
        for credentials in [":open%20sesame", "default:open%20sesame"] {
            try await withClient(address(server, credentials)) { (test) async throws in
                #expect(try await test.run("SET", "a", "1") == .status("OK"))
                server.command("CLIENT", "KILL", "TYPE", "normal", password: "open sesame")
                #expect(await test.disconnection(containing: ""))
                #expect(await test.connected())
                #expect(try await test.run("GET", "a") == .bytes([49]))
            }
        }
    }

    @Test func `ACL: a user with few rights is let in, without a version, and refused what it may not`() async throws {
        let server = try protectedServer()
        try await withClient(address(server, "anna:" + Self.encoded)) { (test) async throws in
            #expect(test.client.state == .connected(serverVersion: nil))
            #expect(try await test.run("SET", "sluice:a", "1") == .status("OK"))
            #expect(try await test.run("SET", "other", "1").errorText?.hasPrefix("NOPERM ") ?? false)
            #expect(try await test.run("FLUSHALL").errorText?.hasPrefix("NOPERM ") ?? false)
        }
    }

    @Test(arguments: [
        (":wrong-geheim", "AUTH refused: WRONGPASS"), ("anna:wrong-geheim", "AUTH refused: WRONGPASS"),
        ("nobody:geheim", "AUTH refused: WRONGPASS"), ("", "refused: NOAUTH"),
    ])
    func `wrong or missing credentials are told without them`(credentials: String, reason: String) async throws {
        let server = try protectedServer()
        let url = credentials.isEmpty ? server.url : address(server, credentials)
        let test = try TestClient(url)
        #expect(await test.connectFailure(containing: reason))
        let error = await test.failure("PING")
        #expect(error?.isNotConnected ?? false)
        for text in ["\(test.events.current)", "\(test.client.state)", "\(error as Any)"] {
            #expect(!text.contains("geheim"))
        }
        await test.client.close()
    }

    @Test func `a password for a server that has none is told`() async throws {
        let server = try RedisServer()
        let test = try TestClient(address(server, ":geheim"))
        #expect(await test.connectFailure(containing: "the server has no password for the default user"))
        await test.client.close()
    }

    @Test(arguments: [
        "-ERR unknown command `AUTH`, with args beginning with: `geheim`\r\n", "-geheim\r\n", "+geheim\r\n",
        "-NOAUTH geheim\r\n", "$6\r\ngeheim\r\n", "*1\r\n+geheim\r\n", "Xgeheim\r\n", ":1\r\n-geheim\r\n",
        "+OK\r\n-ERR it was geheim\r\n",
    ])
    func `S-31: a server that repeats the password does not get it into a log`(answer: String) async throws {
        let server = try ScriptedRedis(greeting: .raw(answer + answer + answer))
        let test = try TestClient("redis://:geheim@127.0.0.1:\(server.port)/1") {
            $0.connectTimeout = .seconds(1)
        }
        #expect(await test.connectFailure(containing: ""))
        let error = await test.failure("PING")
        for text in ["\(test.events.current)", "\(test.client.state)", "\(error as Any)"] {
            #expect(!text.contains("geheim"))
        }
        await test.client.close()
    }

    @Test func `a server with too many clients is told`() async throws {
        let server = try RedisServer(extraConfiguration: "maxclients 1")
        try await withClient(server.url) { (test) async throws in
            let second = try TestClient(server.url)
            #expect(await second.connectFailure(containing: "max number of clients reached"))
            #expect(try await test.run("PING") == .status("PONG"))
            await second.client.close()
        }
    }
}
