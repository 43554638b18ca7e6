import Foundation
package import Glibc

/// A real nats-server with JetStream on a port of loopback, its store in a directory of its own.
package final class NATSServer: Sendable {
    /// A nats-server to test with.
    package struct Binary: Sendable, CustomStringConvertible {
        package let path: String
        package let version: String
        package var description: String { "nats-server \(version)" }
    }

    /// The servers to test with: the one in PATH (or `SLUICE_TEST_NATS_SERVER`), and the one that
    /// `SLUICE_TEST_NATS_SERVER_CURRENT` names.
    package static let available: [Binary] = {
        let environment = ProcessInfo.processInfo.environment
        let paths = [
            environment["SLUICE_TEST_NATS_SERVER"] ?? "nats-server", environment["SLUICE_TEST_NATS_SERVER_CURRENT"],
        ]
        return paths.compactMap { $0 }.compactMap { path in
            version(of: path).map { Binary(path: path, version: $0) }
        }
    }()

    /// The server that single-server tests use.
    package static var standard: Binary { available.first ?? Binary(path: "nats-server", version: "none") }

    package let port: UInt16
    package let binary: Binary
    package let directory = TemporaryDirectory()
    private let extraConfiguration: String
    private let extraJetStream: String
    private let child = Shared<ChildProcess?>(nil)

    /// Starts a server and waits until it answers.
    ///
    /// - Parameters:
    ///   - extraConfiguration: Lines added to its configuration file.
    ///   - extraJetStream: What is added to its `jetstream` block.
    package init(
        _ binary: Binary = NATSServer.standard,
        port: UInt16? = nil,
        extraConfiguration: String = "",
        extraJetStream: String = ""
    ) throws {
        self.binary = binary
        self.port = try port ?? freePort()
        self.extraConfiguration = extraConfiguration
        self.extraJetStream = extraJetStream
        try start()
    }

    /// It could not be started.
    package struct StartFailure: Error {
        package let log: String
    }

    package var url: String { "nats://127.0.0.1:\(port)" }
    package var pid: pid_t { child.current?.pid ?? 0 }
    package var log: String { child.current?.log ?? "" }

    /// Starts it (again) with the same port and store, and waits until it answers.
    package func start() throws {
        let configuration = """
            listen: "127.0.0.1:\(port)"
            server_name: "test-\(port)"
            jetstream { store_dir: "\(directory.path)/store", \(extraJetStream) }
            \(extraConfiguration)
            """
        let file = "\(directory.path)/nats.conf"
        try configuration.write(toFile: file, atomically: true, encoding: .utf8)
        let started = ChildProcess(binary.path, ["-c", file], logPath: "\(directory.path)/nats.log")
        child.withLock { $0 = started }
        guard let started, waitUntil(timeout: .seconds(20), { Self.answers(port) || !started.isRunning }),
            started.isRunning
        else { throw StartFailure(log: started?.log ?? "cannot be started") }
    }

    private static func answers(_ port: UInt16) -> Bool {
        guard let socket = TestSocket.connect(port: port) else { return false }
        return socket.readLine(timeoutMilliseconds: 1000)?.hasPrefix("INFO ") ?? false
    }

    /// SIGKILL, at once.
    package func kill() { child.current?.stop(SIGKILL) }

    /// SIGTERM, and waits for the end.
    package func terminate() { child.current?.stop(SIGTERM) }

    /// SIGSTOP: it hangs with its connections open.
    package func pause() { child.current?.signal(SIGSTOP) }

    /// SIGCONT.
    package func resume() { child.current?.signal(SIGCONT) }

    private static func version(of path: String) -> String? {
        let directory = TemporaryDirectory()
        let child = ChildProcess(path, ["--version"], logPath: "\(directory.path)/version")
        guard let child, waitUntil({ !child.isRunning }), child.exitStatus == 0 else { return nil }
        return child.log.split { $0.isWhitespace }.last.map { String($0.drop { $0 == "v" }) }
    }
}
