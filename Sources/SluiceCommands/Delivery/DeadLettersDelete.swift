import ArgumentParser
import NIOHTTP1

/// `sluice dead-letters delete`.
struct DeadLettersDeleteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Delete dead letters for good.",
        discussion: """
            Examples:
              sluice dead-letters delete 17 18
              sluice dead-letters delete --subscription orders --reason expired --dry-run
              sluice dead-letters delete --all
            """
    )

    @OptionGroup(title: "Gateway") var gateway: GatewayOptions
    @OptionGroup var options: DeliverOptions
    @OptionGroup var selection: DeadLettersSelection

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() async throws {
        try await reportingFailures {
            var client = try GatewayClient(
                gateway,
                timeoutSeconds: options.timeout,
                answerSeconds: DeadLettersRedriveCommand.answerSeconds
            )
            let total =
                selection.sequences.isEmpty
                ? try await selection.count(&client) : min(selection.sequences.count, selection.limit ?? .max)
            var deleted = 0
            var missing: [Int] = []
            if total > 0 {
                (deleted, missing) = try await delete(total, &client)
            }
            client.close()
            show(matched: total, deleted: deleted, missing: missing)
            if !missing.isEmpty { throw ExitStatus.incomplete }
        }
    }

    /// Deletes, or looks whether they are there.
    ///
    /// - Returns: How many there were, and which sequences that were named are none. What a filter found and somebody else
    ///   deleted is neither.
    private func delete(
        _ total: Int,
        _ client: inout GatewayClient
    ) async throws(CommandFailure) -> (deleted: Int, missing: [Int]) {
        let isNamed = !selection.sequences.isEmpty
        if selection.dryRun, !isNamed { return (total, []) }
        let method = selection.dryRun ? HTTPMethod.GET : .DELETE
        var deleted = 0
        var missing: [Int] = []
        var done = 0
        var progress = DeliverProgress(total: total)
        try await selection.forEachGroup(&client, count: total, size: DeliverPages.pageMax) {
            client,
            group throws(CommandFailure) in
            for sequence in group {
                let answer = try await client.send(method, "/v1/dead-letters/\(sequence)", accepting: [404])
                done += 1
                if answer.status != 404 { deleted += 1 } else if isNamed { missing.append(sequence) }
                progress.show(done: done, failed: missing.count)
            }
            return true
        }
        progress.clear()
        return (deleted, missing)
    }

    private func show(matched: Int, deleted: Int, missing: [Int]) {
        if json {
            var object = JSONWriter()
            object.add("matched", matched)
            object.add("deleted", selection.dryRun ? 0 : deleted)
            object.add("missing", json: "[\(missing.map(String.init).joined(separator: ","))]")
            object.add("dryRun", json: selection.dryRun ? "true" : "false")
            Console.out(object.text)
            return
        }
        for sequence in missing { Console.note("\(sequence): there is no such dead letter") }
        Console.out("\(Decimals.grouped(deleted)) \(selection.dryRun ? "would be deleted" : "deleted")")
    }
}
