import Glibc

/// Wakes a thread that waits in `poll`: a pipe, since Swift's Glibc module has no `eventfd`.
final class WakeSignal: Sendable {
    /// Readable after a signal.
    let descriptor: Int32
    private let writer: Int32

    init() {
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
    func signal() {
        var one: UInt8 = 1
        _ = write(writer, &one, 1)
    }

    /// Takes back all signals; call when `descriptor` is readable.
    func clear() {
        withUnsafeTemporaryAllocation(byteCount: 64, alignment: 1) { buffer in
            while read(descriptor, buffer.baseAddress, 64) == 64 {}
        }
    }
}
