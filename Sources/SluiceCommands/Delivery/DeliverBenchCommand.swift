import ArgumentParser

/// How the events of `bench deliver` get to the command.
enum DeliverBenchMode: String, ExpressibleByArgument, CaseIterable {
    case pull
    case webhook
}

/// `sluice bench deliver`: how fast a gateway delivers.
struct BenchDeliverCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "deliver",
        abstract: "Measure how fast events are delivered, and how long they take.",
        discussion: """
            Makes a subscription of its own for a type of its own. First a backlog: --events are published, then \
            delivered as fast as it goes, and counted (by pulling: when they are acknowledged). Then the delay: events \
            are published at a steady --rate for --seconds, and each is timed from when it should have left until it is \
            here. At the end the subscription is removed; the events stay in the stream.

            The webhook is a server in this command. The gateway has to reach it, and to be allowed to: `sluice dev` \
            is, others need SINK_ALLOW_HTTP=true and SINK_ALLOW_NETWORKS=127.0.0.0/8.

            Examples:
              sluice bench deliver
              sluice bench deliver --mode webhook --events 50000
              sluice bench deliver --events 0 --rate 1000 --seconds 10 --json
            """
    )

    @OptionGroup(title: "Gateway") var gateway: GatewayOptions

    @Option(help: "How events are delivered: pull or webhook.")
    var mode = DeliverBenchMode.pull

    @Option(help: ArgumentHelp("Events of the backlog; 0 leaves it out.", valueName: "count"))
    var events = 10_000

    @Option(help: ArgumentHelp("Events a second for the delay; 0 leaves it out.", valueName: "rate"))
    var rate = 500.0

    @Option(help: ArgumentHelp("How long events are published for the delay.", valueName: "seconds"))
    var seconds = 5.0

    @Option(help: ArgumentHelp("Size of each event's JSON data.", valueName: "bytes"))
    var dataBytes = 512

    @Option(help: ArgumentHelp("Polls at a time (pull).", valueName: "count"))
    var connections = 4

    @Option(help: ArgumentHelp("Events in a poll (pull).", valueName: "count"))
    var batchSize = 100

    @Option(help: ArgumentHelp("The subscription's maxInFlight (default: what the polls ask for, 64 for webhooks)."))
    var maxInFlight: Int?

    @Option(help: ArgumentHelp("The address of this machine that the gateway reaches (webhook).", valueName: "address"))
    var listen = "127.0.0.1"

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        guard (0...10_000_000).contains(events) else { throw ValidationError("--events: not between 0 and 10000000") }
        guard (0...100_000).contains(rate) else { throw ValidationError("--rate: not between 0 and 100000") }
        guard (0.1...3600).contains(seconds) else { throw ValidationError("--seconds: not between 0.1 and 3600") }
        guard rate * seconds <= 10_000_000 else { throw ValidationError("--rate and --seconds: too many events") }
        guard (12...1_000_000).contains(dataBytes) else {
            throw ValidationError("--data-bytes: not between 12 and 1000000")
        }
        guard (1...64).contains(connections) else { throw ValidationError("--connections: not between 1 and 64") }
        guard (1...1000).contains(batchSize) else { throw ValidationError("--batch-size: not between 1 and 1000") }
        if let maxInFlight, !(1...1000).contains(maxInFlight) {
            throw ValidationError("--max-in-flight: not between 1 and 1000")
        }
        guard events > 0 || rate * seconds >= 1 else {
            throw ValidationError("nothing to measure: give --events or --rate")
        }
    }

    func run() async throws {
        try await reportingFailures {
            ProcessLimits.raiseOpenFiles()
            let run = DeliverBenchRun(gateway: gateway, plan: plan())
            let report: DeliverBenchReport?
            do {
                report = try await DeliverSignals.race { try await run.run() }
            } catch {
                await run.cleanUp()
                throw error
            }
            await run.cleanUp()
            guard let report else { throw ExitCode(130) }
            if json { Console.out(report.json) } else { report.lines.forEach(Console.out) }
            if report.missing > 0 { throw ExitStatus.unavailable }
        }
    }

    private func plan() -> DeliverBenchPlan {
        let inFlight = mode == .webhook ? 64 : min(1000, connections * batchSize)
        return DeliverBenchPlan(
            mode: mode,
            run: EventID.random(),
            events: events,
            pacedEvents: Int(rate * seconds),
            rate: rate,
            dataBytes: dataBytes,
            connections: connections,
            batchSize: batchSize,
            maxInFlight: maxInFlight ?? inFlight,
            host: listen
        )
    }
}
