import ArgumentParser
import NIOHTTP1

/// `sluice subscriptions`: who gets which events, and how.
struct SubscriptionsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "subscriptions",
        abstract: "Create, change and watch subscriptions.",
        discussion: """
            A queue to pull from, and a webhook:
              sluice subscriptions create jobs --type com.example.job.created --pull
              sluice subscriptions create orders --type 'com.example.order.*' --sink https://example.com/hook
            How they do:
              sluice subscriptions list
              sluice subscriptions status orders

            Exit codes: 65 when the gateway refuses (every rule that is broken is shown), 69 when it cannot be reached.
            """,
        subcommands: [
            SubscriptionsListCommand.self, SubscriptionsShowCommand.self, SubscriptionsCreateCommand.self,
            SubscriptionsReplaceCommand.self, SubscriptionsDeleteCommand.self, SubscriptionsPauseCommand.self,
            SubscriptionsResumeCommand.self, SubscriptionsStatusCommand.self,
        ]
    )
}

/// `sluice subscriptions list`.
struct SubscriptionsListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the tenant's subscriptions.",
        discussion: """
            Examples:
              sluice subscriptions list
              sluice subscriptions list --json | jq -r .id
            """
    )

    @OptionGroup(title: "Gateway") var gateway: GatewayOptions
    @OptionGroup var options: DeliverOptions

    @Option(help: ArgumentHelp("Most subscriptions that are shown (default: all).", valueName: "count"))
    var limit: Int?

    @Option(help: ArgumentHelp("Go on behind this one.", valueName: "id"))
    var after: String?

    @Flag(help: "Print the subscriptions as JSON, one a line.")
    var json = false

    func validate() throws {
        if let limit, limit < 1 { throw ValidationError("--limit: not at least 1") }
    }

    func run() async throws {
        try await reportingFailures {
            var client = try GatewayClient(gateway, timeoutSeconds: options.timeout)
            var pages = DeliverPages(path: "/v1/subscriptions", after: after)
            var table = DeliverTable(["ID", "STATE", "PROTOCOL", "TYPES", "SINK"])
            let rest = try await pages.forEach(&client, limit: limit ?? .max) { item in
                if json {
                    Console.out(line: item)
                } else {
                    table.add(SubscriptionText.row(item))
                }
            }
            client.close()
            if table.isEmpty, !json { Console.note("no subscriptions") } else { table.show() }
            if let rest { Console.note("there are more: --after \(SafeText.escaped(rest))") }
        }
    }
}

/// `sluice subscriptions show`.
struct SubscriptionsShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show a subscription with all its settings.",
        discussion: """
            Secrets are never shown. What --json prints can be changed and given to `replace --file`, if there are none.

            Examples:
              sluice subscriptions show orders
              sluice subscriptions show orders --json > orders.json
            """
    )

    @OptionGroup(title: "Gateway") var gateway: GatewayOptions
    @OptionGroup var options: DeliverOptions

    @Argument(help: "The subscription's id.")
    var id: String

    @Flag(help: "Print the subscription as the gateway's JSON.")
    var json = false

    func run() async throws {
        try await reportingFailures {
            var client = try GatewayClient(gateway, timeoutSeconds: options.timeout)
            let object = try await client.object(.GET, DeliverPath.subscription(id))
            client.close()
            if json {
                Console.out(line: object)
            } else {
                var facts = DeliverFacts()
                facts.add(object)
                facts.show()
            }
        }
    }
}

/// `sluice subscriptions status`.
struct SubscriptionsStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show how delivery goes: what is pending, how old, and what went wrong last.",
        discussion: """
            Examples:
              sluice subscriptions status            (all of them)
              sluice subscriptions status orders
              sluice subscriptions status orders --json | jq .pending
            """
    )

    @OptionGroup(title: "Gateway") var gateway: GatewayOptions
    @OptionGroup var options: DeliverOptions

    @Argument(help: "The subscriptions' ids (default: all).")
    var ids: [String] = []

    @Flag(help: "Print the gateway's JSON, one object a line, with the id in front.")
    var json = false

    func run() async throws {
        try await reportingFailures {
            var client = try GatewayClient(gateway, timeoutSeconds: options.timeout)
            var table = DeliverTable(SubscriptionText.statusTitles, numeric: [2, 3, 4, 5, 6])
            let wanted = ids.isEmpty ? try await all(&client) : ids
            for id in wanted {
                guard let status = try await status(id, &client) else { continue }
                if json {
                    var object = JSONWriter()
                    object.add("id", id)
                    for member in status.members ?? [] where member.name != "id" {
                        object.add(member.name, json: String(decoding: member.value.line, as: UTF8.self))
                    }
                    Console.out(object.text)
                } else if ids.count == 1 {
                    var facts = DeliverFacts()
                    facts.add(status, hiding: ["thisReplica.local"])
                    facts.show()
                } else {
                    table.add(SubscriptionText.statusRow(id, status))
                }
            }
            client.close()
            table.show()
        }
    }

    /// The status of a subscription; `nil` for one of the list that is gone meanwhile.
    private func status(_ id: String, _ client: inout GatewayClient) async throws(CommandFailure) -> JSONSlice? {
        let path = DeliverPath.subscription(id, "/status")
        guard ids.isEmpty else { return try await client.object(.GET, path) }
        let answer = try await client.send(.GET, path, accepting: [404])
        return answer.status == 404 ? nil : try client.object(answer)
    }

    private func all(_ client: inout GatewayClient) async throws(CommandFailure) -> [String] {
        var pages = DeliverPages(path: "/v1/subscriptions")
        var ids: [String] = []
        _ = try await pages.forEach(&client, limit: .max) { item in
            if let id = item["id"]?.string { ids.append(id) }
        }
        if ids.isEmpty { Console.note("no subscriptions") }
        return ids
    }
}

/// Subscriptions in words.
package enum SubscriptionText {
    /// The heads of the columns of ``statusRow(_:_:)``.
    package static let statusTitles = [
        "ID", "STATE", "PENDING", "IN FLIGHT", "OLDEST S", "REDELIVERED", "EXPIRED", "BREAKER", "LAST ERROR",
    ]

    /// The cells of a subscription in a list: id, state, protocol, types, sink.
    package static func row(_ item: JSONSlice) -> [String] {
        [text(item["id"]), text(item["state"]), text(item["protocol"]), text(item["types"]), text(item["sink"])]
    }

    /// The cells of a status.
    package static func statusRow(_ id: String, _ status: JSONSlice) -> [String] {
        let error = status["lastError"].map { $0["message"] ?? $0 }
        return [id, text(status["state"])]
            + ["pending", "inFlight", "oldestAgeSeconds", "redelivered", "expiredUndelivered"].map { text(status[$0]) }
            + [text(status["breaker"]), text(error)]
    }

    /// What is said after a change: the id, how it is delivered, its state and what there is to know about it.
    package static func summary(_ verb: String, _ object: JSONSlice) -> [String] {
        var first = "\(verb): \(SafeText.escaped(text(object["id"])))"
        first += " (\(SafeText.escaped(text(object["protocol"]))), \(SafeText.escaped(text(object["state"]))))"
        if let reason = object["stateReason"]?.string { first += ": \(SafeText.escaped(reason, limit: 512))" }
        var lines = [first]
        if let note = object["note"]?.string { lines.append("note: \(SafeText.escaped(note, limit: 512))") }
        if let settings = object["protocolsettings"], let consumer = settings["consumer"]?.string {
            let subjects = settings["subjects"].map(DeliverFacts.text) ?? text(settings["subject"])
            lines.append(
                "bind a NATS client to: stream \(SafeText.escaped(text(settings["stream"]))), "
                    + "consumer \(SafeText.escaped(consumer)), subject \(SafeText.escaped(subjects, limit: 1024))"
            )
        }
        return lines
    }

    private static func text(_ value: JSONSlice?) -> String { value.map(DeliverFacts.text) ?? "-" }
}

extension Console {
    /// Writes a JSON value on a line of its own, safe on a terminal.
    static func out(line value: JSONSlice) {
        out(String(decoding: value.line, as: UTF8.self))
    }
}
