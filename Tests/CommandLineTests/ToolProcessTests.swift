import Foundation
import ServerFixtures
import SluiceCommands
import Testing

/// The built tool where it needs no server of its own.
struct ToolProcessTests {
    @Test func `check-config shows every setting with its origin and no secret`() async throws {
        let (code, output) = try await ToolProcess.run(
            ["check-config", "--max-age", "3600"],
            environment: ["NATS_URL": "nats://me:hunter2@localhost:4222", "REDIS_URL": "redis://:hunter2@r"]
        )
        #expect(code == 0)
        #expect(!output.contains("hunter2"))
        let rows = output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        #expect(rows.map(\.first) == Setting.all.map(\.name))
        #expect(rows.contains { $0.prefix(3) == ["NATS_URL", "nats://***@localhost:4222", "environment"] })
        #expect(rows.contains { $0.prefix(3) == ["MAX_AGE", "3600", "flag"] })
        #expect(rows.contains { $0.prefix(3) == ["REDIS_URL", "redis://***@r", "environment"] })
    }

    @Test(arguments: ["serve", "dev", "check-config"])
    func `a wrong configuration ends a command with 78 and all problems`(command: String) async throws {
        let (code, output) = try await ToolProcess.run(
            [command, "--max-msgs", "none"],
            environment: ["MAX_AGE": "abc", "API_PORT": "x"]
        )
        #expect(code == 78)
        for part in ["MAX_MSGS: 'none'", "MAX_AGE: 'abc'", "API_PORT: 'x'", "3 problems"] {
            #expect(output.contains(part), "\(output)")
        }
    }

    @Test func `a configuration file is read, and named when it is missing`() async throws {
        let directory = TemporaryDirectory()
        let path = directory.path + "/sluice.json"
        try #"{"max_age": 3600}"#.write(toFile: path, atomically: true, encoding: .utf8)
        let good = try await ToolProcess.run(["check-config", "--json"], environment: ["SLUICE_CONFIG": path])
        #expect(good.code == 0)
        let age = try JSONText(parsing: Array(good.output.utf8))["MAX_AGE"]
        #expect(age?["value"]?.string == "3600")
        #expect(age?["origin"]?.string == "file")
        let bad = try await ToolProcess.run(["check-config", "--config", path + "x"])
        #expect(bad.code == 78)
        #expect(bad.output.contains("sluice.jsonx cannot be read: no such file or directory"))
    }

    @Test func `check-config --connect tells a NATS server from none`() async throws {
        let server = try NATSServer()
        let reached = try await ToolProcess.run(["check-config", "--connect", "--nats-url", server.url])
        #expect(reached.code == 0)
        #expect(reached.output.contains("JetStream on"), "\(reached.output)")
        let port = try freePort()
        let none = try await ToolProcess.run(["check-config", "--connect", "--nats-url", "nats://127.0.0.1:\(port)"])
        #expect(none.code == 69)
        #expect(none.output.contains("connection refused"))
        server.terminate()
    }

    @Test func `publishing to nobody is tried until the time is over`() async throws {
        let url = "http://127.0.0.1:\(try freePort())"
        let (code, output) = try await ToolProcess.run(
            ["publish", "--url", url, "--type", "a", "--source", "/b", "--timeout", "1"])
        #expect(code == 69)
        #expect(output.contains("connection refused; trying again for up to 1 s"))
    }

    @Test func `a file of events that is not there is named`() async throws {
        for words in [["missing.json"], ["missing.ndjson"]] {
            let (code, output) = try await ToolProcess.run(["publish"] + words)
            #expect(code == 66)
            #expect(output == "sluice: \(words[0]) cannot be read: no such file or directory\n")
        }
    }

    @Test func `https is refused with the reason`() async throws {
        let (code, output) = try await ToolProcess.run([
            "publish", "--url", "https://h", "--type", "a", "--source", "/b",
        ])
        #expect(code == 64)
        #expect(output.contains("not supported by this client yet"))
    }
}
