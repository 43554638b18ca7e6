import Glibc

/// A value behind a lock, for threads that also wait for it to change.
final class WaitableState<Value>: @unchecked Sendable {
    // Safe: `value` is only touched with `lock` held; the two pointers never change and live as long as the object.
    private let lock: UnsafeMutablePointer<pthread_mutex_t>
    private let change: UnsafeMutablePointer<pthread_cond_t>
    private var value: Value

    init(_ value: sending Value) {
        self.value = value
        lock = .allocate(capacity: 1)
        lock.initialize(to: pthread_mutex_t())
        pthread_mutex_init(lock, nil)
        change = .allocate(capacity: 1)
        change.initialize(to: pthread_cond_t())
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(change, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(change)
        change.deallocate()
        pthread_mutex_destroy(lock)
        lock.deallocate()
    }

    /// Changes the value and wakes those who wait for a change.
    func withLock<Result>(_ body: (inout Value) -> Result) -> Result {
        pthread_mutex_lock(lock)
        defer {
            pthread_mutex_unlock(lock)
            pthread_cond_broadcast(change)
        }
        return body(&value)
    }

    /// Calls `body` now and after every change until it returns something, or until `limit` has passed.
    ///
    /// Blocks the calling thread. What `body` changes wakes nobody.
    ///
    /// - Returns: What `body` returned; `nil` when the time is over.
    func wait<Result>(atMost limit: Duration? = nil, _ body: (inout Value) -> Result?) -> Result? {
        let deadline = limit.map(Self.deadline)
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        while true {
            if let result = body(&value) { return result }
            if var deadline {
                guard pthread_cond_timedwait(change, lock, &deadline) != ETIMEDOUT else {
                    return body(&value)
                }
            } else {
                pthread_cond_wait(change, lock)
            }
        }
    }

    private static func deadline(after limit: Duration) -> timespec {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        let (seconds, attoseconds) = limit.components
        let nanoseconds = time.tv_nsec + Int(attoseconds / 1_000_000_000)
        return timespec(
            tv_sec: time.tv_sec + Int(seconds) + nanoseconds / 1_000_000_000,
            tv_nsec: nanoseconds % 1_000_000_000
        )
    }
}
