import RedisStore

/// The redis-server of `sluice dev`: a child of this process, on loopback, that keeps the counters in the data directory.
struct DevRedis: Sendable {
    let child: DevChild
    let port: Int
    let version: String
    let logPath: String

    /// The URL a client connects to.
    var url: String { "redis://127.0.0.1:\(port)" }

    /// Starts the server and waits until it answers.
    ///
    /// - Parameters:
    ///   - program: The program's path.
    ///   - port: Where it listens; 0 takes a free port.
    ///   - directory: Holds the snapshot and the log. Absolute, and there.
    ///   - lock: A descriptor that the child keeps open for as long as it lives.
    static func start(program: String, port: Int, directory: String, lock: Int32) async throws -> DevRedis {
        let port = port == 0 ? try LocalPort.free() : port
        try LocalPort.checkFree(port, host: "127.0.0.1", flag: "--redis-port")
        let logPath = directory + "/redis-server.log"
        let command = [
            program, "--bind", "127.0.0.1", "--port", String(port), "--dir", directory, "--dbfilename", "counters.rdb",
            "--save", "10 1", "--daemonize", "no",
        ]
        do {
            let child = try DevChild(command: command, log: logPath, lock: lock)
            let version = try await waitUntilItAnswers(child, port: port, logPath: logPath)
            return DevRedis(child: child, port: port, version: version, logPath: logPath)
        } catch let error as FileError {
            throw CommandFailure("redis-server cannot be started: \(error.reason)", code: ExitStatus.unavailable)
        }
    }

    /// Stops the server and waits until it is gone; it writes its snapshot before.
    func stop() async {
        child.stop()
        _ = await child.exitStatus()
    }

    /// The server that answers must be ours, which its process id proves.
    private static func waitUntilItAnswers(_ child: DevChild, port: Int, logPath: String) async throws -> String {
        let client = RedisClient(configuration: try RedisConfiguration(url: "redis://127.0.0.1:\(port)"), log: { _ in })
        client.start()
        let result = await firstAnswer(client, child, logPath: logPath)
        await client.close()
        do {
            return try result.get()
        } catch {
            child.stop()
            throw FileError("it does not answer on port \(port): \(error.reason)")
        }
    }

    private static func firstAnswer(
        _ client: RedisClient,
        _ child: DevChild,
        logPath: String
    ) async -> Result<String, FileError> {
        let deadline = ContinuousClock.now + .seconds(20)
        while ContinuousClock.now < deadline {
            if let status = child.endedStatus {
                return .failure(FileError("it ended with status \(status); see \(SafeText.escaped(logPath))"))
            }
            if let replies = try? await client.run([RedisCommand("INFO", ["server"])]),
                case .bytes(let bytes)? = replies.first
            {
                let fields = RedisInfo(bytes)
                if fields["process_id"] == String(child.pid) { return .success(fields["redis_version"] ?? "?") }
                return .failure(FileError("another server answers there"))
            }
            try? await Task.sleep(for: .milliseconds(20))
        }
        return .failure(FileError("see \(SafeText.escaped(logPath))"))
    }
}

/// The fields of Redis's `INFO` reply: lines of `name:value`.
private struct RedisInfo {
    private var fields: [Substring: Substring] = [:]

    init(_ bytes: [UInt8]) {
        for line in String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline) {
            guard let colon = line.firstIndex(of: ":") else { continue }
            fields[line[..<colon]] = line[line.index(after: colon)...]
        }
    }

    subscript(name: String) -> String? { fields[name[...]].map(String.init) }
}
