import Glibc

/// The nats-server of `sluice dev`: a child of this process, on loopback, with JetStream in a directory.
struct DevServer: Sendable {
    let child: DevChild
    let port: Int
    let version: String
    let logPath: String

    /// The URL a client connects to.
    var url: String { "nats://127.0.0.1:\(port)" }

    /// Starts the server and waits until it answers.
    ///
    /// - Parameters:
    ///   - binary: The program's path, or its name, looked up in `PATH`.
    ///   - port: Where it listens; 0 takes a free port.
    ///   - directory: Holds the stream store and the log. Absolute, and there.
    ///   - lock: A descriptor that the child keeps open for as long as it lives.
    static func start(binary: String, port: Int, directory: String, lock: Int32) async throws -> DevServer {
        let program = try DevProgram.locate(binary, package: "nats-server", flag: "--nats-server")
        let port = port == 0 ? try LocalPort.free() : port
        try LocalPort.checkFree(port, host: "127.0.0.1", flag: "--nats-port")
        let logPath = directory + "/nats-server.log"
        let name = "sluice-dev-\(EventID.random())"
        let command = [
            program, "--addr", "127.0.0.1", "--port", String(port), "--server_name", name, "--jetstream",
            "--store_dir", directory,
        ]
        do {
            let child = try DevChild(command: command, log: logPath, lock: lock)
            let version = try await waitUntilItAnswers(child, port: port, name: name, logPath: logPath)
            return DevServer(child: child, port: port, version: version, logPath: logPath)
        } catch let error as FileError {
            throw CommandFailure("nats-server cannot be started: \(error.reason)", code: ExitStatus.unavailable)
        }
    }

    /// Stops the server and waits until it is gone.
    func stop() async {
        child.stop()
        _ = await child.exitStatus()
    }

    /// The server that answers must be ours, which its name proves, not another that took the port meanwhile.
    private static func waitUntilItAnswers(
        _ child: DevChild,
        port: Int,
        name: String,
        logPath: String
    ) async throws -> String {
        let deadline = ContinuousClock.now + .seconds(20)
        var reason = ""
        while ContinuousClock.now < deadline {
            if let status = child.endedStatus {
                throw FileError("it ended with status \(status); see \(SafeText.escaped(logPath))")
            }
            do throws(FileError) {
                let greeting = try await NATSGreeting.read(host: "127.0.0.1", port: port, timeoutSeconds: 2)
                if greeting.serverName == name { return greeting.version }
                reason = "another server answers on port \(port)"
            } catch {
                reason = error.reason
            }
            try? await Task.sleep(for: .milliseconds(20))
        }
        child.stop()
        throw FileError("it does not answer on port \(port): \(reason); see \(SafeText.escaped(logPath))")
    }
}

/// The lock of a data directory: one server at a time may write to it.
struct DataLock {
    /// The locked descriptor.
    ///
    /// A child that inherits it holds the lock too, until both have closed it.
    let descriptor: Int32

    /// Makes the directory when it is missing, and locks it.
    init(directory: String) throws(CommandFailure) {
        do throws(FileError) {
            try FileContent.makeDirectories(directory)
        } catch {
            throw CommandFailure(
                "the data directory \(SafeText.escaped(directory)) cannot be used: \(error.reason)",
                code: ExitStatus.unusable
            )
        }
        let path = directory + "/sluice-dev.lock"
        let opened = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard opened >= 0 else {
            throw CommandFailure(
                "\(SafeText.escaped(path)) cannot be opened: \(FileError.system().reason)",
                code: ExitStatus.unusable
            )
        }
        descriptor = fcntl(opened, F_DUPFD_CLOEXEC, 16)
        close(opened)
        guard descriptor >= 0, flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            if descriptor >= 0 { close(descriptor) }
            throw CommandFailure(
                "the data directory \(SafeText.escaped(directory)) is in use by another sluice dev; "
                    + "stop that one, or choose another directory with --data",
                code: ExitStatus.unusable
            )
        }
    }

    /// Closes this process's descriptor; the lock lives on in the child that inherited it.
    func release() {
        close(descriptor)
    }
}

/// Ports of this machine.
enum LocalPort {
    /// A port that is free on loopback now.
    static func free() throws(CommandFailure) -> Int {
        do {
            return try bind(0, host: "127.0.0.1")
        } catch {
            throw CommandFailure("no free port: \(error.reason)", code: ExitStatus.unavailable)
        }
    }

    /// - Throws: ``CommandFailure`` that names the port and the flag that chooses another.
    static func checkFree(_ port: Int, host: String, flag: String) throws(CommandFailure) {
        do {
            _ = try bind(port, host: host)
        } catch {
            throw CommandFailure(
                "port \(port) on \(SafeText.escaped(host)) cannot be used: \(error.reason); choose another with \(flag)",
                code: ExitStatus.unavailable
            )
        }
    }

    /// Binds and closes at once; the port that it was.
    ///
    /// Hosts that are no IPv4 address are left to the listener.
    private static func bind(_ port: Int, host: String) throws(FileError) -> Int {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(truncatingIfNeeded: port).bigEndian
        guard inet_pton(AF_INET, host, &address.sin_addr) == 1 else { return port }
        let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { throw .system() }
        defer { close(socket) }
        var reuse: Int32 = 1
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &reuse, socklen_t(MemoryLayout<Int32>.size))
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                Glibc.bind(socket, generic, size) == 0 && listen(socket, 1) == 0
                    && getsockname(socket, generic, &size) == 0
            }
        }
        guard result else { throw .system() }
        return Int(in_port_t(bigEndian: address.sin_port))
    }
}
