import Glibc

/// A value that only one thread at a time can touch.
///
/// A pthread mutex rather than `Synchronization.Mutex`, which ThreadSanitizer misreads on Linux. Critical sections must be
/// short and must not call out: no system call, no user code.
final class Locked<State>: @unchecked Sendable {
    // Safe: `state` is only reached through `withLock`, which holds the mutex; the mutex itself never moves.
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private var state: State

    init(_ state: State) {
        self.state = state
        mutex = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        pthread_mutex_init(mutex, nil)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deinitialize(count: 1)
        mutex.deallocate()
    }

    /// Runs `body` with the state, alone.
    func withLock<Result>(_ body: (inout State) -> Result) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body(&state)
    }
}
