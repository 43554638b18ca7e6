import Foundation
import Glibc
import ServerFixtures
import SluiceCommands

/// A pipe that is written by what is under test and read when the test decides to.
final class LogPipe: Sendable {
    let writing: Int32
    private let reading: Int32
    private let text = Shared<[UInt8]>([])

    /// A pipe within this process.
    init() throws {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw LogPipeError(errno) }
        (reading, writing) = (ends[0], ends[1])
        try setUp()
    }

    /// A named pipe, for a process that opens `path` to write.
    init(path: String) throws {
        guard mkfifo(path, 0o600) == 0 else { throw LogPipeError(errno) }
        reading = open(path, O_RDONLY | O_NONBLOCK)
        writing = open(path, O_WRONLY)
        try setUp()
    }

    deinit {
        close(reading)
        close(writing)
    }

    private func setUp() throws {
        guard reading >= 0, writing >= 0 else { throw LogPipeError(errno) }
        for end in [reading, writing] { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        _ = fcntl(reading, F_SETFL, O_NONBLOCK)
    }

    /// Fills it with line feeds, which count for nothing, so that the next `write(2)` waits for the reader.
    func fill() {
        _ = fcntl(writing, F_SETFL, O_NONBLOCK)
        let emptyLines = [UInt8](repeating: 10, count: 4096)
        while write(writing, emptyLines, emptyLines.count) > 0 {}
        _ = fcntl(writing, F_SETFL, 0)
    }

    /// Whether a `write(2)` would wait for the reader.
    var isFull: Bool {
        var entry = pollfd(fd: writing, events: Int16(POLLOUT), revents: 0)
        return poll(&entry, 1, 0) == 0
    }

    /// Reads what there is.
    ///
    /// - Returns: Every whole line that was ever read.
    func read() -> [LoggedLine] {
        text.withLock { text in
            var chunk = [UInt8](repeating: 0, count: 65_536)
            while true {
                let count = Glibc.read(reading, &chunk, chunk.count)
                guard count > 0 else { break }
                text += chunk[..<count]
            }
            let end = text.lastIndex(of: 10) ?? 0
            return text[..<end].split(separator: 10).map(LoggedLine.init)
        }
    }

    /// Reads until the lines that came stand for so many calls.
    func read(calls: Int, timeout: Duration = .seconds(20)) async -> [LoggedLine] {
        _ = await eventually(timeout: timeout) { self.read().reduce(0) { $0 + $1.calls } >= calls }
        return read()
    }
}

/// A line of the log in JSON, as far as the tests care.
struct LoggedLine: Sendable {
    /// `nil` when the line is not one JSON object.
    let message: String?
    /// What the line says of dropped lines.
    let dropped: Int?
    let size: Int

    init(_ bytes: ArraySlice<UInt8>) {
        let json = try? JSONText(parsing: Array(bytes))
        message = json?["msg"]?.string
        dropped = message == "log lines dropped" ? json?["count"]?.string.flatMap { Int($0) } : nil
        size = bytes.count + 1
    }

    /// How many log calls it stands for.
    var calls: Int { dropped ?? 1 }
}

/// A system call for a pipe failed.
struct LogPipeError: Error {
    let code: Int32

    init(_ code: Int32) { self.code = code }
}
