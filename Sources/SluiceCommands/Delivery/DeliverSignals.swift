import UnixSignals

/// Ends long commands at SIGINT and SIGTERM, so that they can clean up.
enum DeliverSignals {
    /// Runs `body` to its end, or until the process is asked to end.
    ///
    /// `body` is then abandoned: the caller cleans up and ends the process.
    ///
    /// - Parameter waitsForBody: Called at the first signal; whether to let `body` come to its end all the same, which a
    ///   second signal cuts short.
    /// - Returns: What `body` returned; `nil` when a signal came first.
    static func race<Value: Sendable>(
        waitsForBody: @escaping @Sendable () -> Bool = { false },
        _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value? {
        let (results, continuation) = AsyncStream.makeStream(of: Result<Value?, any Error>.self)
        let work = Task {
            do {
                continuation.yield(.success(try await body()))
            } catch {
                continuation.yield(.failure(error))
            }
        }
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        let listener = Task {
            var isWaiting = false
            for await _ in signals {
                if isWaiting || !waitsForBody() {
                    work.cancel()
                    continuation.yield(.success(nil))
                }
                isWaiting = true
            }
        }
        defer { listener.cancel() }
        for await result in results { return try result.get() }
        return nil
    }
}
