import ArgumentParser

/// `sluice publish`: events from flags, a file or standard input to a gateway.
struct PublishCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "publish",
        abstract: "Send events to a gateway.",
        discussion: """
            One event from flags:
              sluice publish --type com.example.hello --source /me --data '{"a":1}'
              sluice publish --type com.example.note --source /me --content-type text/plain --data-file note.txt

            Whole events (CloudEvents JSON) from a file or standard input:
              sluice publish event.json
              sluice publish --format batch events.json
              tail -f events.ndjson | sluice publish --format ndjson -

            An event that was refused is shown with every rule it breaks; the exit code is then 65. 429, 503 and 504 are \
            tried again until --timeout is over, with the same ids, so that nothing is stored twice; the exit code is 69 \
            when that did not help.
            """
    )

    @OptionGroup(title: "Gateway") var gateway: GatewayOptions
    @OptionGroup(title: "Event") var event: EventOptions

    @Argument(help: "A file of whole events; - is standard input.", completion: .file())
    var file: String?

    @Option(help: "What the file holds: json (one event), batch (a JSON array), ndjson (one event per line).")
    var format: EventFileFormat?

    @Option(help: ArgumentHelp("Events per request (ndjson).", valueName: "count"))
    var batchSize = 100

    @Option(help: ArgumentHelp("Requests under way at a time (ndjson).", valueName: "count"))
    var connections = 4

    @Option(help: ArgumentHelp("How long one request is tried, in seconds.", valueName: "seconds"))
    var timeout = 30

    @Flag(help: "Print the gateway's answers as JSON lines instead of words.")
    var json = false

    func validate() throws {
        guard (1...10_000).contains(batchSize) else { throw ValidationError("--batch-size: not between 1 and 10000") }
        guard (1...256).contains(connections) else { throw ValidationError("--connections: not between 1 and 256") }
        guard (1...3600).contains(timeout) else { throw ValidationError("--timeout: not between 1 and 3600 seconds") }
        if file == nil {
            try event.validateComplete()
        } else if let flag = event.firstGiven {
            throw ValidationError(
                "--\(flag) describes an event, but the file holds whole events: give one or the other"
            )
        }
    }

    func run() async throws {
        try await reportingFailures {
            let address = try gateway.address()
            let sender = PublishSender(address: address, timeoutSeconds: timeout, tenant: gateway.tenant)
            let report = PublishReport(json: json)
            if let file {
                try await publish(file: file, sender: sender, report: report)
            } else {
                var sender = sender
                report.add(await sender.send(try event.call()))
            }
            try report.finish()
        }
    }

    private func publish(file: String, sender: PublishSender, report: PublishReport) async throws {
        let format = format ?? EventFileFormat.guess(path: file)
        if format == .ndjson {
            let lines = try LineSource(path: file, linesMax: batchSize)
            try await LinePublisher(
                lines: lines,
                sender: sender,
                connections: connections,
                timeoutSeconds: timeout,
                report: report
            ).run()
            return
        }
        let content: [UInt8]
        switch FileContent.read(file, limit: 256 << 20) {
        case .success(let bytes): content = bytes
        case .failure(let error):
            throw CommandFailure("\(SafeText.escaped(file)) cannot be read: \(error.reason)", code: ExitStatus.noInput)
        }
        let first = content.first { $0 > 0x20 }
        let isArray = format == .batch || (format == nil && first == UInt8(ascii: "["))
        var sender = sender
        report.add(await sender.send(isArray ? .batch(content) : .structured(content)))
    }
}

/// What a file of events holds.
enum EventFileFormat: String, ExpressibleByArgument, CaseIterable {
    case json
    case batch
    case ndjson

    /// What the name's ending tells; `nil` leaves it to the content's first byte.
    static func guess(path: String) -> EventFileFormat? {
        path.hasSuffix(".ndjson") || path.hasSuffix(".jsonl") ? .ndjson : nil
    }
}

/// Which gateway, and as whom.
struct GatewayOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The gateway (environment: SLUICE_URL; default: http://localhost:8080).",
            valueName: "url"
        )
    )
    var url: String?

    @Option(help: ArgumentHelp("The tenant that the events belong to (X-Tenant-ID).", valueName: "name"))
    var tenant: String?

    /// - Throws: ``CommandFailure`` when the URL is none this client can use.
    func address() throws(CommandFailure) -> GatewayAddress {
        let text = url ?? ProcessEnvironment.value("SLUICE_URL") ?? "http://localhost:8080"
        do throws(SettingFault) {
            return try GatewayAddress(url: text)
        } catch {
            let place = url == nil ? "SLUICE_URL" : "--url"
            let shown = SafeText.quoted(SafeText.maskingCredentials(text))
            throw CommandFailure("\(place): \(shown) \(error.reason)", code: ExitCode(64))
        }
    }

    func validate() throws {
        guard let tenant else { return }
        guard !tenant.isEmpty, tenant.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw ValidationError("--tenant: \(SafeText.quoted(tenant)) is not a tenant's name")
        }
    }
}
