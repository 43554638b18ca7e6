import ArgumentParser
import Glibc
import NIOCore
import NIOPosix

/// `sluice bench`: measurements.
struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure a gateway.",
        subcommands: [BenchPublishCommand.self, BenchDeliverCommand.self]
    )
}

extension BenchMode: ExpressibleByArgument {}

/// `sluice bench publish`: puts load on a gateway and tells what it did.
struct BenchPublishCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "publish",
        abstract: "Publish as many events as a gateway takes, or so many a second.",
        discussion: """
            Without --rate each connection sends as soon as it was answered (closed loop). With --rate requests leave on \
            a schedule whatever the answers do (open loop), and latency counts from when a request should have left, so \
            that a stalled gateway cannot hide its stalls.

            The events are real: they are stored.

            Examples:
              sluice bench publish
              sluice bench publish --mode batch --batch-size 100 --seconds 10
              sluice bench publish --rate 1000 --seconds 30 --json
            """
    )

    @OptionGroup(title: "Gateway") var gateway: GatewayOptions

    @Option(help: ArgumentHelp("Connections, one request at a time on each.", valueName: "count"))
    var connections = 64

    @Option(help: ArgumentHelp("How long to send (default: 5).", valueName: "seconds"))
    var seconds: Double?

    @Option(help: ArgumentHelp("How many events to send, instead of --seconds.", valueName: "count"))
    var events: Int?

    @Option(help: "How events are sent: binary, structured or batch.")
    var mode = BenchMode.binary

    @Option(help: ArgumentHelp("Events in a batch.", valueName: "count"))
    var batchSize = 100

    @Option(help: ArgumentHelp("Size of each event's JSON data.", valueName: "bytes"))
    var dataBytes = 512

    @Option(help: ArgumentHelp("Events a second (open loop).", valueName: "rate"))
    var rate: Double?

    @Option(help: ArgumentHelp("Threads of the load generator.", valueName: "count"))
    var threads = 1

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        guard (1...100_000).contains(connections) else {
            throw ValidationError("--connections: not between 1 and 100000")
        }
        guard seconds == nil || events == nil else { throw ValidationError("give --seconds or --events, not both") }
        if let seconds, !(0.1...86_400).contains(seconds) {
            throw ValidationError("--seconds: not between 0.1 and 86400")
        }
        if let events, !(1...1_000_000_000).contains(events) {
            throw ValidationError("--events: not between 1 and 1000000000")
        }
        guard (1...100_000).contains(batchSize) else { throw ValidationError("--batch-size: not between 1 and 100000") }
        guard (12...16_777_216).contains(dataBytes) else {
            throw ValidationError("--data-bytes: not between 12 and 16777216")
        }
        if let rate, !(0.1...10_000_000).contains(rate) {
            throw ValidationError("--rate: not between 0.1 and 10000000")
        }
        guard (1...64).contains(threads), threads <= connections else {
            throw ValidationError("--threads: not between 1 and 64, or more than --connections")
        }
    }

    func run() async throws {
        try await reportingFailures {
            ProcessLimits.raiseOpenFiles()
            let report = try await BenchRun(plan: try plan()).run()
            if json { Console.out(report.json) } else { report.lines.forEach(Console.out) }
            if !report.isClean { throw ExitStatus.unavailable }
        }
    }

    private func plan() throws -> BenchPlan {
        let address = try gateway.address()
        let template = BenchTemplate(
            mode: mode,
            authority: address.server.authority,
            path: address.path("/v1/events"),
            run: EventID.random(),
            batchSize: batchSize,
            dataBytes: dataBytes,
            fields: gateway.tenant.map { [("X-Tenant-ID", $0)] } ?? []
        )
        return BenchPlan(
            address: address,
            mode: mode,
            template: template,
            connections: connections,
            threads: threads,
            rate: rate,
            seconds: events == nil ? seconds ?? 5 : nil,
            requests: events.map { ($0 - 1) / template.eventsPerRequest + 1 }
        )
    }
}

/// One run of the load generator.
struct BenchRun {
    let plan: BenchPlan

    /// - Throws: ``CommandFailure`` when the connections cannot be opened.
    func run() async throws -> BenchReport {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: plan.threads)
        let report: BenchReport
        do {
            report = try await run(on: group)
        } catch {
            try? await group.shutdownGracefully()
            throw CommandFailure(
                "http://\(plan.address.server.authority): \(ConnectFailure.reason(error))",
                code: ExitStatus.unavailable
            )
        }
        try? await group.shutdownGracefully()
        return report
    }

    private func run(on group: MultiThreadedEventLoopGroup) async throws -> BenchReport {
        let plan = plan
        let loops = group.makeIterator().enumerated().map { index, eventLoop in
            eventLoop.submit {
                NIOLoopBound(BenchLoop(plan: plan, index: index, eventLoop: eventLoop), eventLoop: eventLoop)
            }
        }
        for loop in loops { try await loop.flatMap { $0.value.connect() }.get() }
        let cpu = Self.cpuSeconds()
        let start = NIODeadline.now().uptimeNanoseconds + 5_000_000
        let tallies = loops.map { loop in loop.flatMap { $0.value.run(from: start) } }
        var total = BenchTally()
        for tally in tallies { total.merge(try await tally.get()) }
        let seconds = total.lastAnswer > start ? Double(total.lastAnswer - start) / 1e9 : 0
        return BenchReport(plan: plan, tally: total, seconds: seconds, cpuSeconds: Self.cpuSeconds() - cpu)
    }

    /// User and system time of this process.
    static func cpuSeconds() -> Double {
        var usage = rusage()
        getrusage(__rusage_who_t(0), &usage)
        let micros = usage.ru_utime.tv_usec + usage.ru_stime.tv_usec
        return Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + Double(micros) / 1e6
    }
}
