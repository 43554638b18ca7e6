import Glibc
import Synchronization

/// A child process that cannot outlive this one, not even when this one is killed with SIGKILL.
///
/// Between the two stands a shell that holds the reading end of a pipe whose writing end only this process has. When
/// the pipe ends, for whatever reason, the shell sends the child SIGTERM and, 5 s later, SIGKILL, both by its pid.
/// The child has a process group of its own, so that Ctrl-C at the terminal reaches this process alone.
final class DevChild: Sendable {
    /// The child's own pid, not the shell's.
    let pid: pid_t

    private let shell: pid_t
    private let lifeline: Mutex<Int32>
    private let exit: Mutex<ExitState>

    private enum ExitState {
        case running([CheckedContinuation<Int32, Never>])
        case ended(Int32)
    }

    /// The shell's program: its first argument is the log, the rest the child's command line.
    ///
    /// Descriptors: 3 the lifeline, 4 the lock of the data
    /// directory (held until the child is gone), 5 where the child's pid is told.
    private static let watchdog = """
        log=$1; shift
        "$@" </dev/null >>"$log" 2>&1 3<&- 5>&- &
        child=$!
        echo "$child" >&5
        exec 5>&-
        (
            read -r _ <&3
            kill -TERM "$child" 2>/dev/null
            tries=0
            while [ "$tries" -lt 50 ] && kill -0 "$child" 2>/dev/null; do
                sleep 0.1
                tries=$((tries + 1))
            done
            kill -KILL "$child" 2>/dev/null
        ) >/dev/null 2>&1 4<&- &
        watcher=$!
        exec 3<&-
        wait "$child"
        status=$?
        kill "$watcher" 2>/dev/null
        exit "$status"
        """

    /// Starts `command` with its output appended to `log`.
    ///
    /// - Parameter lock: A descriptor that the child keeps open for as long as it lives.
    /// - Throws: ``FileError`` when a system call failed.
    init(command: [String], log: String, lock: Int32) throws(FileError) {
        let life = try Pipe()
        defer { close(life.reading) }
        let announcement: Pipe
        do {
            announcement = try Pipe()
        } catch {
            close(life.writing)
            throw error
        }
        defer { close(announcement.reading) }
        let arguments = ["/bin/sh", "-c", Self.watchdog, "sluice-dev", log] + command
        let mapping = [(life.reading, Int32(3)), (lock, Int32(4)), (announcement.writing, Int32(5))]
        let spawned = Result { () throws(FileError) in try Self.spawn(arguments, mapping: mapping) }
        close(announcement.writing)
        do {
            shell = try spawned.get()
            pid = try Self.readPid(from: announcement.reading)
        } catch {
            close(life.writing)
            throw error
        }
        lifeline = Mutex(life.writing)
        exit = Mutex(.running([]))
        try watchExit()
    }

    /// Asks the child to stop.
    ///
    /// Returns at once; ``exitStatus()`` tells when it is gone. May be called repeatedly.
    func stop() {
        lifeline.withLock { descriptor in
            if descriptor >= 0 { close(descriptor) }
            descriptor = -1
        }
    }

    /// Whether ``stop()`` was called.
    var wasStopped: Bool { lifeline.withLock { $0 < 0 } }

    /// Waits until the child is gone: its exit code, or 128 and the signal's number.
    func exitStatus() async -> Int32 {
        await withCheckedContinuation { continuation in
            let status: Int32? = exit.withLock { state in
                switch state {
                case .ended(let status): return status
                case .running(let waiting):
                    state = .running(waiting + [continuation])
                    return nil
                }
            }
            if let status { continuation.resume(returning: status) }
        }
    }

    /// The exit status if the child is gone already.
    var endedStatus: Int32? {
        exit.withLock { state in
            if case .ended(let status) = state { status } else { nil }
        }
    }

    fileprivate func waitForShell() {
        var status: Int32 = 0
        while waitpid(shell, &status, 0) < 0, errno == EINTR {}
        let signal = status & 0x7F
        let code = signal == 0 ? (status >> 8) & 0xFF : 128 + signal
        let waiting: [CheckedContinuation<Int32, Never>] = exit.withLock { state in
            guard case .running(let waiting) = state else { return [] }
            state = .ended(code)
            return waiting
        }
        for continuation in waiting { continuation.resume(returning: code) }
    }

    private func watchExit() throws(FileError) {
        let reference = Unmanaged.passRetained(self)
        var thread = pthread_t()
        let result = pthread_create(&thread, nil, exitWatcher, reference.toOpaque())
        guard result == 0 else {
            reference.release()
            stop()
            throw .system(result)
        }
        pthread_detach(thread)
    }

    private static func spawn(_ arguments: [String], mapping: [(Int32, Int32)]) throws(FileError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0)
        for (source, target) in mapping { posix_spawn_file_actions_adddup2(&actions, source, target) }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        var defaults = sigset_t()
        sigemptyset(&defaults)
        for signal in [SIGPIPE, SIGINT, SIGTERM, SIGHUP] { sigaddset(&defaults, signal) }
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes,
            Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF)
        )
        let environment = ProcessEnvironment.values(["PATH", "HOME", "TMPDIR", "LANG", "TZ"]).map { "\($0)=\($1)" }
        var argumentPointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        var environmentPointers: [UnsafeMutablePointer<CChar>?] = environment.map { strdup($0) } + [nil]
        defer { for pointer in argumentPointers + environmentPointers { free(pointer) } }
        var pid: pid_t = 0
        let result = posix_spawn(&pid, "/bin/sh", &actions, &attributes, &argumentPointers, &environmentPointers)
        guard result == 0 else { throw .system(result) }
        return pid
    }

    private static func readPid(from descriptor: Int32) throws(FileError) -> pid_t {
        var text: [UInt8] = []
        var byte: UInt8 = 0
        while text.count < 16 {
            let count = read(descriptor, &byte, 1)
            if count < 0, errno == EINTR { continue }
            guard count == 1, byte != UInt8(ascii: "\n") else { break }
            text.append(byte)
        }
        guard let pid = pid_t(String(decoding: text, as: UTF8.self)) else {
            throw FileError("the shell that should start it ended")
        }
        return pid
    }
}

/// A pipe whose ends are closed at exec and lie above the descriptors that the child is given.
private struct Pipe {
    let reading: Int32
    let writing: Int32

    init() throws(FileError) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw .system() }
        reading = fcntl(ends[0], F_DUPFD_CLOEXEC, 16)
        writing = fcntl(ends[1], F_DUPFD_CLOEXEC, 16)
        close(ends[0])
        close(ends[1])
        guard reading >= 0, writing >= 0 else { throw .system() }
    }
}

/// The body of the thread that waits for the shell's end.
private let exitWatcher: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { argument in
    guard let argument else { return nil }
    Unmanaged<DevChild>.fromOpaque(argument).takeRetainedValue().waitForShell()
    return nil
}
