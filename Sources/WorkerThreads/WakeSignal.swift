import Glibc

/// Wakes a thread that waits in `poll`: a pipe, since Swift's Glibc module has no `eventfd`.
///
/// Any thread may signal; one waits.
package final class WakeSignal: Sendable {
    /// Readable after a signal.
    package let descriptor: Int32
    private let writer: Int32

    package init() {
        var ends: [Int32] = [-1, -1]
        let status = pipe(&ends)
        precondition(status == 0, "the system refuses another file descriptor")
        for end in ends {
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
        }
        (descriptor, writer) = (ends[0], ends[1])
    }

    deinit {
        close(descriptor)
        close(writer)
    }

    /// Never blocks; a full pipe is signal enough.
    package func signal() {
        var one: UInt8 = 1
        _ = write(writer, &one, 1)
    }

    /// Takes back all signals; call when `descriptor` is readable.
    package func clear() {
        withUnsafeTemporaryAllocation(byteCount: 64, alignment: 1) { buffer in
            while read(descriptor, buffer.baseAddress, 64) == 64 {}
        }
    }

    /// Waits for a signal, at most so long, and clears it.
    package func wait(milliseconds: Int32) {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        if poll(&entry, 1, milliseconds) > 0 { clear() }
    }
}
