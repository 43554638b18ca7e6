import Glibc

/// A value that only one thread at a time can touch; copies are the same value.
///
/// A pthread mutex rather than `Synchronization.Mutex`, which ThreadSanitizer misreads on Linux; value and mutex are one
/// allocation. Critical sections must be short and must not call out.
struct Locked<State>: @unchecked Sendable {
    // Safe: the state is only reached through `withLock`, which holds the mutex; a buffer's header never moves.
    private final class Storage: ManagedBuffer<State, pthread_mutex_t> {
        deinit {
            _ = withUnsafeMutablePointerToElements { pthread_mutex_destroy($0) }
        }
    }

    private let storage: ManagedBuffer<State, pthread_mutex_t>

    init(_ state: State) {
        storage = Storage.create(minimumCapacity: 1) { buffer in
            buffer.withUnsafeMutablePointerToElements { mutex in
                mutex.initialize(to: pthread_mutex_t())
                var attributes = pthread_mutexattr_t()
                pthread_mutexattr_init(&attributes)
                pthread_mutexattr_settype(&attributes, Int32(PTHREAD_MUTEX_ADAPTIVE_NP))
                pthread_mutex_init(mutex, &attributes)
                pthread_mutexattr_destroy(&attributes)
            }
            return state
        }
    }

    /// Runs `body` with the state, alone.
    @inline(__always)
    func withLock<Result>(_ body: (inout State) -> Result) -> Result {
        storage.withUnsafeMutablePointers { state, mutex in
            pthread_mutex_lock(mutex)
            defer { pthread_mutex_unlock(mutex) }
            return body(&state.pointee)
        }
    }
}
