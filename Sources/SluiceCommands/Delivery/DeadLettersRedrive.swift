import ArgumentParser
import NIOHTTP1

/// `sluice dead-letters redrive`.
struct DeadLettersRedriveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "redrive",
        abstract: "Put dead letters back for delivery.",
        discussion: """
            It may be interrupted at any moment and run again: what was put back is gone from the dead letters, and \
            nothing is put back twice. What becomes a dead letter in the meantime is left for the next time.

            Examples:
              sluice dead-letters redrive 17 18
              sluice dead-letters redrive --subscription orders --dry-run
              sluice dead-letters redrive --reason retries-exhausted --rate 50
            """
    )

    /// How long a single answer may take: a dry run looks at everything.
    static let answerSeconds = 600

    @OptionGroup(title: "Gateway") var gateway: GatewayOptions
    @OptionGroup var options: DeliverOptions
    @OptionGroup var selection: DeadLettersSelection

    @Option(help: ArgumentHelp("Put back no more than so many a second.", valueName: "count"))
    var rate: Int?

    @Flag(help: "Also those that were put back so often already that they are held to be a loop.")
    var force = false

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        if let rate, !(1...1_000_000).contains(rate) { throw ValidationError("--rate: not between 1 and 1000000") }
    }

    func run() async throws {
        try await reportingFailures {
            var client = try GatewayClient(
                gateway,
                timeoutSeconds: options.timeout,
                answerSeconds: Self.answerSeconds
            )
            let result = selection.dryRun ? try await dryRun(&client) : try await redrive(&client)
            client.close()
            result.show(json: json)
            if result.stopped != nil { throw ExitStatus.unavailable }
            if result.failed > 0 { throw ExitStatus.incomplete }
        }
    }

    private func dryRun(_ client: inout GatewayClient) async throws(CommandFailure) -> DeadLettersResult {
        var body = JSONWriter()
        selection.add(to: &body)
        body.add("dryRun", json: "true")
        if force { body.add("force", json: "true") }
        var result = DeadLettersResult(isDryRun: true)
        result.add(try await send(body, &client))
        return result
    }

    private func redrive(_ client: inout GatewayClient) async throws(CommandFailure) -> DeadLettersResult {
        var result = DeadLettersResult(isDryRun: false)
        let total =
            selection.sequences.isEmpty
            ? try await selection.count(&client) : min(selection.sequences.count, selection.limit ?? .max)
        guard total > 0 else { return result }
        var progress = DeliverProgress(total: total)
        // Two seconds' worth, so that there is progress to show and little is in work when the command is stopped.
        let size = min(DeliverPages.pageMax, max(1, (rate ?? .max / 2) * 2))
        do throws(CommandFailure) {
            try await selection.forEachGroup(&client, count: total, size: size) {
                client,
                group throws(CommandFailure) in
                let start = ContinuousClock.now
                var body = JSONWriter()
                body.add("sequences", json: "[\(group.map(String.init).joined(separator: ","))]")
                if let rate { body.add("ratePerSecond", rate) }
                if force { body.add("force", json: "true") }
                result.add(try await send(body, &client))
                progress.show(done: result.matched, failed: result.failed)
                if let rate {
                    try? await Task.sleep(until: start + .seconds(Double(group.count) / Double(rate)))
                }
                return result.stopped == nil
            }
        } catch {
            progress.clear()
            if result.matched > 0 { result.show(json: json) }
            throw error
        }
        progress.clear()
        return result
    }

    private func send(_ body: JSONWriter, _ client: inout GatewayClient) async throws(CommandFailure) -> JSONSlice {
        try await client.object(.POST, "/v1/dead-letters:redrive", body: Array(body.text.utf8))
    }
}

/// What became of the dead letters that were to be put back.
package struct DeadLettersResult: Sendable {
    /// Most failures that are shown to a person.
    static let failuresShown = 20

    /// Whether nothing was done.
    let isDryRun: Bool
    /// Those that were taken up.
    package private(set) var matched = 0
    /// Those that were put back.
    package private(set) var redriven = 0
    /// Those that were not, and stay.
    package private(set) var failed = 0
    /// Why the gateway ended before all were tried.
    package private(set) var stopped: String?
    private var failures: [(sequence: Int, detail: String)] = []

    package init(isDryRun: Bool) {
        self.isDryRun = isDryRun
    }

    /// Adds the gateway's answer for some of them.
    package mutating func add(_ answer: JSONSlice) {
        matched += answer["matched"]?.integer ?? 0
        redriven += answer["redriven"]?.integer ?? 0
        failed += answer["failed"]?.integer ?? 0
        stopped = answer["stopped"]?.string ?? stopped
        for failure in answer["failures"]?.elements ?? [] {
            failures.append((failure["sequence"]?.integer ?? 0, failure["detail"]?.string ?? ""))
        }
    }

    /// For people: what was done.
    package var line: String {
        let count = isDryRun ? matched - failed : redriven
        let verb = isDryRun ? "would be put back" : "put back"
        var line = "\(Decimals.grouped(count)) of \(Decimals.grouped(matched)) \(verb)"
        if failed > 0 { line += ", \(Decimals.grouped(failed)) \(isDryRun ? "would fail" : "failed")" }
        return line
    }

    /// For people: what was not, and why.
    package var complaints: [String] {
        var lines = failures.prefix(Self.failuresShown).map { failure in
            "\(failure.sequence): \(SafeText.escaped(failure.detail, limit: 512))"
        }
        if failures.count > Self.failuresShown { lines.append("and \(failed - Self.failuresShown) more") }
        if let stopped { lines.append("stopped: \(SafeText.escaped(stopped, limit: 512))") }
        return lines
    }

    /// For programs.
    package var json: String {
        var object = JSONWriter()
        object.add("matched", matched)
        object.add("redriven", redriven)
        object.add("failed", failed)
        let list = failures.map { failure in
            var object = JSONWriter()
            object.add("sequence", failure.sequence)
            object.add("detail", failure.detail)
            return object.text
        }
        object.add("failures", json: "[\(list.joined(separator: ","))]")
        if let stopped { object.add("stopped", stopped) } else { object.add("stopped", json: "null") }
        object.add("dryRun", json: isDryRun ? "true" : "false")
        return object.text
    }

    func show(json: Bool) {
        complaints.forEach(Console.note)
        Console.out(json ? self.json : line)
    }
}
