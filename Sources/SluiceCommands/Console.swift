import Glibc
import Synchronization

/// The tool's two outputs: results on standard output, everything else on standard error.
enum Console {
    /// Writes a line of result.
    static func out(_ text: String) {
        if !lines.write(Array((text + "\n").utf8), to: STDOUT_FILENO) { failed.store(true, ordering: .relaxed) }
    }

    private static let failed = Atomic(false)

    /// Whether a line of result could not be written.
    static var hasFailed: Bool { failed.load(ordering: .relaxed) }

    /// Writes a line for the person at the terminal.
    static func note(_ text: String) {
        lines.write(Array((text + "\n").utf8), to: STDERR_FILENO)
    }

    /// Writes text as it is, without a line's end: progress that overwrites itself.
    static func progress(_ text: String) {
        lines.write(Array(text.utf8), to: STDERR_FILENO)
    }

    /// Whether a person is watching standard error.
    static var isInteractive: Bool { isatty(STDERR_FILENO) == 1 }

    private static let lines = LineOutput()
}

/// Writes whole lines to file descriptors, so that lines of several threads never mix; waits for a slow reader.
///
/// For the tool's own results. What is logged goes through a ``LogQueue``.
final class LineOutput: Sendable {
    private let turn = Mutex(())

    /// Writes `bytes`; a short write is continued before another thread has its turn, a failed one is given up.
    ///
    /// - Returns: Whether all of it was written.
    @discardableResult
    func write(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        turn.withLock { _ in Self.writeAll(bytes, to: descriptor) == bytes.count }
    }

    /// Writes `bytes` with as few `write(2)` as it takes; blocks until the reader has room.
    ///
    /// - Returns: How many were written: all, unless the descriptor failed.
    static func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Int {
        bytes.withUnsafeBytes { all in
            var count = 0
            while count < all.count {
                let rest = UnsafeRawBufferPointer(rebasing: all[count...])
                let written = Glibc.write(descriptor, rest.baseAddress, rest.count)
                if written > 0 {
                    count += written
                } else if written < 0, errno == EINTR {
                    continue
                } else if written < 0, errno == EAGAIN {
                    var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    poll(&ready, 1, 1000)
                } else {
                    break
                }
            }
            return count
        }
    }
}
