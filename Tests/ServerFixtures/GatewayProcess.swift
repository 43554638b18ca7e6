import Foundation
import Glibc

/// The built gateway as a child process: what the tests see of it is its HTTP, its log and its process id.
///
/// Not thread-safe: one test uses it at a time. Killed, if it still runs, when the object goes away.
package final class GatewayProcess {
    /// How long the start may take before the test fails.
    package enum Readiness: Sendable {
        /// Until `/health/ready` answers 200: the stream is there and has just acknowledged something.
        case ready
        /// Until `/health/live` answers 200: for tests in which NATS is away, or broken.
        case live
    }

    package let port: UInt16
    private let environment: [String: String]
    private let folder = TemporaryDirectory()
    private var child: ChildProcess?

    /// Starts the gateway on a free port of loopback and waits for it.
    ///
    /// - Parameters:
    ///   - natsURL: Where NATS is, or where it will be.
    ///   - settings: Environment variables of the gateway's configuration; nothing is inherited but `PATH`.
    /// - Throws: ``GatewayProcessError`` with the end of its log when it does not come up.
    package init(natsURL: String, settings: [String: String] = [:], until readiness: Readiness = .ready) throws {
        port = try freePort()
        var environment = [
            "NATS_URL": natsURL, "REDIS_URL": "off", "API_HOST": "127.0.0.1", "API_PORT": String(port),
            "LOG_FORMAT": "json", "DRAIN_GRACE": "0",
            "PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin",
        ]
        environment.merge(settings) { $1 }
        self.environment = environment
        try start(until: readiness)
    }

    /// Starts it again after it ended, on the same port with the same settings; its log goes on in the same file.
    package func start(until readiness: Readiness = .ready) throws {
        child = ChildProcess(try Self.binary(), ["serve"], environment: environment, logPath: "\(folder.path)/log")
        let path = readiness == .ready ? "/health/ready" : "/health/live"
        guard let child, waitUntil(timeout: .seconds(30), { status(of: path) == 200 || !child.isRunning }),
            child.isRunning
        else { throw GatewayProcessError(what: "the gateway did not come up (\(path))", log: log.suffix(30)) }
    }

    // MARK: Signals

    /// SIGKILL, and waits until it is gone.
    package func kill() {
        child?.stop(SIGKILL)
    }

    /// SIGTERM, which asks it to drain and end; ``waitForExit(timeout:)`` tells how it went.
    package func terminate() {
        child?.signal(SIGTERM)
    }

    /// Waits until it has ended.
    ///
    /// - Returns: Whether it has, in time.
    package func waitForExit(timeout: Duration = .seconds(30)) -> Bool {
        waitUntil(timeout: timeout) { child?.isRunning != true }
    }

    /// How it ended: the exit code, or the signal's number negated; `nil` while it runs.
    package var exitStatus: Int32? {
        child?.exitStatus.map { $0 & 0x7F == 0 ? ($0 >> 8) & 0xFF : -($0 & 0x7F) }
    }

    /// The process id.
    package var pid: Int32 { child?.pid ?? 0 }

    // MARK: Talking to it

    package func connect(timeout: Duration = .seconds(20)) throws(HTTPClientError) -> HTTPConnection {
        try HTTPConnection(port: port, timeout: timeout)
    }

    /// One GET on a connection of its own.
    package func get(_ target: String) throws(HTTPClientError) -> HTTPResponse {
        try connect().get(target)
    }

    /// One request on a connection of its own.
    package func exchange(_ request: HTTPRequest) throws(HTTPClientError) -> HTTPResponse {
        try connect().exchange(request)
    }

    /// The status of a GET, or `nil` when there is no answer within two seconds.
    package func status(of target: String) -> Int? {
        try? connect(timeout: .seconds(2)).get(target).status
    }

    // MARK: What the system knows of it

    /// The lines it has written to standard error and output so far.
    package var log: [String] {
        let text = FileManager.default.contents(atPath: "\(folder.path)/log") ?? Data()
        return String(decoding: text, as: UTF8.self).utf8.split(separator: 10).compactMap { String($0) }
    }

    /// Processor time used so far, in seconds.
    package var cpuSeconds: Double {
        let text = (try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)) ?? ""
        let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { return 0 }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// Resident memory in bytes.
    package var residentBytes: Int {
        let text = (try? String(contentsOfFile: "/proc/\(pid)/statm", encoding: .utf8)) ?? ""
        let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }

    /// The binary under test: `SLUICE_TEST_BINARY`, or the one that was built beside the test bundle.
    package static func binary() throws -> String {
        if let path = ProcessInfo.processInfo.environment["SLUICE_TEST_BINARY"], !path.isEmpty { return path }
        var folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        let starts = [folder, URL(fileURLWithPath: CommandLine.arguments.first ?? "/").deletingLastPathComponent()]
        for start in starts {
            folder = start.standardizedFileURL
            while folder.path != "/" {
                let candidate = folder.appendingPathComponent("sluice")
                var isFolder: ObjCBool = false
                if FileManager.default.fileExists(atPath: candidate.path, isDirectory: &isFolder), !isFolder.boolValue,
                    FileManager.default.isExecutableFile(atPath: candidate.path)
                {
                    return candidate.path
                }
                folder.deleteLastPathComponent()
            }
        }
        throw GatewayProcessError(what: "no built sluice found; set SLUICE_TEST_BINARY", log: [])
    }
}

/// The gateway did not do what a test needs before it can begin.
package struct GatewayProcessError: Error, CustomStringConvertible {
    package let description: String

    init(what: String, log: ArraySlice<String>) {
        description = ([what] + log).joined(separator: "\n")
    }
}
