import Foundation
import Glibc
import ServerFixtures
import Testing

/// The built tool as a child process, with what it writes.
struct ToolProcess {
    let child: ChildProcess
    private let directory: TemporaryDirectory

    /// Starts the tool; nothing is inherited from the environment but `PATH`.
    init(_ words: [String], environment: [String: String] = [:], in directory: TemporaryDirectory) throws {
        var variables = ["PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"]
        variables.merge(environment) { $1 }
        self.directory = directory
        let log = "\(directory.path)/\(UUID().uuidString).log"
        child = try #require(
            ChildProcess(try GatewayProcess.binary(), words, environment: variables, logPath: log),
            "the tool cannot be started"
        )
    }

    /// Everything it wrote, on both outputs.
    var log: String { child.log }

    /// Waits for its end; the exit code, or 128 and the signal's number.
    func exitCode(timeout: Duration = .seconds(30)) async throws -> Int32 {
        let child = child
        try #require(await eventually(timeout: timeout) { !child.isRunning }, "it does not end:\n\(child.log)")
        let status = try #require(child.exitStatus)
        return status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
    }

    /// Waits until it has written `text`.
    func waitFor(_ text: String, timeout: Duration = .seconds(40)) async throws {
        let child = child
        let came = await eventually(timeout: timeout) { child.log.contains(text) || !child.isRunning }
        try #require(came && child.log.contains(text), "it did not write \(text):\n\(child.log)")
    }

    /// Runs the tool to its end.
    static func run(
        _ words: [String],
        environment: [String: String] = [:]
    ) async throws -> (code: Int32, output: String) {
        let tool = try ToolProcess(words, environment: environment, in: TemporaryDirectory())
        let code = try await tool.exitCode()
        return (code, tool.log)
    }
}

/// The number behind `label` in a text, as in `pid 123`.
func number(after label: String, in text: String) -> Int32? {
    guard let range = text.range(of: label) else { return nil }
    return Int32(text[range.upperBound...].prefix { $0.isASCII && $0.isNumber })
}

/// Whether a process of that number exists and is not only waiting to be buried.
func isAlive(_ pid: Int32) -> Bool {
    guard let status = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
        let name = status.range(of: ") ", options: .backwards)
    else { return false }
    return status[name.upperBound...].first != "Z"
}
