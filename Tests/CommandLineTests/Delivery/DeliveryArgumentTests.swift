import Foundation
import ServerFixtures
import SluiceCommands
import Testing

/// What the commands about delivery understand, and what they send.
struct DeliveryArgumentTests {
    @Test(
        arguments: [
            ("subscriptions list --limit 3 --after a --json", "list"), ("subscriptions show a --tenant acme", "show"),
            ("subscriptions create --pull", "create"),
            ("subscriptions create a --type t --sink http://a/ --wait 5", "create"),
            ("subscriptions create a --file f.json", "create"), ("subscriptions create -f -", "create"),
            ("subscriptions replace a --protocol NATS --type t", "replace"), ("subscriptions delete a b", "delete"),
            ("subscriptions pause a", "pause"), ("subscriptions resume a --wait 1", "resume"),
            ("subscriptions status", "status"), ("subscriptions status a b --json", "status"),
            ("receive a", "receive"), ("receive a --max 1 --wait 0 --reject", "receive"),
            ("receive a --follow --release --delay 60", "receive"), ("receive a --no-ack", "receive"),
            ("receive a --settle t --settle u --reject", "receive"),
            ("dead-letters list --subscription a --reason rejected", "list"), ("dead-letters show 17", "show"),
            ("dead-letters redrive 1 2 3 --rate 5", "redrive"), ("dead-letters redrive --all --dry-run", "redrive"),
            ("dead-letters redrive --subscription a --limit 9 --force --json", "redrive"),
            ("dead-letters delete --reason expired --limit 10", "delete"), ("dead-letters delete 4", "delete"),
            ("bench deliver", "deliver"), ("bench deliver --mode webhook --events 10 --rate 0 --json", "deliver"),
        ])
    func `a command line is understood`(words: String, command: String) {
        let reading = CommandLineReading(words.split(separator: " ").map(String.init))
        #expect(reading.command == command, "\(reading.message)")
        #expect(reading.exitCode == 0)
    }

    @Test(
        arguments: [
            ("subscriptions create a", "nothing to subscribe to"), ("subscriptions create a --type t", "--pull"),
            ("subscriptions create a --pull --sink http://a/", "without --sink"),
            ("subscriptions create a --file f --pull", "one or the other"),
            ("subscriptions create a --pull --backoff 1,x", "--backoff: 'x'"),
            ("subscriptions create a --pull --backoff ,", "--backoff: ''"),
            ("subscriptions create a --pull --filter {", "--filter"),
            ("subscriptions create a --pull --filter 7", "object"),
            ("subscriptions create a --sink http://a/ --header x", "name=value"),
            ("subscriptions create a --pull --ack-wait soon", "--ack-wait"),
            ("subscriptions create a --sink http://a/ --batch-wait 1", "--batch-events"),
            ("subscriptions show", "id"), ("subscriptions delete", "ids"), ("subscriptions list --limit 0", "--limit"),
            ("receive", "id"), ("receive a --no-ack --reject", "exclude"), ("receive a --delay 5", "--release"),
            ("receive a --wait 121", "--wait"), ("receive a --max 0", "--max"),
            ("receive a --settle t --follow", "receives nothing"), ("receive a --follow --wait 3", "--follow"),
            ("dead-letters redrive", "which dead letters"), ("dead-letters delete", "which dead letters"),
            ("dead-letters redrive 1 --all", "not both"), ("dead-letters redrive --all --reason x", "without a filter"),
            ("dead-letters redrive 0", "0 is not"), ("dead-letters redrive --all --rate 0", "--rate"),
            ("dead-letters show x", "sequence"), ("bench deliver --events 0 --rate 0", "nothing to measure"),
            ("bench deliver --mode mail", "mode"), ("bench deliver --max-in-flight 1001", "--max-in-flight"),
        ])
    func `a command line that makes no sense gets a usage error that helps`(words: String, part: String) {
        let reading = CommandLineReading(words.split(separator: " ").map(String.init))
        #expect(reading.exitCode == 64)
        #expect(reading.message.contains(part), "\(reading.message)")
    }

    @Test(
        arguments: [
            "subscriptions", "subscriptions list", "subscriptions show", "subscriptions create",
            "subscriptions replace",
            "subscriptions delete", "subscriptions pause", "subscriptions resume", "subscriptions status", "receive",
            "dead-letters", "dead-letters list", "dead-letters show", "dead-letters redrive", "dead-letters delete",
            "bench deliver",
        ])
    func `every command has help with an example`(words: String) {
        let reading = CommandLineReading(words.split(separator: " ").map(String.init) + ["--help"])
        #expect(reading.exitCode == 0)
        #expect(reading.message.contains("USAGE: sluice \(words)"))
        let before = reading.message.components(separatedBy: "USAGE:").first ?? ""
        #expect(before.contains("sluice \(words)"), "examples")
    }

    private func definition(_ words: [String]) throws -> String {
        String(decoding: try SubscriptionDraft(words: words).body, as: UTF8.self)
    }

    @Test func `flags become a definition`() throws {
        #expect(try definition(["--pull"]) == #"{"protocol":"PULL"}"#)
        #expect(try definition(["--protocol", "NATS", "--type", "a"]) == #"{"types":["a"],"protocol":"NATS"}"#)
        let words = [
            "--type", "a.*", "--type", "\"\u{7}", "--source", "/s", "--filter", #"{"exact":{"id":"1"}}"#, "--filter",
            #"[{"not":{"suffix":{"type":"x"}}}, {"prefix":{"subject":"y"}}]"#, "--sink", "https://h/x", "--header",
            "X-A=b=c",
            "--header", "X-B=", "--max-in-flight", "7", "--ack-wait", "12.5", "--max-attempts", "3", "--backoff",
            "1,2.5,30",
            "--start-at", "17", "--content-mode", "structured", "--batch-events", "10", "--batch-wait", "2",
            "--dead-letter-sink", "https://d/",
        ]
        let expected =
            #"{"types":["a.*","\"\u0007"],"source":"/s","filters":[{"exact":{"id":"1"}},{"not":{"suffix":{"type":"x"}}},"#
            + #"{"prefix":{"subject":"y"}}],"sink":"https://h/x","protocol":"HTTP","protocolsettings":{"headers":"#
            + #"{"X-A":"b=c","X-B":""}},"config":{"startAt":17,"maxInFlight":7,"ackWait":12.5,"maxAttempts":3,"#
            + #""backoff":[1,2.5,30],"contentMode":"structured","batch":{"maxEvents":10,"maxWait":2},"#
            + #""deadLetter":{"sink":"https://d/"}}}"#
        #expect(try definition(words) == expected)
        let earliest = try definition(["--pull", "--start-at", "earliest"])
        #expect(earliest == #"{"protocol":"PULL","config":{"startAt":"earliest"}}"#)
    }

    @Test func `secrets come from files, and a file names itself`() throws {
        let directory = TemporaryDirectory()
        let path = directory.path + "/secrets"
        try "first\r\n\nsecond\n".write(toFile: path, atomically: true, encoding: .utf8)
        let text = try definition([
            "--sink", "https://h/", "--bearer-token-file", path, "--signing-secret-file", path,
        ])
        let expected =
            #"{"sink":"https://h/","sinkcredential":{"credentialtype":"ACCESSTOKEN","accesstoken":"first"},"#
            + #""protocol":"HTTP","config":{"signing":{"secrets":["first","second"]}}}"#
        #expect(text == expected)
        let file = directory.path + "/s.json"
        let written = #"{ "id": "orders", "protocol": "PULL", "types": ["a"] }"#
        try written.write(toFile: file, atomically: true, encoding: .utf8)
        let draft = try SubscriptionDraft(words: ["--file", file])
        #expect(draft.id == "orders")
        #expect(String(decoding: draft.body, as: UTF8.self) == written)
    }
}
