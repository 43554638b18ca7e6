import Glibc

/// The thread that writes what a ``LogQueue`` holds; the only one that may wait for the reader of the log.
final class LogWriter: Sendable {
    private let state: WaitableState<LogBacklog>
    private let descriptor: Int32

    init(state: WaitableState<LogBacklog>, descriptor: Int32) {
        self.state = state
        self.descriptor = descriptor
    }

    /// Starts the thread, which keeps this object.
    ///
    /// - Throws: ``FileError`` when the system gives no thread.
    func start() throws(FileError) {
        let reference = Unmanaged.passRetained(self)
        var thread = pthread_t()
        let result = pthread_create(&thread, nil, logWriterBody, reference.toOpaque())
        guard result == 0 else {
            reference.release()
            throw .system(result)
        }
        pthread_detach(thread)
    }

    fileprivate func run() {
        while let taken = state.wait({ $0.take() }), !taken.isEmpty {
            var rest = taken[...]
            while !rest.isEmpty {
                let chunk = Self.nextChunk(of: rest)
                rest = rest[chunk.endIndex...]
                write(chunk)
            }
        }
    }

    /// As many whole lines as one `write(2)` takes undivided where the descriptor is a pipe; at least one.
    private static func nextChunk(of entries: ArraySlice<LogEntry>) -> ArraySlice<LogEntry> {
        var bytes = 0
        let count = entries.prefix { entry in
            bytes += entry.bytes.count
            return bytes <= Int(PIPE_BUF)
        }.count
        return entries.prefix(max(1, count))
    }

    private func write(_ chunk: ArraySlice<LogEntry>) {
        var left = LineOutput.writeAll(chunk.flatMap(\.bytes), to: descriptor)
        let failed = chunk.drop { entry in
            left -= entry.bytes.count
            return left >= 0
        }
        state.withLock { $0.finish(chunk[..<failed.startIndex], failed: failed) }
    }
}

/// The body of the thread.
private let logWriterBody: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { argument in
    guard let argument else { return nil }
    Unmanaged<LogWriter>.fromOpaque(argument).takeRetainedValue().run()
    return nil
}
