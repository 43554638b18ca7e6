import Foundation
import Glibc
import ServerFixtures
import SluiceCommands
import Testing

/// The commands about delivery against a real gateway and a real nats-server.
@Suite(.serialized)
struct DeliveryProcessTests {
    /// A gateway that may send to loopback, and the tool that talks to it.
    private struct Stack {
        let server: NATSServer
        let gateway: GatewayProcess
        var url: String { "http://127.0.0.1:\(gateway.port)" }

        init() throws {
            server = try NATSServer()
            gateway = try GatewayProcess(
                natsURL: server.url,
                settings: [
                    "SINK_ALLOW_NETWORKS": "127.0.0.0/8", "SINK_ALLOW_HTTP": "true", "SINK_HANDSHAKE": "off",
                ]
            )
        }

        /// Runs the tool to its end; the words are cut at blanks.
        ///
        /// What it says of requests that it tries again is left out: a gateway that has just begun may not know all yet.
        func run(_ words: String, _ more: String...) async throws -> (code: Int32, output: String) {
            let (code, output) = try await ToolProcess.run(
                words.split(separator: " ").map(String.init) + more,
                environment: ["SLUICE_URL": url]
            )
            let lines = output.split(separator: "\n", omittingEmptySubsequences: false)
            return (code, lines.filter { !$0.contains("; trying again for up to ") }.joined(separator: "\n"))
        }

        func publish(_ type: String, _ ids: [String], data: String = "{}") async throws {
            for id in ids {
                let (code, output) = try await run("publish --source /s --type \(type) --id \(id) --data", data)
                try #require(code == 0, "\(output)")
            }
        }

        func end() {
            gateway.terminate()
            #expect(gateway.waitForExit())
            server.terminate()
        }
    }

    private func lines(_ output: String) -> [String] { output.split(separator: "\n").map(String.init) }

    private func ids(_ output: String) throws -> [String] {
        try lines(output).map { try #require(JSONText(parsing: $0.utf8)["id"]?.string) }
    }

    @Test func `a subscription is made, shown, changed, paused, resumed and deleted`() async throws {
        let stack = try Stack()
        var (code, output) = try await stack.run("subscriptions list")
        #expect(code == 0 && output == "no subscriptions\n")
        (code, output) = try await stack.run("subscriptions create jobs --type com.example.job --pull --backoff 1,2")
        #expect(code == 0 && output == "created: jobs (PULL, active)\n", "\(output)")
        (code, output) = try await stack.run("subscriptions create jobs --type other --pull")
        #expect(code == 65 && output.contains("there is a subscription 'jobs' already"))
        (code, output) = try await stack.run("subscriptions create --type com.example.x --pull --json")
        let made = try #require(JSONText(parsing: output.utf8)["id"]?.string)
        (code, output) = try await stack.run("subscriptions list")
        #expect(lines(output).count == 3 && output.contains("com.example.job") && output.contains(made), "\(output)")
        (code, output) = try await stack.run("subscriptions list --limit 1 --json")
        #expect(lines(output).count == 2 && output.contains("there are more: --after"), "\(output)")
        (code, output) = try await stack.run("subscriptions show jobs")
        #expect(lines(output).contains("config.backoff      1, 2"), "\(output)")

        (code, output) = try await stack.run("subscriptions show jobs --json")
        let directory = TemporaryDirectory()
        let path = directory.path + "/jobs.json"
        try output.replacing("\"maxAttempts\":5", with: "\"maxAttempts\":9")
            .write(toFile: path, atomically: true, encoding: .utf8)
        (code, output) = try await stack.run("subscriptions replace --file", path)
        #expect(code == 0 && output == "replaced: jobs (PULL, active)\n", "\(output)")
        (code, output) = try await stack.run("subscriptions show jobs --json")
        #expect(try JSONText(parsing: output.utf8)["config"]?["maxAttempts"]?.integer == 9)

        (code, output) = try await stack.run("subscriptions pause jobs")
        #expect(output == "paused: jobs (PULL, paused)\n")
        (code, output) = try await stack.run("subscriptions status")
        #expect(lines(output).count == 3 && output.contains("paused"), "\(output)")
        (code, output) = try await stack.run("subscriptions resume jobs --wait 10")
        #expect(output == "resumed: jobs (PULL, active)\n")
        (code, output) = try await stack.run("subscriptions delete jobs", made)
        #expect(code == 0 && output == "deleted: jobs\ndeleted: \(made)\n")
        (code, output) = try await stack.run("subscriptions show jobs")
        #expect(code == 65 && output.hasPrefix("sluice: 404: "), "\(output)")
        (code, output) = try await stack.run("subscriptions status --json")
        #expect(code == 0 && output == "no subscriptions\n")
        stack.end()
    }

    @Test func `all that is wrong with a definition is told at once`() async throws {
        let stack = try Stack()
        let (code, output) = try await stack.run(
            "subscriptions replace jobs --pull --type a --max-in-flight 0 --max-attempts 1000 --source",
            "no source"
        )
        #expect(code == 65)
        for part in ["sluice: 400: ", "/config/maxInFlight", "/config/maxAttempts", "/source"] {
            #expect(output.contains(part), "\(output)")
        }
        stack.end()
    }

    @Test func `tenants do not see each other's subscriptions`() async throws {
        let stack = try Stack()
        var (code, output) = try await stack.run("subscriptions create jobs --type a --pull --tenant acme")
        #expect(code == 0, "\(output)")
        (code, output) = try await stack.run("subscriptions show jobs --tenant other")
        #expect(code == 65)
        (code, output) = try await stack.run("subscriptions list --tenant acme")
        #expect(output.contains("jobs"))
        (code, output) = try await stack.run("subscriptions list")
        #expect(output == "no subscriptions\n")
        stack.end()
    }

    @Test func `events are received once each, in one line each, and data stays as it was`() async throws {
        let stack = try Stack()
        _ = try await stack.run("subscriptions create jobs --type com.example.job --pull")
        for id in 1...3 {
            let event =
                #"{"specversion":"1.0","id":"\#(id)","source":"/s","type":"com.example.job","data": "#
                + "{ \"a\":\n1, \"a\": 2.50, \"x\": \"\u{202E}\" } }"
            let type = [(name: "Content-Type", value: "application/cloudevents+json")]
            let request = HTTPRequest("POST", "/v1/events", headers: type, body: Array(event.utf8))
            #expect(try stack.gateway.exchange(request).status == 202)
        }
        let (code, output) = try await stack.run("receive jobs --wait 20 --max 3")
        #expect(code == 0)
        #expect(try ids(output.replacing("\"a\":1,", with: "")).sorted() == ["1", "2", "3"])
        for line in lines(output) { #expect(line.hasSuffix(#""data":{"a":1,"a":2.50,"x":"\u202e"}}"#), "\(line)") }
        let (again, nothing) = try await stack.run("receive jobs --wait 1")
        #expect(again == 0 && nothing.isEmpty)
        stack.end()
    }

    @Test func `what is released or not settled comes again, and a lock token is settled later`() async throws {
        let stack = try Stack()
        _ = try await stack.run("subscriptions create jobs --type com.example.job --pull --ack-wait 2")
        try await stack.publish("com.example.job", ["1"])
        var (code, output) = try await stack.run("receive jobs --wait 20 --max 1 --release")
        #expect(try ids(output) == ["1"])
        (code, output) = try await stack.run("receive jobs --wait 20 --max 1 --no-ack")
        var item = try JSONText(parsing: output.utf8)
        #expect(item["event"]?["id"]?.string == "1")
        #expect(item["brokerProperties"]?["deliveryCount"]?.integer == 2)
        let old = try #require(item["brokerProperties"]?["lockToken"]?.string)
        // After the lock has ended it comes once more, and the old token is of no use.
        (code, output) = try await stack.run("receive jobs --wait 60 --max 1 --no-ack")
        item = try JSONText(parsing: output.utf8)
        let token = try #require(item["brokerProperties"]?["lockToken"]?.string)
        (code, output) = try await stack.run("receive jobs --settle", old)
        #expect(code == 3 && output.contains("1 event not settled: TokenLost"), "\(output)")
        (code, output) = try await stack.run("receive jobs --reject --settle", token)
        #expect(code == 0 && output.isEmpty, "\(output)")
        (code, output) = try await stack.run("dead-letters list --json")
        #expect(try JSONText(parsing: output.utf8)["reason"]?.string == "rejected")
        stack.end()
    }

    @Test func `following outlives the gateway, and Ctrl-C ends it with 0`() async throws {
        let stack = try Stack()
        _ = try await stack.run("subscriptions create jobs --type com.example.job --pull")
        let directory = TemporaryDirectory()
        let follower = try ToolProcess(["receive", "jobs", "--follow", "--url", stack.url], in: directory)
        try await stack.publish("com.example.job", ["first"])
        try await follower.waitFor("first")
        stack.gateway.kill()
        try await follower.waitFor("trying again")
        try stack.gateway.start()
        try await stack.publish("com.example.job", ["second"])
        try await follower.waitFor("second")
        follower.child.signal(SIGINT)
        #expect(try await follower.exitCode() == 0)
        stack.end()
    }

    @Test func `a reader that goes away loses nothing`() async throws {
        let stack = try Stack()
        _ = try await stack.run("subscriptions create jobs --type com.example.job --pull")
        try await stack.publish("com.example.job", (1...5).map(String.init))
        let tool = try GatewayProcess.binary()
        // `true` reads nothing: no line of it can count as printed for sure, and none may be lost.
        let script = "sleep 1 | true; \"$1\" receive jobs --wait 20 --batch-size 1 --url \"$2\" | true"
        let directory = TemporaryDirectory()
        let piped = try #require(
            ChildProcess("/bin/bash", ["-c", script, "-", tool, stack.url], logPath: directory.path + "/log")
        )
        try #require(await eventually(timeout: .seconds(60)) { !piped.isRunning })
        #expect(piped.log.contains("the output cannot be written"), "\(piped.log)")
        var seen: [String] = []
        let deadline = ContinuousClock.now + .seconds(60)
        while seen.count < 4, ContinuousClock.now < deadline {
            seen += try ids(try await stack.run("receive jobs --wait 5").output)
        }
        // What went into the pipe before its end was closed has been printed; that is one event at most.
        #expect(Set(seen).count >= 4 && Set(seen).isSubset(of: ["1", "2", "3", "4", "5"]), "\(seen)")
        stack.end()
    }

    @Test func `a webhook's dead letters are found with their reason, put back by filter, and deleted`() async throws {
        let stack = try Stack()
        let refuses = Shared(true)
        let sink = try ScriptedGateway { _ in .init(refuses.withLock { $0 } ? 422 : 204) }
        var (code, output) = try await stack.run(
            "subscriptions create hook --type com.example.order --sink \(sink.url)/in --header X-Team=a"
        )
        #expect(code == 0, "\(output)")
        try await stack.publish("com.example.order", ["a", "b", "c"])
        var found: [String] = []
        let deadline = ContinuousClock.now + .seconds(60)
        while found.count < 3, ContinuousClock.now < deadline {
            (code, output) = try await stack.run("dead-letters list --subscription hook --json")
            found = lines(output)
        }
        try #require(found.count == 3, "\(output)")
        let first = try JSONText(parsing: found[0].utf8)
        #expect(first["reason"]?.string == "rejected" && first["lastStatus"]?.integer == 422)
        let sequence = try #require(first["sequence"]?.integer)
        (code, output) = try await stack.run("dead-letters list --reason rejected --limit 2")
        #expect(lines(output).count == 4 && output.contains("422"), "\(output)")
        (code, output) = try await stack.run("dead-letters show \(sequence)")
        #expect(output.contains("lastStatus") && output.contains("  \"type\": \"com.example.order\""), "\(output)")
        (code, output) = try await stack.run("dead-letters delete \(sequence) 999")
        #expect(code == 3 && output == "999: there is no such dead letter\n1 deleted\n", "\(output)")
        (code, output) = try await stack.run("dead-letters redrive --all --dry-run --json")
        #expect(try JSONText(parsing: output.utf8)["matched"]?.integer == 2)

        refuses.withLock { $0 = false }
        let before = sink.received.count
        (code, output) = try await stack.run("dead-letters redrive --subscription hook --rate 20")
        #expect(code == 0 && output == "2 of 2 put back\n", "\(output)")
        #expect(await eventually(timeout: .seconds(30)) { sink.received.count == before + 2 })
        #expect(
            sink.received.allSatisfy {
                $0.method == "POST" && $0.headers.contains("x-team: a") || $0.headers.contains("X-Team: a")
            }
        )
        (code, output) = try await stack.run("dead-letters list")
        #expect(output == "no dead letters\n")
        stack.end()
    }

    @Test func `many dead letters are put back and deleted in groups, up to a limit`() async throws {
        let stack = try Stack()
        _ = try await stack.run("subscriptions create jobs --type com.example.job --pull")
        let events = (1...250).map { #"{"specversion":"1.0","id":"\#($0)","source":"/s","type":"com.example.job"}"# }
        let directory = TemporaryDirectory()
        let path = directory.path + "/events.json"
        try "[\(events.joined(separator: ","))]".write(toFile: path, atomically: true, encoding: .utf8)
        _ = try await stack.run("publish", path)
        var (code, output) = try await stack.run("receive jobs --max 250 --wait 30 --reject")
        #expect(lines(output).count == 250)
        (code, output) = try await stack.run("dead-letters redrive --subscription jobs --limit 130 --json")
        #expect(try JSONText(parsing: output.utf8)["redriven"]?.integer == 130, "\(output)")
        (code, output) = try await stack.run("receive jobs --max 130 --wait 30")
        #expect(Set(try ids(output)).count == 130)
        (code, output) = try await stack.run("dead-letters delete --reason rejected --limit 20")
        #expect(output == "20 deleted\n")
        (code, output) = try await stack.run("dead-letters delete --all --dry-run")
        #expect(output == "100 would be deleted\n")
        (code, output) = try await stack.run("dead-letters delete --all --json")
        #expect(code == 0)
        #expect(try JSONText(parsing: output.utf8)["deleted"]?.integer == 100)
        stack.end()
    }

    @Test(arguments: ["pull", "webhook"])
    func `bench deliver measures both ways and leaves no subscription`(mode: String) async throws {
        let stack = try Stack()
        var (code, output) = try await stack.run(
            "bench deliver --mode \(mode) --events 500 --rate 100 --seconds 1 --json"
        )
        let json = try JSONText(parsing: try #require(lines(output).last).utf8)
        #expect(code == 0, "\(output)")
        #expect(json["delivered"]?.integer == 500 && json["paced_delivered"]?.integer == 100)
        #expect(json["missing"]?.integer == 0)
        for name in ["deliveries_per_s", "delay_p50_ms", "delay_p99_ms", "cpu_s"] {
            guard case .number(let text)? = json[name], let value = Double(text), value > 0 else {
                Issue.record("\(name): \(output)")
                continue
            }
        }
        (code, output) = try await stack.run("subscriptions list")
        #expect(output == "no subscriptions\n", "\(output)")
        stack.end()
    }

    @Test func `bench deliver removes its subscription when it is interrupted`() async throws {
        let stack = try Stack()
        let directory = TemporaryDirectory()
        let bench = try ToolProcess(
            ["bench", "deliver", "--events", "0", "--rate", "50", "--seconds", "600", "--url", stack.url],
            in: directory
        )
        let url = stack.url
        try #require(
            await eventually(timeout: .seconds(30)) {
                let port = UInt16(url.split(separator: ":").last ?? "") ?? 0
                let page = try? HTTPConnection(port: port).get("/v1/subscriptions")
                return page?.text.contains("bench-") == true
            }
        )
        bench.child.signal(SIGTERM)
        #expect(try await bench.exitCode() == 130)
        let (_, output) = try await stack.run("subscriptions list")
        #expect(output == "no subscriptions\n")
        stack.end()
    }

    @Test func `a gateway that is not there is named`() async throws {
        let url = "http://127.0.0.1:\(try freePort())"
        for words in [["subscriptions", "list"], ["dead-letters", "list"], ["receive", "a"]] {
            let (code, output) = try await ToolProcess.run(words + ["--url", url, "--timeout", "1"])
            #expect(code == 69)
            #expect(output.contains("\(url): connection refused; trying again for up to 1 s"), "\(output)")
        }
    }
}
