import Glibc
import WorkerThreads

/// Waits in `poll` for the client's wake-up and one descriptor.
struct Waiter {
    /// What ended the waiting.
    struct Ready {
        /// The descriptor can be read, or has failed, which reading tells.
        let readable: Bool
        let writable: Bool
    }

    let wake: WakeSignal

    /// Returns when the descriptor is ready, at a wake-up, or at the deadline; neither is ready in the last two cases.
    func wait(
        _ descriptor: Int32 = -1,
        reading: Bool = false,
        writing: Bool = false,
        until deadline: Nanoseconds
    ) -> Ready {
        var events: Int32 = 0
        if reading { events |= POLLIN }
        if writing { events |= POLLOUT }
        let none = Ready(readable: false, writable: false)
        return withUnsafeTemporaryAllocation(of: pollfd.self, capacity: 2) { entries in
            entries.initializeElement(at: 0, to: pollfd(fd: wake.descriptor, events: Int16(POLLIN), revents: 0))
            entries.initializeElement(at: 1, to: pollfd(fd: descriptor, events: Int16(events), revents: 0))
            guard poll(entries.baseAddress, 2, Self.milliseconds(until: deadline)) > 0 else { return none }
            if entries[0].revents != 0 { wake.clear() }
            let ready = Int32(entries[1].revents)
            let failed = ready & (POLLHUP | POLLERR | POLLNVAL) != 0
            return Ready(readable: failed || ready & POLLIN != 0, writable: failed || ready & POLLOUT != 0)
        }
    }

    private static func milliseconds(until deadline: Nanoseconds) -> Int32 {
        let left = deadline - monotonicNow()
        return left <= 0 ? 0 : Int32(clamping: min(left / 1_000_000 + 1, 60_000))
    }
}
