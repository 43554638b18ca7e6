import ArgumentParser
import NIOHTTP1

/// `sluice dead-letters`: what could not be delivered, and the way back.
struct DeadLettersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dead-letters",
        abstract: "Look at what could not be delivered, put it back or delete it.",
        discussion: """
            Examples:
              sluice dead-letters list
              sluice dead-letters show 17
              sluice dead-letters redrive --subscription orders --dry-run
              sluice dead-letters redrive --subscription orders --rate 50
              sluice dead-letters delete --reason expired

            Nothing is ever asked: what a filter matches is done. Without a filter, redrive and delete want --all.

            Exit codes: 3 when some could not be put back or deleted, 65 when the gateway refuses, 69 when it cannot be \
            reached.
            """,
        subcommands: [
            DeadLettersListCommand.self, DeadLettersShowCommand.self, DeadLettersRedriveCommand.self,
            DeadLettersDeleteCommand.self,
        ]
    )
}

/// Which dead letters.
struct DeadLettersFilter: ParsableArguments {
    @Option(help: ArgumentHelp("Only those of this subscription.", valueName: "id"))
    var subscription: String?

    @Option(
        help: ArgumentHelp(
            "Only those with this reason: retries-exhausted, rejected, terminated, maxdeliveries, expired, "
                + "undeliverable, schema, gone.",
            valueName: "reason"
        )
    )
    var reason: String?

    /// The filter as query parameters.
    var parameters: [(name: String, value: String?)] { [("subscription", subscription), ("reason", reason)] }

    var isEmpty: Bool { subscription == nil && reason == nil }

    /// The filter as JSON.
    var json: String {
        var object = JSONWriter()
        if let subscription { object.add("subscription", subscription) }
        if let reason { object.add("reason", reason) }
        return object.text
    }
}

/// `sluice dead-letters list`.
struct DeadLettersListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List dead letters, the oldest first.",
        discussion: """
            Examples:
              sluice dead-letters list --subscription orders
              sluice dead-letters list --reason rejected --limit 10
              sluice dead-letters list --json | jq -c '[.sequence,.event.id,.lastError]'
            """
    )

    @OptionGroup(title: "Gateway") var gateway: GatewayOptions
    @OptionGroup var options: DeliverOptions
    @OptionGroup(title: "Filter") var filter: DeadLettersFilter

    @Option(
        help: ArgumentHelp("Most dead letters that are shown (default: 1000; all with --json).", valueName: "count")
    )
    var limit: Int?

    @Option(help: ArgumentHelp("Go on behind this sequence.", valueName: "sequence"))
    var after: Int?

    @Flag(help: "Print the dead letters as JSON, one a line, each with its event.")
    var json = false

    func validate() throws {
        if let limit, limit < 1 { throw ValidationError("--limit: not at least 1") }
        if let after, after < 0 { throw ValidationError("--after: not a sequence") }
    }

    func run() async throws {
        try await reportingFailures {
            var client = try GatewayClient(gateway, timeoutSeconds: options.timeout)
            var pages = DeliverPages(
                path: "/v1/dead-letters",
                filters: filter.parameters,
                after: after.map(String.init)
            )
            var table = DeliverTable(DeadLettersText.titles, numeric: [0, 3, 4])
            let rest = try await pages.forEach(&client, limit: limit ?? (json ? .max : 1000)) { item in
                if json { Console.out(line: item) } else { table.add(DeadLettersText.row(item)) }
            }
            client.close()
            if table.isEmpty, !json { Console.note("no dead letters") } else { table.show() }
            if let rest { Console.note("there are more: --after \(SafeText.escaped(rest))") }
        }
    }
}

/// `sluice dead-letters show`.
struct DeadLettersShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show a dead letter: why, since when, and the event.",
        discussion: """
            Examples:
              sluice dead-letters show 17
              sluice dead-letters show 17 --json | jq .event
            """
    )

    @OptionGroup(title: "Gateway") var gateway: GatewayOptions
    @OptionGroup var options: DeliverOptions

    @Argument(help: "The dead letter's sequence.")
    var sequence: Int

    @Flag(help: "Print the dead letter as the gateway's JSON.")
    var json = false

    func run() async throws {
        try await reportingFailures {
            var client = try GatewayClient(gateway, timeoutSeconds: options.timeout)
            let item = try await client.object(.GET, "/v1/dead-letters/\(sequence)")
            client.close()
            if json {
                Console.out(line: item)
                return
            }
            var facts = DeliverFacts()
            facts.add(item, hiding: ["event"])
            facts.show()
            if let event = item["event"], !event.isNull {
                Console.out("event")
                Console.out(String(decoding: event.indented, as: UTF8.self))
            }
        }
    }
}

/// Dead letters in words.
package enum DeadLettersText {
    /// The heads of the columns of ``row(_:)``.
    package static let titles = [
        "SEQUENCE", "SUBSCRIPTION", "REASON", "ATTEMPTS", "STATUS", "LAST TIME", "TYPE", "ID", "LAST ERROR",
    ]

    /// The cells of a dead letter in a list.
    package static func row(_ item: JSONSlice) -> [String] {
        func text(_ value: JSONSlice?) -> String { value.map(DeliverFacts.text) ?? "-" }
        let event = item["event"]
        let time = item["lastTime"].flatMap { $0.isNull ? item["storedTime"] : $0 }
        return ["sequence", "subscription", "reason", "attempts", "lastStatus"].map { text(item[$0]) } + [
            text(time), text(event?["type"]), text(event?["id"]), text(item["lastError"]),
        ]
    }
}
