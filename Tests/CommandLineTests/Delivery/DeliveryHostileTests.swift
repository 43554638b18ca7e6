import ServerFixtures
import SluiceCommands
import Testing

/// What a server that means harm can do to the terminal and to the tool: nothing (S-18).
struct DeliveryHostileTests {
    /// Control sequences as JSON escapes and as raw characters, a forged line, hidden directions.
    private static let harm = #"a\u001b[2J\nsluice: all is well\r\u202e"# + "\u{9B}31m\u{202E}\u{2028}\u{7F}"

    private static let object =
        #"{"id":"\#(harm)","state":"\#(harm)","stateReason":"\#(harm)","protocol":"\#(harm)","types":["\#(harm)"],"#
        + #""note":"\#(harm)","sink":"\#(harm)","\#(harm)":"\#(harm)","lastError":{"message":"\#(harm)"},"#
        + #""protocolsettings":{"consumer":"\#(harm)","stream":"\#(harm)","subject":"\#(harm)"},"sequence":1,"#
        + #""subscription":"\#(harm)","reason":"\#(harm)","event":{"id":"\#(harm)","type":"\#(harm)","\#(harm)":"\#(harm)"}}"#

    private static let problem =
        #"{"title":"\#(harm)","detail":"\#(harm)","violations":[{"pointer":"\#(harm)","rule":"\#(harm)","detail":"\#(harm)"},"#
        + #"{"pointer":"","detail":"x"}]}"#

    private func run(_ words: String, _ server: ScriptedGateway) async throws -> (code: Int32, output: String) {
        try await ToolProcess.run(
            words.split(separator: " ").map(String.init) + ["--url", server.url, "--timeout", "1"]
        )
    }

    private func expectHarmless(_ output: String, _ words: String) {
        let isSafe = output.unicodeScalars.allSatisfy { scalar in
            switch scalar.properties.generalCategory {
            case .control: scalar == "\n"
            case .format, .lineSeparator, .paragraphSeparator: false
            default: true
            }
        }
        #expect(isSafe, "\(words): \(output.debugDescription)")
        let forged = output.split(separator: "\n").contains { $0.hasPrefix("sluice: all is well") }
        #expect(!forged, "\(words)")
    }

    private static let commands = [
        "subscriptions list", "subscriptions list --json", "subscriptions show a", "subscriptions show a --json",
        "subscriptions create --pull", "subscriptions create --pull --json", "subscriptions replace a --pull",
        "subscriptions replace a --pull --wait 1", "subscriptions delete a", "subscriptions pause a",
        "subscriptions resume a --json", "subscriptions status", "subscriptions status a",
        "subscriptions status a --json",
        "receive a --max 1", "receive a --max 1 --no-ack", "receive a --settle t", "dead-letters list",
        "dead-letters list --json", "dead-letters show 1", "dead-letters show 1 --json", "dead-letters redrive --all",
        "dead-letters redrive 1 --json", "dead-letters delete --all",
    ]

    @Test(arguments: commands)
    func `S-18: whatever the answers hold, the terminal stays sane`(words: String) async throws {
        let server = try ScriptedGateway { request in
            if request.target.contains(":receive") {
                return .init(
                    200,
                    #"{"value":[{"brokerProperties":{"lockToken":"\#(Self.harm)"},"event":\#(Self.object)}]}"#
                )
            }
            if request.target.contains(":acknowledge") {
                let error = #"{"code":"\#(Self.harm)","message":"\#(Self.harm)"}"#
                return .init(
                    200,
                    #"{"failedLockTokens":[{"lockToken":"x","error":\#(error)}],"succeededLockTokens":[]}"#
                )
            }
            if request.target.contains(":redrive") {
                let failures = #"[{"sequence":1,"detail":"\#(Self.harm)"}]"#
                return .init(
                    200,
                    #"{"matched":1,"redriven":0,"failed":1,"failures":\#(failures),"stopped":"\#(Self.harm)"}"#
                )
            }
            let isList = request.target.split(separator: "?").first.map {
                request.method == "GET" && ($0.hasSuffix("/subscriptions") || $0.hasSuffix("/dead-letters"))
            }
            return .init(200, isList == true ? #"{"items":[\#(Self.object)],"next":null}"# : Self.object)
        }
        expectHarmless(try await run(words, server).output, words)
    }

    @Test(arguments: commands)
    func `S-18: refusals are told without harm, with the code for a refusal`(words: String) async throws {
        let server = try ScriptedGateway { _ in .init(400, Self.problem) }
        let (code, output) = try await run(words, server)
        #expect(code == 65, "\(output)")
        expectHarmless(output, words)
        #expect(output.hasPrefix("sluice: 400: a"))
    }

    @Test(arguments: commands)
    func `what is no answer of a gateway is an error and no crash`(words: String) async throws {
        for body in [
            "", "null", "[]", "<html>", "{\"items\":7}", "{\"value\":[{}]}", "{\"items\":[[]],\"next\":\"x\"}",
        ] {
            let server = try ScriptedGateway { _ in .init(200, body) }
            let (code, output) = try await run(words, server)
            #expect((0...99).contains(code), "\(words), \(body): \(code) \(output)")
            if body != "{\"items\":[[]],\"next\":\"x\"}", !words.contains("delete a"), !words.contains("settle") {
                #expect(code != 0 || output.isEmpty == false, "\(words), \(body): silence")
            }
        }
    }

    @Test func `a list that never ends is given up when its cursor stands still`() async throws {
        let server = try ScriptedGateway { _ in .init(200, #"{"items":[],"next":"again"}"#) }
        let (code, output) = try await run("subscriptions list", server)
        #expect(code == 69 && output.contains("the list does not go on"), "\(output)")
        #expect(server.received.count == 2)
        #expect(server.received.last?.target == "/v1/subscriptions?limit=100&after=again")
    }

    @Test func `answers that pass are tried again with the same request`() async throws {
        let server = try ScriptedGateway { [count = Shared(0)] _ in
            let number = count.withLock { count in
                count += 1
                return count
            }
            switch number {
            case 1: return .init(503, "{}")
            case 2: return .init(429, "{}", headers: "Retry-After: 0\r\n")
            case 3: return .init(504, "{}")
            default: return .init(200, #"{"id":"a","state":"active","protocol":"PULL"}"#)
            }
        }
        let words = ["subscriptions", "replace", "a", "--pull", "--tenant", "acme", "--url", server.url]
        let (code, output) = try await ToolProcess.run(words)
        #expect(code == 0 && output.contains("replaced: a (PULL, active)"), "\(output)")
        #expect(server.received.count == 4)
        for request in server.received {
            #expect(request.method == "PUT" && request.body == #"{"protocol":"PULL"}"#)
            #expect(request.headers.contains("x-tenant-id: acme"))
        }
    }

    @Test func `a subscription without a name is not made twice`() async throws {
        for status in [503, 504] {
            let server = try ScriptedGateway { _ in .init(status, "{}") }
            let (code, _) = try await run("subscriptions create --pull", server)
            #expect(code == 69)
            #expect(server.received.count == 1)
        }
    }

    @Test func `more violations than a screen holds are counted`() async throws {
        let all = (1...200).map { #"{"pointer":"/\#($0)","rule":"R","detail":"d"}"# }.joined(separator: ",")
        let server = try ScriptedGateway { _ in .init(400, #"{"title":"t","violations":[\#(all)]}"#) }
        let (code, output) = try await run("subscriptions replace a --pull", server)
        #expect(code == 65)
        #expect(output.contains("  /64 (R): d\n") && output.hasSuffix("  and 136 more\n"), "\(output)")
    }
}
