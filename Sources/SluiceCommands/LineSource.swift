import Glibc
import Synchronization

/// A line of events as text, with its place in the input.
struct EventLine: Sendable {
    /// One-based.
    let number: Int
    let text: [UInt8]
}

/// Cuts a file or standard input into groups of lines.
///
/// Its reads block: call it from a thread that may.
final class LineSource: Sendable {
    /// Most bytes in a group; a line alone may be longer, up to `lineBytesMax`.
    static let groupBytesMax = 4 << 20
    /// Most bytes of a line.
    static let lineBytesMax = 64 << 20
    /// How long a group that is not full waits for more lines, in milliseconds.
    static let lingerMilliseconds: Int32 = 50

    private struct State {
        /// What was read and not yet handed out starts at `start`; up to `scanned` it holds no line feed.
        var pending: [UInt8] = []
        var start = 0
        var scanned = 0
        var linesRead = 0
        var isAtEnd = false
    }

    private let descriptor: Int32
    private let linesMax: Int
    private let state = Mutex(State())

    init(path: String, linesMax: Int) throws(CommandFailure) {
        descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
        self.linesMax = linesMax
        guard descriptor >= 0 else {
            let reason = FileError.system().reason
            throw CommandFailure("\(SafeText.escaped(path)) cannot be read: \(reason)", code: ExitStatus.noInput)
        }
    }

    deinit {
        if descriptor > STDERR_FILENO { close(descriptor) }
    }

    /// The next lines that are not blank; empty at the input's end.
    ///
    /// - Throws: ``FileError`` when reading failed or a line is too long.
    func next() throws(FileError) -> [EventLine] {
        let result = state.withLock { state in
            Result { () throws(FileError) in try read(&state) }
        }
        return try result.get()
    }

    private func read(_ state: inout State) throws(FileError) -> [EventLine] {
        var lines: [EventLine] = []
        var bytes = 0
        while lines.count < linesMax, bytes < Self.groupBytesMax {
            if let line = takeLine(&state) {
                if line.text.contains(where: { $0 > 0x20 }) {
                    lines.append(line)
                    bytes += line.text.count
                }
                continue
            }
            if state.isAtEnd || (!lines.isEmpty && !hasInput()) { break }
            try fill(&state)
        }
        return lines
    }

    private func takeLine(_ state: inout State) -> EventLine? {
        var end = state.pending[state.scanned...].firstIndex(of: UInt8(ascii: "\n"))
        state.scanned = end ?? state.pending.count
        if end == nil, state.isAtEnd, state.start < state.pending.count { end = state.pending.count }
        guard let end else { return nil }
        state.linesRead += 1
        let line = EventLine(number: state.linesRead, text: Array(state.pending[state.start..<end]))
        state.start = min(end + 1, state.pending.count)
        state.scanned = state.start
        return line
    }

    private func hasInput() -> Bool {
        var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&request, 1, Self.lingerMilliseconds) != 0
    }

    private func fill(_ state: inout State) throws(FileError) {
        state.pending.removeFirst(state.start)
        state.scanned -= state.start
        state.start = 0
        guard state.pending.count <= Self.lineBytesMax else {
            throw FileError("line \(state.linesRead + 1) is longer than \(Self.lineBytesMax) bytes")
        }
        var chunk = [UInt8](repeating: 0, count: 65_536)
        let count = Glibc.read(descriptor, &chunk, chunk.count)
        if count > 0 {
            state.pending.append(contentsOf: chunk[..<count])
        } else if count == 0 {
            state.isAtEnd = true
        } else if errno != EINTR {
            throw .system()
        }
    }
}
