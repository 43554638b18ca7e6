import SluiceCommands
import Testing

/// What each command understands, and what it says when it does not.
struct ArgumentTests {
    @Test(
        arguments: [
            (["serve"], "serve"), (["serve", "--api-port", "1", "--max-bytes", "-1", "--no-update-streams"], "serve"),
            (["dev", "--data", "d", "--nats-port", "4333", "--api-port", "0"], "dev"),
            (["check-config", "--connect", "--json", "--config", "f.json"], "check-config"),
            (["publish", "--type", "a", "--source", "/b"], "publish"),
            (
                [
                    "publish", "--type", "a", "--source", "/b", "--extension", "k=v", "--extension", "l=", "--data",
                    "-1",
                ], "publish"
            ),
            (["publish", "events.ndjson", "--batch-size", "10"], "publish"), (["publish", "-"], "publish"),
            (["publish", "-", "--format", "ndjson", "--tenant", "acme", "--json"], "publish"),
            (["bench", "publish", "--rate", "1000", "--seconds", "0.5", "--mode", "batch"], "publish"),
            (["bench", "publish", "--events", "7", "--json"], "publish"),
        ])
    func `a command line is understood`(words: [String], command: String) {
        let reading = CommandLineReading(words)
        #expect(reading.command == command, "\(reading.message)")
        #expect(reading.exitCode == 0)
    }

    @Test(
        arguments: [
            (["publish"], "nothing to publish"), (["publish", "--type", "a"], "--source"),
            (["publish", "--source", "a"], "--type"), (["publish", "f.json", "--type", "a"], "one or the other"),
            (["publish", "--type", "a", "--source", "b", "--data", "1", "--data-file", "f"], "not both"),
            (["publish", "--type", "a", "--source", "b", "--extension", "No=1"], "lower-case"),
            (["publish", "--type", "a", "--source", "b", "--extension", "novalue"], "name=value"),
            (["publish", "f", "--format", "xml"], "json"), (["publish", "f", "--tenant", "a b"], "tenant"),
            (["dev", "--nats-port", "70000"], "not a port"), (["dev", "--nats-url", "nats://a"], "of its own"),
            (["bench", "publish", "--seconds", "1", "--events", "1"], "not both"),
            (["bench", "publish", "--threads", "9", "--connections", "1"], "--threads"),
            (["bench", "publish", "--rate", "nan"], "--rate"), (["serve", "--api-prot", "1"], "--api-port"),
            (["nope"], "nope"), (["serve", "extra"], "extra"),
        ])
    func `a command line that makes no sense gets a usage error that helps`(words: [String], part: String) {
        let reading = CommandLineReading(words)
        #expect(reading.exitCode == 64)
        #expect(reading.message.contains(part), "\(reading.message)")
    }

    @Test(arguments: [[], ["serve"], ["dev"], ["publish"], ["check-config"], ["bench"], ["bench", "publish"]])
    func `every command has help`(words: [String]) {
        let reading = CommandLineReading(words + ["--help"])
        #expect(reading.exitCode == 0)
        #expect(reading.message.contains("USAGE: sluice"))
        if !["bench"].contains(words.last) { #expect(reading.message.contains("sluice "), "examples") }
    }

    @Test func `the version is told`() {
        let reading = CommandLineReading(["--version"])
        #expect(reading.exitCode == 0)
        #expect(reading.message.split(separator: ".").count == 3)
    }

    @Test func `pauses between attempts grow, are bounded, and keep to what the server asks`() {
        var backoff = RetryBackoff()
        var previous = Duration.zero
        for attempt in 0..<12 {
            let pause = backoff.next(retryAfter: nil)
            #expect(pause >= .milliseconds(80) && pause <= .milliseconds(6000))
            if attempt < 5 { #expect(pause > previous) }
            previous = pause
        }
        var asked = RetryBackoff()
        #expect(asked.next(retryAfter: "2") >= .seconds(2))
        #expect(asked.next(retryAfter: "soon") < .seconds(1))
        #expect(asked.next(retryAfter: "-5") < .seconds(1))
        #expect([429, 503, 504].allSatisfy(RetryBackoff.isRepeatable(status:)))
        #expect(![200, 202, 400, 413, 500, 507].contains(where: RetryBackoff.isRepeatable(status:)))
    }

    @Test func `random ids are UUIDs and differ`() {
        let ids = (0..<1000).map { _ in EventID.random() }
        #expect(Set(ids).count == 1000)
        for id in ids {
            #expect(id.utf8.count == 36)
            #expect(id.split(separator: "-").map(\.count) == [8, 4, 4, 4, 12])
            #expect(Array(id)[14] == "4")
            #expect("89ab".contains(Array(id)[19]))
        }
    }

    @Test func `problem details become readable lines`() throws {
        let body = try JSONText(
            parsing: Array(
                #"{"title":"Bad","detail":"two\nlines","violations":[{"pointer":"/id","rule":"CE-06","detail":"empty"}]}"#
                    .utf8
            )
        )
        let lines = ProblemText.lines(status: 400, reason: "Bad Request", body: body, prefix: "line 3: ")
        let expected = [#"line 3: 400: Bad: two\nlines"#, "  /id (CE-06): empty"]
        #expect(lines == expected)
        #expect(ProblemText.lines(status: 500, reason: "Oops", body: nil) == ["500: Oops"])
    }
}
