import ArgumentParser
import NIOHTTP1

/// `sluice receive`: fetches events of a subscription of the protocol PULL.
struct ReceiveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "receive",
        abstract: "Receive events from a subscription, one JSON line each.",
        discussion: """
            Prints what is there, at most --max, and ends; waits up to --wait seconds for the first. An event is \
            acknowledged after it was printed: what cannot be printed comes again.

              sluice receive jobs
              sluice receive jobs --follow | jq .data
              sluice receive jobs --max 1 --reject        (a dead letter then)

            Scripts that work first and settle later:
              sluice receive jobs --max 1 --no-ack > job.json
              sluice receive jobs --settle "$(jq -r .brokerProperties.lockToken job.json)"
              sluice receive jobs --settle "$(jq -r .brokerProperties.lockToken job.json)" --release --delay 60

            Exit codes: 0 also when nothing came, 3 when something that was printed could not be settled (it comes \
            again), 65 when the gateway refuses, 69 when it cannot be reached, 74 when the output cannot be written.
            """
    )

    @OptionGroup(title: "Gateway") var gateway: GatewayOptions
    @OptionGroup var options: DeliverOptions

    @Argument(help: "The subscription's id.")
    var id: String

    @Option(help: ArgumentHelp("Most events (default: 100; none with --follow).", valueName: "count"))
    var max: Int?

    @Option(help: ArgumentHelp("How long to wait for the first event, 0 to 120 (default: 10).", valueName: "seconds"))
    var wait: Int?

    @Flag(help: "Go on until --max or Ctrl-C, and wait for a gateway that is away.")
    var follow = false

    @Option(help: ArgumentHelp("Events that are asked for at a time.", valueName: "count"))
    var batchSize = 100

    @Flag(help: "Settle nothing: events are printed with their lock tokens and come again when the lock ends.")
    var noAck = false

    @Flag(help: "Give the events back after printing, for others.")
    var release = false

    @Option(help: ArgumentHelp("With --release: how long nobody gets them.", valueName: "seconds"))
    var delay: Int?

    @Flag(help: "Make dead letters of the events after printing.")
    var reject = false

    @Option(
        name: .customLong("settle"),
        help: ArgumentHelp("Settle this lock token instead of receiving; may be repeated.", valueName: "token")
    )
    var tokens: [String] = []

    @Flag(help: "Print events with their lock token, count and sequence, as the gateway gives them.")
    var envelope = false

    func validate() throws {
        if let max, max < 1 { throw ValidationError("--max: not at least 1") }
        if let wait, !(0...120).contains(wait) { throw ValidationError("--wait: not between 0 and 120 seconds") }
        guard (1...1000).contains(batchSize) else { throw ValidationError("--batch-size: not between 1 and 1000") }
        guard [noAck, release, reject].count(where: { $0 }) <= 1 else {
            throw ValidationError("--no-ack, --release and --reject exclude one another")
        }
        if let delay {
            guard release else { throw ValidationError("--delay: give it with --release") }
            guard (0...86_400).contains(delay) else {
                throw ValidationError("--delay: not between 0 and 86400 seconds")
            }
        }
        if !tokens.isEmpty, noAck || follow || max != nil || wait != nil || envelope {
            throw ValidationError("--settle receives nothing: give it alone, or with --release or --reject")
        }
        if follow, wait != nil { throw ValidationError("--follow waits for ever: give --wait without it") }
    }

    func run() async throws {
        try await reportingFailures {
            let settlement: ReceiveSettlement =
                if noAck { .none } else if reject { .reject } else if release { .release(delay ?? 0) } else {
                    .acknowledge
                }
            if !tokens.isEmpty { return try await settle(settlement) }
            let plan = ReceiveRun.Plan(
                id: id,
                max: max ?? (follow ? .max : 100),
                wait: follow ? 60 : wait ?? 10,
                isFollowing: follow,
                batchSize: batchSize,
                settlement: settlement,
                hasEnvelope: envelope || noAck
            )
            let client = try GatewayClient(
                gateway,
                timeoutSeconds: options.timeout,
                // The gateway answers a long poll in time or soon after.
                answerSeconds: plan.wait + 15
            )
            let progress = ReceiveProgress()
            let run = ReceiveRun(plan: plan, progress: progress)
            let outcome = try await DeliverSignals.race(
                waitsForBody: { progress.requestStop() },
                {
                    try await run.run(client)
                }
            )
            if outcome?.isClean == false { throw ExitStatus.incomplete }
        }
    }

    private func settle(_ settlement: ReceiveSettlement) async throws {
        var client = try GatewayClient(gateway, timeoutSeconds: options.timeout)
        let failures = try await settlement.settle(tokens.map { ReceiveToken(text: $0) }, of: id, &client)
        client.close()
        failures.forEach(Console.note)
        if !failures.isEmpty { throw ExitStatus.incomplete }
    }
}

/// What becomes of an event after it was printed.
enum ReceiveSettlement: Sendable {
    case acknowledge
    /// Given back; nobody gets it for so many seconds.
    case release(Int)
    case reject
    case none

    /// Settles events.
    ///
    /// - Returns: Why some could not be, a line for each reason; empty when all were.
    /// - Throws: ``CommandFailure`` when the gateway does not take the call.
    func settle(
        _ tokens: [ReceiveToken],
        of id: String,
        _ client: inout GatewayClient
    ) async throws(CommandFailure) -> [String] {
        let path: String
        switch self {
        case .acknowledge: path = DeliverPath.subscription(id, ":acknowledge")
        case .release(let delay): path = DeliverPath.subscription(id, ":release?releaseDelayInSeconds=\(delay)")
        case .reject: path = DeliverPath.subscription(id, ":reject")
        case .none: return []
        }
        var failures: [String: Int] = [:]
        var rest = tokens[...]
        while !rest.isEmpty {
            let part = rest.prefix(1000)
            rest = rest.dropFirst(part.count)
            let answer = try await client.object(.POST, path, body: ReceiveToken.body(part))
            let failed = answer["failedLockTokens"]?.elements ?? []
            for failure in failed {
                let error = failure["error"]
                let code = SafeText.escaped(error?["code"]?.string ?? "unknown")
                let message = error?["message"]?.string.map { ": \(SafeText.escaped($0))" } ?? ""
                failures["\(code)\(message)", default: 0] += 1
            }
            // What the answer does not name at all is not known to be settled.
            let unnamed = part.count - failed.count - (answer["succeededLockTokens"]?.elements ?? []).count
            if unnamed > 0 { failures["the gateway does not say what became of them", default: 0] += unnamed }
        }
        return failures.sorted { $0.key < $1.key }.map { reason, count in
            "sluice: \(count == 1 ? "1 event" : "\(count) events") not settled: \(reason)"
        }
    }
}

/// A lock token as the gateway wrote it.
package struct ReceiveToken: Sendable, Equatable {
    package let text: String

    package init(text: String) {
        self.text = text
    }

    /// `{"lockTokens":[…]}`.
    package static func body(_ tokens: some Sequence<ReceiveToken>) -> [UInt8] {
        var body = Array("{\"lockTokens\":[".utf8)
        for (index, token) in tokens.enumerated() {
            if index > 0 { body.append(UInt8(ascii: ",")) }
            body.append(UInt8(ascii: "\""))
            SafeText.append(token.text, to: &body, style: .json, limit: .max)
            body.append(UInt8(ascii: "\""))
        }
        return body + Array("]}".utf8)
    }
}
