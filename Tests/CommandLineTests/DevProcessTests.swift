import Foundation
import Glibc
import ServerFixtures
import SluiceCommands
import Testing

/// `sluice dev` as a new user runs it, with real servers.
@Suite(.serialized)
struct DevProcessTests {
    private let directory = TemporaryDirectory()

    private struct Running {
        let tool: ToolProcess
        let url: String
        let natsPid: Int32
        let redisPid: Int32
    }

    private var data: String { directory.path + "/data" }

    private func start(_ more: [String] = []) async throws -> Running {
        let port = try freePort()
        let tool = try ToolProcess(["dev", "--data", data, "--api-port", String(port)] + more, in: directory)
        try await tool.waitFor("Stop with Ctrl-C.")
        #expect(tool.log.contains("is ready."))
        let pid = try #require(number(after: "pid ", in: tool.log))
        let servers = tool.log.components(separatedBy: "(redis-server ")
        let redisPid = try #require(number(after: "pid ", in: servers.last ?? ""))
        #expect(servers.count == 2 && isAlive(pid) && isAlive(redisPid))
        return Running(tool: tool, url: "http://127.0.0.1:\(port)", natsPid: pid, redisPid: redisPid)
    }

    /// Ends the tool in the orderly way; whoever started one ends it, which also keeps it alive until then.
    private func end(_ running: Running, by signal: Int32 = SIGTERM) async throws {
        running.tool.child.signal(signal)
        #expect(try await running.tool.exitCode() == 0, "\(running.tool.log)")
        #expect(!isAlive(running.natsPid) && !isAlive(running.redisPid))
    }

    private func publish(_ url: String, _ words: [String]) async throws -> (code: Int32, output: String) {
        try await ToolProcess.run(["publish"] + words, environment: ["SLUICE_URL": url])
    }

    @Test func `an event is published, kept over a restart, and nothing is left running`() async throws {
        let words = ["--type", "com.example.hello", "--source", "/me", "--id", "1", "--data", #"{"a":1}"#]
        var running = try await start()
        var answer = try await publish(running.url, words)
        #expect(answer.code == 0, "\(answer.output)")
        #expect(answer.output == "stored: SLUICE_EVENTS #1, id 1\n")
        try await end(running, by: SIGINT)

        running = try await start()
        answer = try await publish(running.url, words)
        #expect(answer.output == "stored before: SLUICE_EVENTS #1, id 1\n")
        try await end(running, by: SIGTERM)
    }

    @Test func `the curl command of the banner works as it is printed`() async throws {
        let running = try await start()
        let log = running.tool.log
        let from = try #require(log.range(of: "curl -i"))
        let to = try #require(log.range(of: "Stop with", range: from.upperBound..<log.endIndex))
        let shell = try #require(
            ChildProcess(
                "sh",
                ["-c", "\(log[from.lowerBound..<to.lowerBound])"],
                logPath: directory.path + "/curl.log"
            )
        )
        #expect(await eventually(timeout: .seconds(20)) { !shell.isRunning })
        #expect(shell.log.contains("HTTP/1.1 202"), "\(shell.log)")
        #expect(shell.log.contains(#""stream":"SLUICE_EVENTS""#))
        try await end(running)
    }

    @Test func `when the tool is killed its servers end too`() async throws {
        let running = try await start()
        running.tool.child.stop(SIGKILL)
        let pids = [running.natsPid, running.redisPid]
        #expect(await eventually(timeout: .seconds(30)) { !pids.contains(where: isAlive) })
        // The directory is free again, and what was stored can be read.
        try await end(try await start())
    }

    @Test func `when nats-server ends by itself the tool says so and ends`() async throws {
        let running = try await start()
        kill(running.natsPid, SIGKILL)
        #expect(try await running.tool.exitCode() == 69)
        #expect(running.tool.log.contains("nats-server (pid \(running.natsPid)) ended with status 137"))
    }

    @Test func `a second one on the same data or the same port is refused with the reason`() async throws {
        let running = try await start()
        let free = String(try freePort())
        let sameData = try await ToolProcess.run(["dev", "--data", data, "--api-port", free])
        #expect(sameData.code == 73)
        #expect(sameData.output.contains("is in use by another sluice dev"))

        let taken = try #require(running.url.split(separator: ":").last.map(String.init))
        let other = directory.path + "/other"
        let samePort = try await ToolProcess.run(["dev", "--data", other, "--api-port", taken])
        #expect(samePort.code == 69)
        #expect(samePort.output.contains("port \(taken) on 127.0.0.1 cannot be used: address already in use"))

        let natsPort = try await ToolProcess.run(["dev", "--data", other, "--api-port", free, "--nats-port", taken])
        #expect(natsPort.code == 69)
        #expect(natsPort.output.contains("port \(taken)"))
        #expect(natsPort.output.contains("--nats-port"))
        try await end(running)
    }

    @Test func `lines of events are published in batches and bad ones are named`() async throws {
        let running = try await start()
        let file = directory.path + "/events.ndjson"
        var lines = (1...250).map { #"{"specversion":"1.0","id":"\#($0)","source":"/t","type":"a.b","data":\#($0)}"# }
        lines[6] = "{\"specversion\":"
        lines[41] = #"{"specversion":"1.0","id":"","source":"/t","type":"a.b"}"#
        lines[99] = lines[98]
        try lines.joined(separator: "\n").write(toFile: file, atomically: true, encoding: .utf8)
        let answer = try await publish(running.url, [file, "--batch-size", "40"])
        #expect(answer.code == 65)
        #expect(answer.output.contains("line 7: not JSON"))
        #expect(answer.output.contains("line 42: "))
        #expect(answer.output.contains("248 stored (1 of them before), 2 refused"), "\(answer.output)")
        try await end(running)
    }

    @Test func `a refused event is shown with every rule it breaks`() async throws {
        let running = try await start()
        let file = directory.path + "/event.json"
        try #"{"specversion":"0.9","id":"","source":"/t"}"#.write(toFile: file, atomically: true, encoding: .utf8)
        let answer = try await publish(running.url, [file])
        #expect(answer.code == 65)
        #expect(answer.output.hasPrefix("400: "))
        for part in ["/specversion (", "/id (", "type"] { #expect(answer.output.contains(part), "\(answer.output)") }
        try await end(running)
    }

    @Test func `the load generator counts what was stored`() async throws {
        let running = try await start()
        for mode in ["binary", "structured", "batch"] {
            let words = ["bench", "publish", "--url", running.url, "--events", "500", "--mode", mode, "--json"]
            let answer = try await ToolProcess.run(words + ["--connections", "4", "--batch-size", "50"])
            #expect(answer.code == 0, "\(answer.output)")
            let report = try JSONText(parsing: Array(answer.output.utf8))
            #expect(report["accepted"]?.integer == 500)
            #expect(report["failed"]?.integer == 0)
        }
        let last = try await publish(running.url, ["--type", "a", "--source", "/b", "--id", "last"])
        #expect(last.output == "stored: SLUICE_EVENTS #1501, id last\n")
        try await end(running)
    }
}
