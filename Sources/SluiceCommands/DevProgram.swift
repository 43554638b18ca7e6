import Glibc
import ServiceLifecycle

/// Programs that `sluice dev` starts.
enum DevProgram {
    /// The path of a program.
    ///
    /// - Parameters:
    ///   - binary: Its path, or its name, which is looked up in `PATH` and where Debian keeps servers.
    ///   - package: The Debian package that brings it, for the error.
    ///   - flag: The flag that names another one, for the error.
    /// - Throws: ``CommandFailure`` when there is none.
    static func locate(_ binary: String, package: String, flag: String) throws(CommandFailure) -> String {
        if let program = find(binary) { return program }
        throw CommandFailure(
            "\(SafeText.quoted(binary)) is not an executable that can be found; install it "
                + "(apt-get install \(package)) or name it with \(flag)",
            code: ExitStatus.unavailable
        )
    }

    private static func find(_ binary: String) -> String? {
        let candidates =
            binary.contains("/")
            ? [binary]
            : (ProcessEnvironment.value("PATH") ?? "/usr/bin:/bin").split(separator: ":").map { "\($0)/\(binary)" }
                + ["/usr/sbin/\(binary)", "/usr/local/bin/\(binary)"]
        return candidates.first { access($0, X_OK) == 0 }
    }
}

/// Runs a server beside the gateway: stops it last, and ends the run when the server ends by itself.
struct DevChildService: Service, CustomStringConvertible {
    let name: String
    let child: DevChild
    let logPath: String

    var description: String { name }

    func run() async throws {
        let endedByItself = await withTaskGroup(of: Int32?.self) { group in
            group.addTask {
                let status = await child.exitStatus()
                return child.wasStopped ? nil : status
            }
            group.addTask {
                try? await gracefulShutdown()
                child.stop()
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            await group.waitForAll()
            return first
        }
        if let status = endedByItself {
            throw CommandFailure(
                "\(name) (pid \(child.pid)) ended with status \(status); see \(SafeText.escaped(logPath))",
                code: ExitStatus.unavailable
            )
        }
    }
}
