import ArgumentParser
import Glibc
import SluiceGateway

/// The command line's entry point.
public enum EntryPoint {
    /// Parses the process's arguments, runs the command they name and exits with its code.
    public static func main() async {
        signal(SIGPIPE, SIG_IGN)
        await Sluice.main()
    }
}

/// The root of all commands.
struct Sluice: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sluice",
        abstract: "A CloudEvents gateway over NATS JetStream.",
        discussion: """
            First steps:
              sluice dev            (a gateway and a nats-server of its own)
              sluice publish --type com.example.hello --source /me --data '{}'
              sluice subscriptions create mine --type com.example.hello --pull --start-at earliest
              sluice receive mine

            In production:
              NATS_URL=nats://nats:4222 sluice check-config --connect
              NATS_URL=nats://nats:4222 sluice serve
              NATS_URL=nats://nats:4222 sluice verify   (is what was acknowledged still there?)
            """,
        version: ToolVersion.text,
        subcommands: [
            ServeCommand.self, DevCommand.self, PublishCommand.self, CheckConfigCommand.self, VerifyCommand.self,
            SubscriptionsCommand.self, ReceiveCommand.self, DeadLettersCommand.self, BenchCommand.self,
        ]
    )
}

/// The tool's version.
enum ToolVersion {
    static let text = GatewayConfiguration.version
}

/// How the tool's exit codes are told, after sysexits.h.
enum ExitStatus {
    /// Acknowledged events are missing or changed.
    static let lost = ExitCode(2)
    /// Nothing is known to be lost, but not everything could be checked.
    static let incomplete = ExitCode(3)
    /// An event was refused: its sender has to change it.
    static let refused = ExitCode(65)
    /// A file of events cannot be read.
    static let noInput = ExitCode(66)
    /// The output cannot be written.
    static let noOutput = ExitCode(74)
    /// A server could not be reached or did not store.
    static let unavailable = ExitCode(69)
    /// A file or directory cannot be used.
    static let unusable = ExitCode(73)
    /// The configuration is wrong.
    static let configuration = ExitCode(78)
}

/// An error that ends a command with a message of its own and an exit code.
struct CommandFailure: Error {
    let message: String
    let code: ExitCode

    init(_ message: String, code: ExitCode) {
        self.message = message
        self.code = code
    }
}

/// Runs a command's body; what it throws becomes a message on standard error and an exit code.
func reportingFailures(_ body: () async throws -> Void) async throws {
    do {
        try await body()
        if Console.hasFailed { throw CommandFailure("the output cannot be written", code: ExitStatus.noOutput) }
    } catch let failure as CommandFailure {
        for line in failure.message.split(separator: "\n") { Console.note("sluice: \(line)") }
        throw failure.code
    } catch let errors as ConfigurationErrors {
        for problem in errors.problems { Console.note("sluice: \(problem)") }
        let count = errors.problems.count
        Console.note(
            "sluice: \(count == 1 ? "1 problem" : "\(count) problems") in the configuration; nothing was started"
        )
        throw ExitStatus.configuration
    }
}
