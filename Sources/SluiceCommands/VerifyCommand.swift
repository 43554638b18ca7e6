import ArgumentParser
package import CloudEvents
import EventBus
import JetStream
import SluiceGateway

/// `sluice verify`: whether what was acknowledged is still there.
struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check that every acknowledged event is still in the stream, unchanged.",
        discussion: """
            Every gateway writes down what it acknowledged, in the stream SLUICE_AUDIT. This command reads those records \
            and every event they name, and compares digests. It changes nothing and may run beside live traffic. Give it \
            the settings of the gateways: MAX_AGE and STREAM_DISCARD decide what may be gone.

            Exit codes:
              0   nothing is missing or changed
              2   acknowledged events are missing or changed
              3   nothing is known to be missing, but part of the audit itself is
              69  the check could not be made: NATS is away, or there is no audit
              78  the configuration is wrong

            Examples:
              NATS_URL=nats://nats:4222 sluice verify
              sluice verify --since 2h --json
            """
    )

    @Flag(help: "Print one JSON object instead of a table.")
    var json = false

    @Option(
        help: ArgumentHelp(
            "Only what was acknowledged since: a time (2026-01-31T12:00:00Z) or how long ago (90s, 15m, 2h, 7d).",
            valueName: "time"
        )
    )
    var since: String?

    @Option(help: ArgumentHelp("How long NATS may be away before the check is given up.", valueName: "seconds"))
    var patience = 30

    @OptionGroup(title: "Settings") var settings: ConfigurationOptions

    func validate() throws {
        guard (1...3600).contains(patience) else { throw ValidationError("--patience: not between 1 and 3600 seconds") }
        if let since, VerifyStart.milliseconds(since) == nil {
            throw ValidationError(
                "--since: \(SafeText.quoted(since)) is neither an RFC 3339 time nor such as 15m or 2h"
            )
        }
    }

    func run() async throws {
        try await reportingFailures {
            let bus = try busConfiguration()
            let client = JetStreamClient(
                configuration: JetStreamConfiguration(servers: bus.servers, name: "sluice-verify")
            )
            client.start()
            let result: Result<AuditReport, CommandFailure>
            do throws(CommandFailure) {
                result = .success(try await verify(bus, client))
            } catch {
                result = .failure(error)
            }
            await client.close(grace: .zero)
            let report = try result.get()
            let text = VerifyReport(report: report, events: bus.streams.events.name.description)
            if json { Console.out(text.json) } else { text.lines.forEach(Console.out) }
            if report.hasLoss { throw ExitStatus.lost }
            if report.auditIsDamaged { throw ExitStatus.incomplete }
        }
    }

    private func busConfiguration() throws -> EventBusConfiguration {
        do {
            return try settings.sources().resolve().configuration.gateway.busConfiguration()
        } catch let error as GatewayConfigurationError {
            throw ConfigurationErrors(problems: error.faults)
        }
    }

    private func verify(
        _ bus: EventBusConfiguration,
        _ client: JetStreamClient
    ) async throws(CommandFailure) -> AuditReport {
        try await connect(client)
        var settings = AuditVerifier.Settings(
            events: bus.streams.events.name,
            audit: StreamPlan.auditName,
            promise: bus.streams.auditPromise
        )
        settings.patience = .seconds(patience)
        settings.grace = bus.publishTimeout + .seconds(5)
        settings.since = since.flatMap(VerifyStart.milliseconds)
        let progress = VerifyProgress()
        do throws(AuditVerificationError) {
            let report = try await AuditVerifier(client: client, settings: settings).run { progress.show($0) }
            progress.finish(report.audited)
            return report
        } catch {
            progress.clear()
            throw CommandFailure(
                "the check could not be made: \(SafeText.escaped(error.description))",
                code: ExitStatus.unavailable
            )
        }
    }

    /// Waits for the first connection.
    private func connect(_ client: JetStreamClient) async throws(CommandFailure) {
        let clock = ContinuousClock()
        let deadline = clock.now + .seconds(patience)
        while !client.state.isConnected {
            guard clock.now < deadline else {
                var reason = "no NATS server answers"
                if case .connecting(.some(let failure)) = client.state { reason += ": \(failure)" }
                throw CommandFailure(
                    "the check could not be made: \(SafeText.escaped(SafeText.maskingCredentials(reason)))",
                    code: ExitStatus.unavailable
                )
            }
            try? await clock.sleep(for: .milliseconds(20))
        }
    }
}

/// Where a verification begins.
package enum VerifyStart {
    /// The milliseconds since 1970 of an RFC 3339 time, or of now less a duration such as `90s`, `15m`, `2h`, `7d`.
    package static func milliseconds(_ text: String) -> UInt64? {
        milliseconds(text, now: Timestamp.now())
    }

    /// The same at another time than now.
    package static func milliseconds(_ text: String, now: Timestamp) -> UInt64? {
        if let time = Timestamp(text) {
            guard time.secondsSinceEpoch >= 0 else { return nil }
            return UInt64(time.secondsSinceEpoch) * 1000 + UInt64(time.nanoseconds) / 1_000_000
        }
        let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
        guard let unit = text.last.flatMap({ units[$0] }),
            text.utf8.dropLast().allSatisfy({ (0x30...0x39).contains($0) }),
            let count = Int64(text.dropLast()), count <= 1_000_000
        else { return nil }
        let start = now.secondsSinceEpoch - count * unit
        return start < 0 ? 0 : UInt64(start) * 1000
    }
}
