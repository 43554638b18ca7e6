import Foundation
import Glibc

/// Waits until `condition` holds, at most `timeout`, on a thread of its own, so that no pool thread is held.
///
/// - Returns: Whether it came to hold.
package func eventually(
    timeout: Duration = .seconds(10),
    _ condition: @escaping @Sendable () -> Bool
) async -> Bool {
    await onThread { waitUntil(timeout: timeout, condition) }
}

/// Runs blocking work on a thread of its own and waits for it.
package func onThread<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
    await withCheckedContinuation { continuation in
        Thread { continuation.resume(returning: body()) }.start()
    }
}

/// The blocking form of ``eventually(timeout:_:)``, for helper threads and synchronous tests.
package func waitUntil(timeout: Duration = .seconds(10), _ condition: () throws -> Bool) rethrows -> Bool {
    let end = ContinuousClock.now + timeout
    while try !condition() {
        if ContinuousClock.now >= end { return try condition() }
        _ = poll(nil, 0, 5)
    }
    return true
}

/// Lets so much time pass: for "nothing happens in the meantime", never for waiting until something has happened.
package func letPass(_ duration: Duration) async {
    let end = ContinuousClock.now + duration
    _ = await eventually(timeout: duration + .seconds(1)) { ContinuousClock.now >= end }
}

/// A value behind a lock, for what tests collect from other threads.
package final class Shared<Value>: @unchecked Sendable {
    // Safe: `value` is only touched with the lock held.
    private let lock = NSLock()
    private var value: Value

    package init(_ value: Value) { self.value = value }

    package func withLock<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        try lock.withLock { try body(&value) }
    }

    package var current: Value { lock.withLock { value } }
}

/// A directory that is removed with the value.
package final class TemporaryDirectory: Sendable {
    package let path: String

    package init() {
        path = FileManager.default.temporaryDirectory.appending(path: "sluice-test-\(UUID().uuidString)").path
        try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// A port on loopback that was free a moment ago.
package func freePort() throws -> UInt16 {
    guard let listener = TestSocket.listen(port: 0) else { throw NoFreePort() }
    defer { listener.close() }
    return listener.localPort
}

/// The system gives no port.
package struct NoFreePort: Error {}
