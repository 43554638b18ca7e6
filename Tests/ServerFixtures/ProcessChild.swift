import Foundation
package import Glibc

/// A child process that writes to a file and is stopped by its pid.
package final class ChildProcess: Sendable {
    package let pid: pid_t
    package let logPath: String
    private let reaped = Shared<Int32?>(nil)

    /// Starts a program with the environment of the test, or the one given; nil if it can't be started.
    package init?(_ program: String, _ arguments: [String], environment: [String: String]? = nil, logPath: String) {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, logPath, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var argv = ([program] + arguments).map { strdup($0) } + [nil]
        let variables = environment ?? ProcessInfo.processInfo.environment
        var envp = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for pointer in argv + envp { free(pointer) } }
        var child: pid_t = 0
        guard posix_spawnp(&child, program, &actions, &attributes, &argv, &envp) == 0 else { return nil }
        pid = child
        self.logPath = logPath
    }

    deinit { stop(SIGKILL) }

    /// True until the process has ended.
    package var isRunning: Bool { exitStatus == nil }

    /// The wait status once the process has ended.
    package var exitStatus: Int32? {
        reaped.withLock { reaped in
            if reaped == nil {
                var status: Int32 = 0
                if waitpid(pid, &status, WNOHANG) == pid { reaped = status }
            }
            return reaped
        }
    }

    package func signal(_ number: Int32) {
        if isRunning { _ = kill(pid, number) }
    }

    /// Sends a signal and waits for the end; after 10 s with SIGKILL.
    package func stop(_ number: Int32) {
        signal(number)
        if !waitUntil(timeout: .seconds(10), { !isRunning }) {
            signal(SIGKILL)
            _ = waitUntil { !isRunning }
        }
    }

    /// What it has written so far.
    package var log: String { (try? String(contentsOfFile: logPath, encoding: .utf8)) ?? "" }
}
