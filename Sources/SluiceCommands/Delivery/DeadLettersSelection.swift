import ArgumentParser
import NIOHTTP1

/// Which dead letters a command changes.
struct DeadLettersSelection: ParsableArguments {
    /// Sequences that one request names at most.
    static let sequencesMax = 10_000

    @Argument(help: "The dead letters' sequences.")
    var sequences: [Int] = []

    @OptionGroup(title: "Filter") var filter: DeadLettersFilter

    @Flag(help: "All of the tenant's dead letters.")
    var all = false

    @Option(help: ArgumentHelp("Most dead letters that are dealt with.", valueName: "count"))
    var limit: Int?

    @Flag(help: "Say what would be done, and do nothing.")
    var dryRun = false

    func validate() throws {
        if let limit, limit < 1 { throw ValidationError("--limit: not at least 1") }
        guard sequences.count <= Self.sequencesMax else {
            throw ValidationError("more than \(Self.sequencesMax) sequences at once")
        }
        if let wrong = sequences.first(where: { $0 < 1 }) {
            throw ValidationError("\(wrong) is not the sequence of a dead letter")
        }
        if sequences.isEmpty {
            guard all || !filter.isEmpty else {
                throw ValidationError(
                    "which dead letters? Name sequences, a filter (--subscription, --reason) or --all"
                )
            }
        } else if all || !filter.isEmpty {
            throw ValidationError("give sequences or a filter, not both")
        }
        if all, !filter.isEmpty { throw ValidationError("--all: give it without a filter") }
    }

    /// The selection as members of a redrive's body.
    func add(to body: inout JSONWriter) {
        if sequences.isEmpty {
            body.add("filter", json: filter.json)
        } else {
            body.add("sequences", json: "[\(sequences.map(String.init).joined(separator: ","))]")
        }
        if let limit { body.add("limit", limit) }
    }

    /// How many the filter matches now; what comes later is left alone.
    func count(_ client: inout GatewayClient) async throws(CommandFailure) -> Int {
        var body = JSONWriter()
        add(to: &body)
        body.add("dryRun", json: "true")
        let answer = try await client.object(.POST, "/v1/dead-letters:redrive", body: Array(body.text.utf8))
        return answer["matched"]?.integer ?? 0
    }

    /// Calls `body` with the sequences in groups, in their order, until it says that it is enough.
    ///
    /// - Parameters:
    ///   - count: Most sequences, over all groups.
    ///   - size: Most sequences of a group.
    func forEachGroup(
        _ client: inout GatewayClient,
        count: Int,
        size: Int,
        _ body: (inout GatewayClient, [Int]) async throws(CommandFailure) -> Bool
    ) async throws(CommandFailure) {
        guard sequences.isEmpty else {
            var rest = sequences.prefix(count)
            while !rest.isEmpty {
                guard try await body(&client, Array(rest.prefix(size))) else { return }
                rest = rest.dropFirst(size)
            }
            return
        }
        var pages = DeliverPages(path: "/v1/dead-letters", filters: filter.parameters)
        var left = count
        while left > 0, !pages.isAtEnd {
            let items = try await pages.next(&client, limit: min(size, left))
            let group = items.prefix(left).compactMap { $0["sequence"]?.integer }
            left -= items.count
            if !group.isEmpty, try await !body(&client, group) { return }
        }
    }
}

/// Shows on standard error how far long work has come: in place for a person, a line now and then for a log.
struct DeliverProgress {
    private let total: Int
    private let start = ContinuousClock.now
    private var shown: ContinuousClock.Instant

    /// - Parameter total: How much there is to do.
    init(total: Int) {
        self.total = total
        shown = start
    }

    /// Shows that `done` are dealt with, `failed` of them in vain, unless that was shown a moment ago.
    mutating func show(done: Int, failed: Int) {
        let now = ContinuousClock.now
        guard now - shown >= (Console.isInteractive ? .milliseconds(200) : .seconds(10)) else { return }
        shown = now
        let seconds = (now - start).inSeconds
        let rate = seconds > 0 ? Double(done) / seconds : 0
        let text =
            "\(Decimals.grouped(done)) of \(Decimals.grouped(total))"
            + (failed > 0 ? ", \(Decimals.grouped(failed)) failed" : "") + ", \(Decimals.text(rate, digits: 0))/s"
        if Console.isInteractive { Console.progress("\r\u{1B}[K\(text)") } else { Console.note(text) }
    }

    /// Removes what stands in the terminal's line.
    func clear() {
        if Console.isInteractive { Console.progress("\r\u{1B}[K") }
    }
}
