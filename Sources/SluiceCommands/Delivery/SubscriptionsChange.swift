import ArgumentParser
import NIOHTTP1

/// `sluice subscriptions create`.
struct SubscriptionsCreateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Create a subscription.",
        discussion: """
            Examples:
              sluice subscriptions create jobs --type com.example.job.created --pull
              sluice subscriptions create orders --type 'com.example.order.*' --sink https://example.com/hook
              sluice subscriptions create big --type com.example.order.created --pull \
            --filter '{"prefix":{"subject":"big-"}}' --max-attempts 3 --backoff 5,60
              sluice subscriptions create --file orders.json

            With a name that is taken nothing is changed; `replace` changes it. Without a name the gateway gives one.
            """
    )

    @OptionGroup(title: "Gateway") var gateway: GatewayOptions
    @OptionGroup var options: DeliverOptions
    @OptionGroup(title: "Definition") var definition: SubscriptionFlags

    @Argument(help: "The subscription's id (default: the file's `id`, else one of the gateway's making).")
    var id: String?

    @Option(help: ArgumentHelp("Wait so long for the state `active`: for a webhook's consent.", valueName: "seconds"))
    var wait: Int?

    @Flag(help: "Print the subscription as the gateway's JSON.")
    var json = false

    func run() async throws {
        try await reportingFailures {
            let draft = try definition.draft()
            var client = try GatewayClient(gateway, timeoutSeconds: options.timeout)
            var object: JSONSlice
            if let id = id ?? draft.id {
                let path = DeliverPath.subscription(id)
                guard try await client.send(.GET, path, accepting: [404]).status == 404 else {
                    throw CommandFailure(
                        "there is a subscription \(SafeText.quoted(id)) already; to change it: sluice subscriptions replace",
                        code: ExitStatus.refused
                    )
                }
                object = try await client.object(.PUT, path, body: draft.body)
            } else {
                // Sent twice it would make two.
                object = try await client.object(.POST, "/v1/subscriptions", body: draft.body, isRepeatable: false)
            }
            if let wait { object = try await SubscriptionWait(seconds: wait).untilActive(object, &client) }
            client.close()
            SubscriptionText.show("created", object, json: json)
        }
    }
}

/// `sluice subscriptions replace`.
struct SubscriptionsReplaceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replace",
        abstract: "Replace a subscription's definition as a whole, or create it: for deployments.",
        discussion: """
            What is left out has its default afterwards, secrets too. Where the subscription stands is kept; after a \
            change of the filter, what was settled lately may come again, and the answer says from where.

            Examples:
              sluice subscriptions replace orders --type 'com.example.order.*' --sink https://example.com/hook2
              sluice subscriptions show orders --json | jq '.config.maxAttempts=9' | \
            sluice subscriptions replace orders --file -
            """
    )

    @OptionGroup(title: "Gateway") var gateway: GatewayOptions
    @OptionGroup var options: DeliverOptions
    @OptionGroup(title: "Definition") var definition: SubscriptionFlags

    @Argument(help: "The subscription's id (default: the file's `id`).")
    var id: String?

    @Option(help: ArgumentHelp("Wait so long for the state `active`: for a webhook's consent.", valueName: "seconds"))
    var wait: Int?

    @Flag(help: "Print the subscription as the gateway's JSON.")
    var json = false

    func run() async throws {
        try await reportingFailures {
            let draft = try definition.draft()
            guard let id = id ?? draft.id else {
                throw CommandFailure("which subscription? Give its id", code: ExitCode(64))
            }
            var client = try GatewayClient(gateway, timeoutSeconds: options.timeout)
            let answer = try await client.send(.PUT, DeliverPath.subscription(id), body: draft.body)
            var object = try client.object(answer)
            if let wait { object = try await SubscriptionWait(seconds: wait).untilActive(object, &client) }
            client.close()
            SubscriptionText.show(answer.status == 201 ? "created" : "replaced", object, json: json)
        }
    }
}

/// `sluice subscriptions delete`.
struct SubscriptionsDeleteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Delete subscriptions, with what is pending for them.",
        discussion: """
            The events themselves stay in the stream, and dead letters stay where they are.

            Example:
              sluice subscriptions delete orders
            """
    )

    @OptionGroup(title: "Gateway") var gateway: GatewayOptions
    @OptionGroup var options: DeliverOptions

    @Argument(help: "The subscriptions' ids.")
    var ids: [String]

    @Flag(help: "Print one JSON object for each.")
    var json = false

    func run() async throws {
        try await reportingFailures {
            var client = try GatewayClient(gateway, timeoutSeconds: options.timeout)
            for id in ids {
                try await client.send(.DELETE, DeliverPath.subscription(id))
                if json {
                    var object = JSONWriter()
                    object.add("id", id)
                    object.add("deleted", json: "true")
                    Console.out(object.text)
                } else {
                    Console.out("deleted: \(SafeText.escaped(id))")
                }
            }
            client.close()
        }
    }
}

/// `sluice subscriptions pause`.
struct SubscriptionsPauseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause",
        abstract: "Stop delivery; what comes in the meantime is kept.",
        discussion: """
            Example:
              sluice subscriptions pause orders
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
            let object = try await client.object(.POST, DeliverPath.subscription(id, ":pause"))
            client.close()
            SubscriptionText.show("paused", object, json: json)
        }
    }
}

/// `sluice subscriptions resume`.
struct SubscriptionsResumeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume",
        abstract: "Go on with delivery after a pause, or after a subscription was disabled.",
        discussion: """
            Example:
              sluice subscriptions resume orders
            """
    )

    @OptionGroup(title: "Gateway") var gateway: GatewayOptions
    @OptionGroup var options: DeliverOptions

    @Argument(help: "The subscription's id.")
    var id: String

    @Option(help: ArgumentHelp("Wait so long for the state `active`: for a webhook's consent.", valueName: "seconds"))
    var wait: Int?

    @Flag(help: "Print the subscription as the gateway's JSON.")
    var json = false

    func run() async throws {
        try await reportingFailures {
            var client = try GatewayClient(gateway, timeoutSeconds: options.timeout)
            var object = try await client.object(.POST, DeliverPath.subscription(id, ":resume"))
            if let wait { object = try await SubscriptionWait(seconds: wait).untilActive(object, &client) }
            client.close()
            SubscriptionText.show("resumed", object, json: json)
        }
    }
}

/// Waits for a subscription to be delivered to.
struct SubscriptionWait: Sendable {
    let seconds: Int

    /// Asks twice a second until the state is `active`.
    ///
    /// - Returns: The subscription then; a note of a change, which only the first answer has, is shown here.
    /// - Throws: ``CommandFailure`` with the last state when the time is over, at once when it is disabled.
    func untilActive(
        _ object: JSONSlice,
        _ client: inout GatewayClient
    ) async throws(CommandFailure) -> JSONSlice {
        guard let id = object["id"]?.string, object["state"]?.string != "active" else { return object }
        let deadline = ContinuousClock.now + .seconds(seconds)
        var now = object
        while now["state"]?.string != "active" {
            let state = SafeText.escaped(now["state"]?.string ?? "unknown")
            let reason = now["stateReason"]?.string.map { ": \(SafeText.escaped($0, limit: 512))" } ?? ""
            guard state != "disabled", ContinuousClock.now < deadline,
                (try? await Task.sleep(for: .milliseconds(500))) != nil
            else {
                throw CommandFailure(
                    "the subscription \(SafeText.quoted(id)) is there, but \(state)\(reason)",
                    code: ExitStatus.unavailable
                )
            }
            now = try await client.object(.GET, DeliverPath.subscription(id))
        }
        if let note = object["note"]?.string { Console.note("note: \(SafeText.escaped(note, limit: 512))") }
        return now
    }
}

extension SubscriptionText {
    /// Prints what became of a subscription.
    static func show(_ verb: String, _ object: JSONSlice, json: Bool) {
        if json {
            Console.out(line: object)
        } else {
            summary(verb, object).forEach(Console.out)
        }
    }
}
