import Foundation
import Glibc
import ServerFixtures
import Testing

/// A nats-server that is started through other programs, such as strace, and whose JetStream is configured by the test.
///
/// Not thread-safe: one test uses it at a time. Killed when it goes away.
final class SpecialBroker {
    let port: UInt16
    let binary: NATSServer.Binary
    private let command: [String]
    private let directory: TemporaryDirectory
    private let disk: SmallDisk?
    private var child: ChildProcess?

    /// - Parameters:
    ///   - jetStream: Lines of the `jetstream` block beside `store_dir`.
    ///   - wrapper: Programs that replace themselves with the one that their last arguments name.
    ///   - disk: Where the store is; a temporary directory unless given.
    init(_ binary: NATSServer.Binary, jetStream: String = "", wrapper: [String] = [], disk: SmallDisk? = nil) throws {
        (self.binary, self.disk, directory) = (binary, disk, TemporaryDirectory())
        port = try freePort()
        let file = "\(directory.path)/nats.conf"
        let configuration = """
            listen: "127.0.0.1:\(port)"
            server_name: "special-\(port)"
            jetstream {
            store_dir: "\(disk?.path ?? directory.path)/store"
            \(jetStream)
            }
            """
        try configuration.write(toFile: file, atomically: true, encoding: .utf8)
        command = (disk?.wrapper ?? []) + wrapper + [binary.path, "-c", file]
        try start()
    }

    var url: String { "nats://127.0.0.1:\(port)" }
    var pid: pid_t { child?.pid ?? 0 }

    /// Starts it (again) with the same port and store, and waits until it answers.
    func start() throws {
        child = ChildProcess(command[0], Array(command.dropFirst()), logPath: "\(directory.path)/nats.log")
        let child = try #require(child, "\(command[0]) cannot be started")
        _ = waitUntil(timeout: .seconds(60)) { !child.isRunning || (try? NATSProbe(port: port)) != nil }
        try #require(child.isRunning, "\(command.joined(separator: " ")): \(child.log.suffix(2000))")
    }

    /// SIGKILL, at once: a server whose disk is full may not end otherwise.
    func kill() { child?.stop(SIGKILL) }
}

/// A file system of a few MiB in memory, in a mount namespace and a user namespace of its own.
///
/// Needs root, or a kernel that gives namespaces to everybody. It ends with the value.
final class SmallDisk {
    private static let hints =
        "run the tests as root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1)"

    private let directory = TemporaryDirectory()
    private let holder: ChildProcess

    /// - Throws: When the system gives no namespace or no mount; such a test fails, it is never passed over.
    init(mebibytes: Int) throws {
        let path = directory.path
        let script =
            "mount -t tmpfs -o size=\(mebibytes)m tmpfs '\(path)' && : > '\(path)/mounted' && exec tail -f /dev/null"
        let program = ["-rm", "sh", "-c", script]
        // Its log is outside of the directory, over which it mounts.
        let started = ChildProcess("unshare", program, logPath: "\(path).log")
        holder = try #require(started, "unshare (Debian package util-linux) cannot be started")
        let mark = "\(inside)/mounted"
        _ = waitUntil(timeout: .seconds(20)) { FileManager.default.fileExists(atPath: mark) || !holder.isRunning }
        let log = holder.log
        try? FileManager.default.removeItem(atPath: "\(path).log")
        try #require(FileManager.default.fileExists(atPath: mark), "no tmpfs of our own: \(log) \(Self.hints)")
    }

    /// Where it is, as a program sees it that is started through ``wrapper``.
    var path: String { directory.path }

    /// What starts a program that sees it.
    var wrapper: [String] { ["nsenter", "-t", "\(holder.pid)", "-U", "-m", "--preserve-credentials"] }

    /// Where it is, as this process sees it.
    private var inside: String { "/proc/\(holder.pid)/root\(directory.path)" }

    /// Bytes that are free.
    var freeBytes: Int {
        var status = statvfs()
        guard statvfs(inside, &status) == 0 else { return 0 }
        return Int(status.f_bavail) * Int(status.f_frsize)
    }

    /// Takes room until only so many bytes are free.
    func occupy(leaving bytes: Int) throws {
        try Data(repeating: 1, count: max(0, freeBytes - bytes)).write(to: URL(filePath: "\(inside)/ballast"))
    }

    /// Gives back what ``occupy(leaving:)`` took.
    func vacate() throws {
        try FileManager.default.removeItem(atPath: "\(inside)/ballast")
    }
}
