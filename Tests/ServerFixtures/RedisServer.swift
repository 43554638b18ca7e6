import Foundation
package import Glibc

/// A real redis-server on a port of loopback and a socket in a directory of its own; it keeps nothing on disk unless told.
package final class RedisServer: Sendable {
    package let port: UInt16
    package let directory = TemporaryDirectory()
    private let extraConfiguration: String
    private let child = Shared<ChildProcess?>(nil)

    /// Starts a server and waits until it answers.
    ///
    /// - Parameter extraConfiguration: Lines added to its configuration file.
    package init(port: UInt16? = nil, extraConfiguration: String = "") throws {
        self.port = try port ?? freePort()
        self.extraConfiguration = extraConfiguration
        try start()
    }

    /// It could not be started.
    package struct StartFailure: Error {
        package let log: String
    }

    package var url: String { "redis://127.0.0.1:\(port)" }
    package var socketPath: String { "\(directory.path)/redis.sock" }
    package var pid: pid_t { child.current?.pid ?? 0 }
    package var log: String { child.current?.log ?? "" }

    /// Starts it (again) with the same port and directory, and waits until it answers, be it with an error.
    package func start() throws {
        let configuration = """
            port \(port)
            bind 127.0.0.1
            unixsocket \(socketPath)
            dir \(directory.path)
            save ""
            \(extraConfiguration)
            """
        let file = "\(directory.path)/redis.conf"
        try configuration.write(toFile: file, atomically: true, encoding: .utf8)
        let started = ChildProcess("redis-server", [file], logPath: "\(directory.path)/redis.log")
        child.withLock { $0 = started }
        guard let started, waitUntil(timeout: .seconds(20), { answers || !started.isRunning }), started.isRunning
        else { throw StartFailure(log: started?.log ?? "cannot be started") }
    }

    private var answers: Bool {
        guard let socket = TestSocket.connect(port: port), socket.send("PING\r\n") else { return false }
        return socket.readLine(timeoutMilliseconds: 1000) != nil
    }

    /// SIGKILL, at once.
    package func kill() { child.current?.stop(SIGKILL) }

    /// SIGTERM, and waits for the end.
    package func terminate() { child.current?.stop(SIGTERM) }

    /// SIGSTOP: it hangs with its connections open.
    package func pause() { child.current?.signal(SIGSTOP) }

    /// SIGCONT.
    package func resume() { child.current?.signal(SIGCONT) }

    /// Runs one command on a connection of its own, written and read without any client library.
    ///
    /// - Parameter password: Sent with AUTH first.
    /// - Returns: The answer as text: an array's elements one a line, an error with its `-`, nil as `nil`; nil if there is
    ///   no answer.
    @discardableResult
    package func command(_ arguments: String..., password: String? = nil) -> String? {
        guard let probe = RedisProbe(port: port) else { return nil }
        if let password { _ = probe.command(["AUTH", password]) }
        return probe.command(arguments)
    }

    /// A number in the answer to INFO, such as `total_commands_processed`; nil if there is none.
    package func statistic(_ name: String) -> Int? {
        RedisProbe(port: port).flatMap { Self.statistic(name, in: $0) }
    }

    /// The same, on a connection that exists.
    package static func statistic(_ name: String, in probe: RedisProbe) -> Int? {
        let lines = probe.command(["INFO", "all"])?.split(whereSeparator: \.isNewline) ?? []
        return lines.first { $0.hasPrefix(name + ":") }.flatMap { Int($0.dropFirst(name.count + 1)) }
    }
}
