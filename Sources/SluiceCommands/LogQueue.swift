import Logging

/// Log lines on their way to a descriptor: whoever logs never waits for the reader of the log.
///
/// Lines wait in memory, in bounded number and size, until a thread of their own has written them. While there is no
/// room lines are dropped and counted; a line of the same format tells the count, and stands where the lines are
/// missing. The thread ends when the queue is released and everything in it is written.
package final class LogQueue: Sendable {
    /// How much may wait.
    package struct Limits: Sendable {
        package var linesMax = 8192
        package var bytesMax = 4 * 1024 * 1024

        package init() {}
    }

    private let state: WaitableState<LogBacklog>

    /// Starts the thread that writes.
    ///
    /// - Parameters:
    ///   - descriptor: Where lines go; is the caller's and stays open until the queue is released and flushed.
    ///   - format: How the line about dropped lines looks.
    ///   - limits: What may wait, lines that are just being written included.
    /// - Throws: ``FileError`` when there can be no other thread.
    package init(descriptor: Int32, format: LogFormat, limits: Limits = Limits()) throws(FileError) {
        state = WaitableState(LogBacklog(limits: limits, format: format))
        try LogWriter(state: state, descriptor: descriptor).start()
    }

    deinit {
        state.withLock { $0.isClosed = true }
    }

    /// Appends a line, its line feed included, or drops it; returns at once.
    ///
    /// For any thread.
    package func append(_ line: [UInt8]) {
        state.withLock { $0.append(line) }
    }

    /// Waits until everything that was appended before is written, and told if it was dropped.
    ///
    /// Blocks the calling thread, but never longer than `limit`. Does not wait for a descriptor that takes nothing more
    /// because of an error.
    ///
    /// - Returns: Whether it is done.
    @discardableResult
    package func flush(within limit: Duration) -> Bool {
        let end = state.withLock { backlog in
            backlog.tellDropped()
            // What cannot be told yet will be told in the very next entry.
            return backlog.appended + (backlog.dropped > 0 ? 1 : 0)
        }
        return state.wait(atMost: limit) { $0.isFinished(upTo: end) ? () : nil } != nil
    }
}

/// A log line that waits.
struct LogEntry {
    let bytes: [UInt8]
    /// How many calls it stands for: more than one when it tells of dropped lines.
    let calls: Int
}

/// What a ``LogQueue`` holds and counts.
struct LogBacklog {
    /// More than a line about dropped lines can need.
    private static let noticeBytesMax = 256

    let limits: LogQueue.Limits
    let line: LogLine

    /// Not yet taken by the writer.
    private var entries: [LogEntry] = []
    /// Taken or not, but not written.
    private var heldLines = 0
    private var heldBytes = 0
    /// Entries that were ever appended, and those of them that were written or given up.
    private(set) var appended = 0
    private var finished = 0
    /// Calls that no entry stands for yet.
    private(set) var dropped = 0
    private var isFailing = false
    var isClosed = false

    init(limits: LogQueue.Limits, format: LogFormat) {
        self.limits = limits
        line = LogLine(format: format)
    }

    /// Appends a line if there is room for it and for what has to be told before it.
    mutating func append(_ bytes: [UInt8]) {
        tellDropped()
        if dropped == 0, hasRoom(bytes.count) {
            push(LogEntry(bytes: bytes, calls: 1))
        } else {
            dropped += 1
        }
    }

    /// Turns the count of dropped lines into a line, if there are any and there is room.
    mutating func tellDropped() {
        guard dropped > 0, hasRoom(Self.noticeBytesMax) else { return }
        let bytes = line.render(
            time: .now,
            level: .warning,
            message: "log lines dropped",
            metadata: ["count": .stringConvertible(dropped)]
        )
        push(LogEntry(bytes: bytes, calls: dropped))
        dropped = 0
    }

    /// Everything to be written now; empty at the end, `nil` when there is nothing yet.
    mutating func take() -> [LogEntry]? {
        if entries.isEmpty { return isClosed ? [] : nil }
        defer { entries = [] }
        return entries
    }

    /// Counts entries as done; those that could not be written are dropped lines.
    mutating func finish(_ written: ArraySlice<LogEntry>, failed: ArraySlice<LogEntry>) {
        for entry in [written, failed].joined() {
            heldLines -= 1
            heldBytes -= entry.bytes.count
            finished += 1
        }
        for entry in failed { dropped += entry.calls }
        isFailing = !failed.isEmpty
        // Where nothing can be written the next line is soon enough.
        if !isFailing { tellDropped() }
    }

    /// Whether the first `end` entries are done, or nothing more can be.
    func isFinished(upTo end: Int) -> Bool {
        finished >= end || (isFailing && heldLines == 0)
    }

    private func hasRoom(_ bytes: Int) -> Bool {
        heldLines < limits.linesMax && bytes <= limits.bytesMax - heldBytes
    }

    private mutating func push(_ entry: LogEntry) {
        entries.append(entry)
        heldLines += 1
        heldBytes += entry.bytes.count
        appended += 1
    }
}
